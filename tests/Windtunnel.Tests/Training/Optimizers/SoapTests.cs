using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

public sealed class SoapTests
{
    [Theory]
    [InlineData(6, 9)]
    [InlineData(12, 4)]
    public void On_a_constant_gradient_the_direction_is_its_orthogonal_factor(int rows, int columns)
    {
        double[] values = OpCheck.Normal(1, rows * columns);
        using CpuBackend backend = new(1);
        using ParameterSet parameters = Parameters(backend, ("w", rows, columns));
        using Optimizer optimizer = new SoapOptions(1, 0.9, 0.9, 0.5, 1e-4, 0, Frequency: 1).Build(parameters, backend);
        for (int step = 1; step <= 2; step++)
        {
            backend.Write(parameters.Parameters[0].Grad, OpCheck.Narrow(values));
            optimizer.Step(new OptimizerStep(step, 1, 1));
        }

        // With G = U S V^T the bases are U and V, and Adam makes S the same number everywhere: sqrt(1 + beta2) / (1 + beta1).
        using Tape tape = new(backend);
        using NewtonSchulz orthogonalize = new(backend, 12, coefficients: NewtonSchulzCoefficients.PolarExpress101);
        float[] factor = OpCheck.Read(orthogonalize.Orthogonalize(OpCheck.Upload(tape, new Shape(rows, columns), values)), backend);
        double size = Math.Sqrt(1.9) / 1.9;
        OpCheck.AssertClose([.. factor.Select(value => -size * value)], OpCheck.Read(parameters.Parameters[0].Value, backend), 2e-2, "direction");
    }

    [Theory]
    [InlineData(SoapForm.Study)]
    [InlineData(SoapForm.Original)]
    public void Blocks_are_preconditioned_as_if_each_were_a_matrix_of_its_own(SoapForm form)
    {
        SoapOptions options = new(0.01, Frequency: 2, BlockSize: 5, Form: form);
        float[] whole = Train(1, options, ("w", 8, 7)), again = Train(2, options, ("w", 8, 7));
        float[] parts = Train(1, options, ("nw", 5, 5), ("ne", 5, 2), ("sw", 3, 5), ("se", 3, 2));
        Assert.True(OpCheck.SameBits(whole, again));

        int[] starts = [0, 25, 35, 50];
        for (int i = 0; i < 8; i++)
        {
            for (int j = 0; j < 7; j++)
            {
                (int part, int width) = ((i / 5 * 2) + (j / 5), j < 5 ? 5 : 2);
                Assert.Equal(parts[starts[part] + (i % 5 * width) + (j % 5)], whole[(i * 7) + j]);
            }
        }
    }

    [Fact]
    public void Stacked_matrices_are_preconditioned_one_by_one()
    {
        SoapOptions options = new(0.01, Frequency: 2);
        float[] together = Train(1, options, true, ("w", 8, 7)), apart = Train(1, options, false, ("a", 4, 7), ("b", 4, 7));

        Assert.Equal(apart, together);
    }

    [Fact]
    public void The_first_step_decays_weights_in_the_study_and_leaves_them_alone_in_the_original()
    {
        Assert.All(First(SoapForm.Study), value => Assert.Equal(1 - (0.5f * 0.1f), value));
        Assert.All(First(SoapForm.Original), value => Assert.Equal(1, value));

        static float[] First(SoapForm form)
        {
            using CpuBackend backend = new(1);
            using ParameterSet parameters = Parameters(backend, ("w", 4, 3));
            using Optimizer optimizer = new SoapOptions(0.5, WeightDecay: 0.1, Form: form).Build(parameters, backend);
            backend.Fill(parameters.Values, 1);
            backend.Write(parameters.Parameters[0].Grad, OpCheck.Narrow(OpCheck.Normal(1, 12)));
            optimizer.Step(new OptimizerStep(1, 1, 1));
            return OpCheck.Read(parameters.Parameters[0].Value, backend);
        }
    }

    [Fact]
    public void Bases_stay_orthonormal_and_follow_the_averages()
    {
        using CpuBackend backend = new(2);
        using ParameterSet parameters = Parameters(backend, ("w", 20, 20));
        using Optimizer optimizer = new SoapOptions(0.01, ShampooBeta: 0.9, Frequency: 1).Build(parameters, backend);

        // The third row's gradients are larger than the others: the first basis vector turns to it.
        for (int step = 1; step <= 60; step++)
        {
            float[] grad = OpCheck.Narrow(OpCheck.Normal(step, 400));
            for (int i = 60; i < 80; i++)
            {
                grad[i] *= step > 5 ? 10 : 1;
            }

            backend.Write(parameters.Parameters[0].Grad, grad);
            optimizer.Step(new OptimizerStep(step, 1, 1));
        }

        float[] basis = OpCheck.Read(optimizer.State.Single(state => state.Name == "soap.basis.left.20x20lr.w").Tensor, backend);
        Assert.True(Math.Abs(basis[3 * 20]) > 0.99, $"{basis[3 * 20]}");
        for (int i = 0; i < 20; i++)
        {
            for (int j = 0; j < 20; j++)
            {
                Assert.Equal(i == j ? 1 : 0, Enumerable.Range(0, 20).Sum(row => (double)basis[(row * 20) + i] * basis[(row * 20) + j]), 1e-6);
            }
        }
    }

    private static float[] Train(int threads, SoapOptions options, params (string, int, int)[] matrices) => Train(threads, options, false, matrices);

    // Seven steps from the same gradients for the first matrix's elements, wherever they are; the weights in memory order.
    private static float[] Train(int threads, SoapOptions options, bool stacked, params (string Name, int Rows, int Columns)[] matrices)
    {
        using CpuBackend backend = new(threads);
        using ParameterSet parameters = Parameters(backend, stacked ? 2 : 1, matrices);
        using Optimizer optimizer = options.Build(parameters, backend);
        for (int step = 1; step <= 7; step++)
        {
            float[] whole = OpCheck.Narrow(OpCheck.Normal(step, 56));
            foreach (Parameter parameter in parameters.Parameters)
            {
                (int top, int left) = parameter.Name switch { "ne" => (0, 5), "sw" => (5, 0), "se" => (5, 5), "b" => (4, 0), _ => (0, 0) };
                float[] grad = new float[parameter.Shape.Count];
                for (int i = 0; i < grad.Length; i++)
                {
                    grad[i] = whole[((top + (i / parameter.Shape.Columns)) * 7) + left + (i % parameter.Shape.Columns)];
                }

                backend.Write(parameter.Grad, grad);
            }

            optimizer.Step(new OptimizerStep(step, 1, 1));
        }

        return [.. parameters.Parameters.SelectMany(parameter => OpCheck.Read(parameter.Value, backend))];
    }

    private static ParameterSet Parameters(CpuBackend backend, params (string, int, int)[] matrices) => Parameters(backend, 1, matrices);

    private static ParameterSet Parameters(CpuBackend backend, int parts, params (string Name, int Rows, int Columns)[] matrices)
    {
        ParameterSet parameters = new();
        foreach ((string name, int rows, int columns) in matrices)
        {
            parameters.Matrix(name, ParameterRole.Hidden, rows, columns, 1, parts);
        }

        parameters.Allocate(backend, gradients: true);
        return parameters;
    }
}
