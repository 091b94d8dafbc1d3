using System.Text.Json;

namespace Windtunnel.Tests.Reference;

public sealed class OptimizerTwinTests
{
    [Fact]
    public void Adamw_follows_the_published_twelve_step_trajectory()
    {
        JsonElement root = Published();
        JsonElement hyper = Case(root, "adamw.torch").GetProperty("hyper");
        double[] weight = Flatten(root.GetProperty("params").GetProperty("W"));
        double[] first = new double[weight.Length], second = new double[weight.Length];

        Follow(root, "adamw.torch", weight, (grad, step) => OptimizerTwin.AdamW(
            weight, grad, first, second, step, Number(hyper, "lr"), Number(hyper, "b1"), Number(hyper, "b2"),
            Number(hyper, "eps"), Number(hyper, "wd")));
    }

    [Fact]
    public void Muon_follows_the_published_twelve_step_trajectory()
    {
        JsonElement root = Published();
        JsonElement hyper = Case(root, "muon.study").GetProperty("hyper");
        double[] weight = Flatten(root.GetProperty("params").GetProperty("W"));
        double[] momentum = new double[weight.Length];

        Follow(root, "muon.study", weight, (grad, _) => OptimizerTwin.Muon(
            weight, grad, momentum, 4, 6, Number(hyper, "lr"), Number(hyper, "momentum"), Number(hyper, "wd"),
            eps: Number(hyper, "ns_eps")));
    }

    [Fact]
    public void Adamw_moves_by_the_learning_rate_at_every_step_of_a_constant_gradient()
    {
        double[] weight = [1, 1], first = new double[2], second = new double[2];
        for (int step = 1; step <= 20; step++)
        {
            OptimizerTwin.AdamW(weight, [3, -0.2], first, second, step, 0.01, 0.9, 0.95, 0, 0);
            Assert.Equal(1 - 0.01 * step, weight[0], 1e-13);
            Assert.Equal(1 + 0.01 * step, weight[1], 1e-13);
        }
    }

    [Theory]
    [InlineData(12, 5)]
    [InlineData(5, 12)]
    public void Newton_schulz_keeps_singular_directions_and_brings_their_values_near_one(int rows, int columns)
    {
        double[] g = TwinTests.Normal(new Random(3), rows * columns);

        double[] x = OptimizerTwin.NewtonSchulz(g, rows, columns);

        // With g = U S V^T and x = U S' V^T, |x|^2 is the sum of S'^2 and the product of g and x is symmetric.
        int rank = Math.Min(rows, columns);
        Assert.InRange(Twin.Dot(x, x), 0.65 * 0.65 * rank, 1.25 * 1.25 * rank);
        double[] cross = rows < columns ? Twin.MatmulNT(g, x, rows, rows, columns) : Twin.MatmulTN(g, x, columns, columns, rows);
        double asymmetry = Twin.GlobalNorm([Twin.AddScaled(cross, Twin.Transpose(cross, rank, rank), -1)]);
        Assert.InRange(asymmetry, 0, 1e-12 * Twin.GlobalNorm([cross]));
    }

    private static void Follow(JsonElement root, string name, double[] weight, Action<double[], int> update)
    {
        JsonElement[] grads = [.. root.GetProperty("grads").EnumerateArray()];
        int compared = 0;
        for (int step = 1; step <= grads.Length; step++)
        {
            update(Flatten(grads[step - 1].GetProperty("W")), step);
            if (Case(root, name).GetProperty("steps").TryGetProperty($"{step}", out JsonElement expected))
            {
                Assert.All(Flatten(expected.GetProperty("W")).Zip(weight), pair => Assert.Equal(pair.First, pair.Second, 1e-11));
                compared++;
            }
        }

        Assert.Equal(4, compared);
    }

    private static JsonElement Published() =>
        JsonDocument.Parse(File.ReadAllBytes(SharedData.Require("data/optimizers/golden.json"))).RootElement;

    private static JsonElement Case(JsonElement root, string name) =>
        root.GetProperty("cases").EnumerateArray().Single(entry => entry.GetProperty("name").GetString() == name);

    private static double[] Flatten(JsonElement matrix) => [.. matrix.Deserialize<double[][]>()!.SelectMany(row => row)];

    private static double Number(JsonElement hyper, string name) => hyper.GetProperty(name).GetDouble();
}
