using System.ComponentModel.DataAnnotations;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Memory;
using Windtunnel.Text;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Training;

/// <summary>
/// Whether activations keep their size as a model gets wider, over the first steps of training: where they do, the learning rate found
/// at one width serves the others (the coordinate check of Yang et al. 2022, arXiv 2203.03466, appendix D.1).
/// </summary>
/// <param name="Coordinates">What was measured: every part, before the first step and after each.</param>
public sealed record CoordinateCheck(IReadOnlyList<Coordinate> Coordinates)
{
    /// <summary>
    /// An activation is flat where its size grows or shrinks by at most this power of the width: halfway to the root, the next power that
    /// sums over a width can give.
    /// </summary>
    public const double FlatSlope = 0.25;

    private const int MostTokens = 512;

    /// <summary>The power of the width that each part's activation follows, before the first step and after each.</summary>
    public IReadOnlyList<CoordinateSlope> Slopes { get; } =
    [
        .. Coordinates.GroupBy(at => (at.Part, at.Step)).Select(line => new CoordinateSlope(
            line.Key.Part, line.Key.Step, Slope([.. line.Select(at => (Math.Log(at.Width), Math.Log(at.RootMeanSquare)))]))),
    ];

    /// <summary>Those after the last step, by which a parametrisation is judged: the first ones are of random weights.</summary>
    public IEnumerable<CoordinateSlope> LastSlopes => Slopes.Where(slope => slope.Step == Slopes.Max(other => other.Step));

    /// <summary>
    /// Trains a config for a few steps at each width, at its highest learning rate throughout. Depth, head width and the ratio of the
    /// feed-forward layer are those of the config's own model.
    /// </summary>
    /// <param name="config">Not yet resolved.</param>
    /// <param name="widths">At least two, multiples of the head width.</param>
    /// <param name="steps">Optimizer steps at each width.</param>
    /// <param name="data">What it is trained on; the activations are those of the first sequences, up to 512 tokens.</param>
    /// <param name="backend">Where it is trained.</param>
    /// <exception cref="ValidationException">A width is impossible.</exception>
    public static CoordinateCheck Run(RunConfig config, IReadOnlyList<int> widths, int steps, Dataset data, Backend backend)
    {
        if (widths.Distinct().Count() < 2 || steps < 1)
        {
            throw new ValidationException("coordinates: a slope needs at least two widths, and a step of training");
        }

        config = config with
        {
            Schedule = new ConstantOptions(),
            Training = config.Training with { Length = Duration.OfSteps(steps) },
        };
        ModelOptions[] models = [.. widths.Select(width => Widened(config.Model, config.Resolve(data.Tokenizer.VocabularySize).Model.Dimensions, width))];
        RunConfig[] configs = [.. models.Select(model => (config with { Model = model }).Resolve(data.Tokenizer.VocabularySize))];
        List<Coordinate> coordinates = [];
        foreach (RunConfig wide in configs)
        {
            using Trainer trainer = new(wide, data, backend);
            using Probe probe = new(trainer, data, coordinates);
            trainer.Initialize();
            probe.Measure();
            for (int step = 0; step < steps; step++)
            {
                trainer.Step();
                probe.Measure();
            }
        }

        return new CoordinateCheck(coordinates);
    }

    private static ModelOptions Widened(ModelOptions model, ModelDimensions d, int width) => width > 0 && width % d.HeadWidth == 0
        ? model with
        {
            Layers = d.Layers,
            Width = width,
            Heads = width / d.HeadWidth,
            FeedForward = Math.Max(1, (int)Math.Round((double)d.FeedForward * width / d.Width)),
        }
        : throw new ValidationException(
            $"coordinates: width {width} is not a multiple of the head width {d.HeadWidth}, which stays as it is; model.width and model.heads set it");

    private static double Slope((double X, double Y)[] points)
    {
        double x = points.Average(point => point.X), y = points.Average(point => point.Y);
        return points.Sum(point => (point.X - x) * (point.Y - y)) / points.Sum(point => (point.X - x) * (point.X - x));
    }

    // Reads the same text with the model again and again.
    private sealed class Probe : IDisposable
    {
        private readonly Trainer _trainer;
        private readonly List<Coordinate> _coordinates;
        private readonly Tape _tape;
        private readonly DeviceBuffer _buffer;
        private readonly Tensor _tokens;

        public Probe(Trainer trainer, Dataset data, List<Coordinate> coordinates)
        {
            (_trainer, _coordinates) = (trainer, coordinates);
            TrainingOptions training = trainer.Config.Training;
            int batch = Math.Clamp(MostTokens / training.SequenceLength, 1, training.BatchSize);
            Shape shape = new(batch, training.SequenceLength);
            int[] inputs = new int[shape.Count], targets = new int[shape.Count];
            data.Loader(training.SequenceLength, trainer.Config.Seed).Next(inputs, targets);
            _tape = new Tape(trainer.Backend, recording: false, trainer.Pool);
            _buffer = trainer.Backend.Allocate(shape.Count);
            _tokens = new Tensor(_buffer, 0, shape, DType.I32);
            trainer.Backend.Write(_tokens, inputs);
        }

        public void Measure()
        {
            _trainer.Model.Observer = Record;
            Record("logits", _trainer.Model.Logits(_tape, _tokens));
            _trainer.Model.Observer = null;
            _tape.Reset();
        }

        public void Dispose()
        {
            _tape.Dispose();
            _buffer.Free();
        }

        private void Record(string part, Tensor values) => _coordinates.Add(new Coordinate(
            part, (int)_trainer.State.Step, _trainer.Model.Dimensions.Width, Math.Sqrt(_trainer.Backend.SumOfSquares(values) / values.Shape.Count)));
    }
}

/// <summary>The size of one activation.</summary>
/// <param name="Part">As <see cref="Model.Observer"/> names it, or <c>logits</c>.</param>
/// <param name="Step">Optimizer steps before it.</param>
/// <param name="Width">Of the residual stream.</param>
/// <param name="RootMeanSquare">Over all its elements.</param>
public readonly record struct Coordinate(string Part, int Step, int Width, double RootMeanSquare);

/// <summary>How an activation follows the width.</summary>
/// <param name="Part">Which one.</param>
/// <param name="Step">Optimizer steps before it.</param>
/// <param name="Slope">Of its logarithm against that of the width, by least squares; not finite where an activation was not a number.</param>
public readonly record struct CoordinateSlope(string Part, int Step, double Slope)
{
    /// <summary>Whether the size is the same at every width, within <see cref="CoordinateCheck.FlatSlope"/>.</summary>
    public bool IsFlat => Math.Abs(Slope) <= CoordinateCheck.FlatSlope;

    /// <summary>flat, growing or shrinking.</summary>
    public string Verdict => IsFlat ? "flat" : Slope < 0 ? "shrinking" : "growing";
}
