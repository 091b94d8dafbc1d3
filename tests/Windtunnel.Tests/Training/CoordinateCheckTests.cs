using Windtunnel.Models;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training;

public sealed class CoordinateCheckTests : IDisposable
{
    private static readonly int[] s_widths = [32, 64, 128, 256];

    private readonly TemporaryFolder _folder = new();
    private readonly CpuBackend _backend = new(2);

    public void Dispose()
    {
        _backend.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Activations_of_minicpm_keep_their_size_at_every_width()
    {
        CoordinateCheck check = Check(new MiniCpmOptions("50k", Layers: 2, BaseWidth: 32));

        Assert.Equal(8, check.LastSlopes.Count());
        Assert.All(check.LastSlopes, slope => Assert.True(slope.IsFlat, $"{slope.Part} follows width^{slope.Slope}"));
    }

    [Fact]
    public void Activations_of_a_llama_at_one_learning_rate_grow_with_its_width()
    {
        CoordinateCheck check = Check(new LlamaOptions("50k", Layers: 2));

        Assert.All(
            check.LastSlopes.Where(slope => slope.Part != "embedding"),
            slope => Assert.True(slope.Slope > 1.5 * CoordinateCheck.FlatSlope && slope.Verdict == "growing", $"{slope.Part} follows width^{slope.Slope}"));
    }

    [Fact]
    public void Every_part_is_measured_at_every_width_before_training_and_after_each_step()
    {
        CoordinateCheck check = Check(new Gpt2Options(Layers: 3, Width: 32, Heads: 2), 3);

        string[] parts = ["embedding", .. Enumerable.Range(1, 3).SelectMany(block => new[] { $"attention.{block}", $"feed-forward.{block}", $"residual.{block}" }), "logits"];
        Assert.Equal(
            s_widths.SelectMany(width => Enumerable.Range(0, 4).SelectMany(step => parts.Select(part => (part, step, width)))),
            check.Coordinates.Select(at => (at.Part, at.Step, at.Width)));
        Assert.All(check.Coordinates, at => Assert.True(at.RootMeanSquare > 0 && double.IsFinite(at.RootMeanSquare)));
        Assert.Equal(0, _backend.Ledger.LiveBytes);
    }

    [Fact]
    public void Slopes_are_those_of_power_laws()
    {
        CoordinateCheck check = new([.. s_widths.SelectMany(width => new Coordinate[]
        {
            new("flat", 0, width, 3), new("growing", 0, width, 2 * Math.Pow(width, 0.5)), new("shrinking", 0, width, Math.Pow(width, -1)),
        })]);

        Assert.Equal([0, 0.5, -1], check.Slopes.Select(slope => slope.Slope), (expected, actual) => Math.Abs(expected - actual) < 1e-12);
        Assert.All(check.Slopes, slope => Assert.Equal(slope.Part, slope.Verdict));
    }

    private CoordinateCheck Check(ModelOptions model, int steps = 10)
    {
        using Dataset data = Dataset.Prepare(TinyRun.Data, _folder.Path);
        return CoordinateCheck.Run(TinyRun.Config(model, new AdamWOptions(LearningRate: 0.01)), s_widths, steps, data, _backend);
    }
}
