using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Reference;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

/// <summary>Ten steps of each optimizer on each architecture against float64 PyTorch (Golden/generate_golden.py).</summary>
public class OptimizerGoldenTests
{
    [Theory]
    [InlineData("gpt2", "adamw")]
    [InlineData("llama", "adamw")]
    [InlineData("gpt2", "muon")]
    [InlineData("llama", "muon")]
    public void Ten_steps_stay_within_1e_5_of_the_float64_reference(string name, string optimizerName)
    {
        GoldenCase golden = new(name);
        using CpuBackend backend = new(threads: 1);
        using Model model = Build(golden, name, backend);
        foreach (Parameter parameter in model.Parameters.Parameters)
        {
            backend.Write(parameter.Value, [.. golden[$"weights.{parameter.Name}"].Select(value => (float)value)]);
        }

        OptimizerOptions options = optimizerName == "adamw"
            ? new AdamWOptions(1e-3, 0.9, 0.95, 1e-8, 0.1)
            : new MuonOptions(0.02, 0.95, WeightDecay: 0.1, NewtonSchulz: new NewtonSchulzOptions(5, 1e-7), Adam: new AdamRestOptions(0.3, 0.8, 0.98, 1e-10));
        using Optimizer optimizer = options.Build(model.Parameters, backend);
        using Tape tape = new(backend);
        int[] shape = golden.Shape("tokens");
        Tensor tokens = new(backend.Allocate(shape[0] * shape[1]), 0, new Shape(shape[0], shape[1]), DType.I32);
        Tensor targets = new(backend.Allocate(shape[0] * shape[1]), 0, tokens.Shape, DType.I32);
        backend.Write(tokens, golden.Tokens);
        backend.Write(targets, golden.Targets);
        for (int step = 1; step <= 10; step++)
        {
            model.Parameters.ClearGrads();
            (Tensor losses, _) = model.Loss(tape, tokens, targets, 1f / golden.Targets.Length);
            Assert.Equal(golden[$"{optimizerName}.losses"][step - 1], backend.Sum(losses) / golden.Targets.Length, 1e-5);
            tape.Backward(losses);
            tape.Reset();
            double norm = Math.Sqrt(backend.SumOfSquares(model.Parameters.Grads));
            optimizer.Step(new OptimizerStep(step, 1, (float)Math.Min(1, 1 / norm)));
        }

        double worst = 0;
        foreach (Parameter parameter in model.Parameters.Parameters)
        {
            float[] actual = new float[parameter.Shape.Count];
            backend.Read(parameter.Value, actual);
            double[] expected = golden[$"{optimizerName}.{parameter.Name}"];

            // The keys' bias does not change the softmax: its gradient is rounding noise, which Adam turns into full steps.
            bool noise(int i) => parameter.Name.EndsWith("c_attn.bias", StringComparison.Ordinal) && i >= actual.Length / 3 && i < actual.Length * 2 / 3;
            worst = Math.Max(worst, Enumerable.Range(0, actual.Length).Where(i => !noise(i)).Max(i => Math.Abs(expected[i] - actual[i])));
        }

        Assert.True(worst <= 1e-5, $"largest difference of a weight after ten steps: {worst}");
        tokens.Buffer.Free();
        targets.Buffer.Free();
    }

    private static Model Build(GoldenCase golden, string name, CpuBackend backend)
    {
        int vocabulary = golden.Shape(name == "gpt2" ? "weights.transformer.wte.weight" : "weights.model.embed_tokens.weight")[0];
        ModelOptions options = name == "gpt2"
            ? new Gpt2Options(Layers: 2, Width: 32, Heads: 4, Context: 16)
            : new LlamaOptions(Layers: 2, Width: 32, Heads: 4, KeyValueHeads: 2, FeedForward: 56, Context: 16, Tied: false);
        return options.Resolve(vocabulary, golden.Shape("tokens")[1]).Build(backend);
    }
}
