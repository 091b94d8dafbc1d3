using System.Text.Json;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Reference;
using Windtunnel.Tests.Tensors;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

public sealed class NewtonSchulzTests
{
    private static readonly Dictionary<string, NewtonSchulzCoefficients> Names = new()
    {
        ["keller"] = NewtonSchulzCoefficients.Keller,
        ["quintic5"] = NewtonSchulzCoefficients.Quintic5,
        ["polar_express_1.01"] = NewtonSchulzCoefficients.PolarExpress101,
        ["polar_express_1.02"] = NewtonSchulzCoefficients.PolarExpress102,
        ["cans"] = NewtonSchulzCoefficients.Cans,
        ["aol"] = NewtonSchulzCoefficients.Aol,
        ["deepseekv4"] = NewtonSchulzCoefficients.DeepSeekV4,
        ["cubic5"] = NewtonSchulzCoefficients.Cubic5,
    };

    [Fact]
    public void Every_published_case_is_met_within_5e_6()
    {
        using JsonDocument golden = Golden();
        using CpuBackend backend = new(1);
        int cases = 0;
        foreach (JsonElement unit in golden.RootElement.GetProperty("units").GetProperty("newton_schulz").EnumerateArray())
        {
            double[][] rows = unit.GetProperty("in").Deserialize<double[][]>()!, expected = unit.GetProperty("out").Deserialize<double[][]>()!;
            using NewtonSchulz newtonSchulz = new(
                backend, unit.GetProperty("steps").GetInt32(), unit.GetProperty("eps").GetDouble(), Names[unit.GetProperty("coeffs").GetString()!]);
            using Tape tape = new(backend);
            Tensor matrix = OpCheck.Upload(tape, new Shape(rows.Length, rows[0].Length), [.. rows.SelectMany(row => row)]);
            float[] actual = OpCheck.Read(newtonSchulz.Orthogonalize(matrix), backend);
            double worst = expected.SelectMany(row => row).Zip(actual, (x, y) => Math.Abs(x - y)).Max();
            Assert.True(worst <= 5e-6, $"{unit.GetProperty("coeffs")} on {matrix.Shape}: {worst}");
            cases++;
        }

        Assert.Equal(21, cases);
    }

    // Long enough for several steps on the Gram matrix, ten of which are too many at once.
    [Theory]
    [InlineData(64, 256, 5, NewtonSchulzCoefficients.Keller)]
    [InlineData(200, 70, 10, NewtonSchulzCoefficients.Keller)]
    [InlineData(64, 256, 5, NewtonSchulzCoefficients.PolarExpress102)]
    [InlineData(64, 256, 5, NewtonSchulzCoefficients.Cubic5)]
    public void Steps_on_the_gram_matrix_come_to_the_same(int rows, int columns, int steps, NewtonSchulzCoefficients coefficients)
    {
        double[] values = OpCheck.Normal(1, (long)rows * columns);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using NewtonSchulz newtonSchulz = new(backend, steps, 1e-7, coefficients);
            using Tape tape = new(backend);
            return [OpCheck.Read(newtonSchulz.Orthogonalize(OpCheck.Upload(tape, new Shape(rows, columns), values)), backend)];
        });

        using CpuBackend one = new(1);
        using NewtonSchulz sets = new(one, steps, 1e-7, coefficients);
        double scale = coefficients == NewtonSchulzCoefficients.PolarExpress102 ? 1.02 : 1, norm = scale * Twin.GlobalNorm([values]);
        double[] expected = [.. values.Select(value => value / norm)];
        for (int step = 0; step < steps; step++)
        {
            (float a, float b, float c) = sets.At(step);
            double length = Twin.GlobalNorm([expected]);
            expected = [.. OptimizerTwin.NewtonSchulz([.. expected], rows, columns, 1, a * length, b * Math.Pow(length, 3), c * Math.Pow(length, 5), eps: 0)];
        }

        OpCheck.AssertClose(expected, results[0], 5e-4, "the orthogonal factor");
    }

    [Fact]
    public void Every_coefficient_is_the_published_one()
    {
        using JsonDocument golden = Golden();
        using CpuBackend backend = new(1);
        JsonElement sets = golden.RootElement.GetProperty("units").GetProperty("ns_coefficient_sets").GetProperty("sets");
        foreach (JsonProperty set in sets.EnumerateObject())
        {
            using NewtonSchulz newtonSchulz = new(backend, coefficients: Names[set.Name]);
            double[][] rows = set.Value.Deserialize<double[][]>()!;
            for (int step = 0; step < rows.Length; step++)
            {
                Assert.Equal(((float)rows[step][0], (float)rows[step][1], (float)rows[step][2]), newtonSchulz.At(step));
            }
        }

        Assert.Equal(Names.Count, sets.EnumerateObject().Count());
        Assert.Equal(Names.Count, Enum.GetValues<NewtonSchulzCoefficients>().Length);
    }

    [Theory]
    [InlineData(NewtonSchulzCoefficients.PolarExpress102, null, 4)]
    [InlineData(NewtonSchulzCoefficients.PolarExpress102, NewtonSchulzContinuation.Cycle, 1)]
    [InlineData(NewtonSchulzCoefficients.Quintic5, null, 1)]
    [InlineData(NewtonSchulzCoefficients.Quintic5, NewtonSchulzContinuation.Repeat, 4)]
    public void After_the_last_coefficients_the_set_repeats_them_or_starts_again(
        NewtonSchulzCoefficients coefficients, NewtonSchulzContinuation? continuation, int same)
    {
        using CpuBackend backend = new(1);
        using NewtonSchulz newtonSchulz = new(backend, coefficients: coefficients, continuation: continuation);

        Assert.Equal(newtonSchulz.At(same), newtonSchulz.At(6));
    }

    [Theory]
    [InlineData(NewtonSchulzCoefficients.PolarExpress101, 12, 1e-5)]
    [InlineData(NewtonSchulzCoefficients.DeepSeekV4, 14, 1e-5)]
    [InlineData(NewtonSchulzCoefficients.Keller, 12, 0.6)]
    public void Sets_that_converge_give_an_orthogonal_matrix_on_either_side(NewtonSchulzCoefficients coefficients, int steps, double tolerance)
    {
        double[] values = OpCheck.Normal(1, 40 * 90);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            using NewtonSchulz newtonSchulz = new(backend, steps, 1e-7, coefficients);
            return
            [
                OpCheck.Read(newtonSchulz.Orthogonalize(OpCheck.Upload(tape, new Shape(40, 90), values)), backend),
                OpCheck.Read(newtonSchulz.Orthogonalize(OpCheck.Upload(tape, new Shape(90, 40), Twin.Transpose(values, 40, 90))), backend),
            ];
        });

        double[] wide = Array.ConvertAll(results[0], x => (double)x), tall = Array.ConvertAll(results[1], x => (double)x);
        OpCheck.AssertClose(Twin.Transpose(wide, 40, 90), results[1], 2e-5, "transpose");
        foreach (double[] gram in new[] { Twin.MatmulNT(wide, wide, 40, 40, 90), Twin.MatmulTN(tall, tall, 40, 40, 90) })
        {
            for (int i = 0; i < gram.Length; i++)
            {
                Assert.Equal(i % 41 == 0 ? 1 : 0, gram[i], tolerance);
            }
        }
    }

    private static JsonDocument Golden() => JsonDocument.Parse(File.ReadAllText(SharedData.Require("data/optimizers/golden.json")));
}
