using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// AdamW with one second moment a block instead of one a weight: about half the memory. Blocks are the queries or keys of one
/// key-value head, and single rows of all other matrices: an output neuron, a token.
/// </summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root of the mean square, after bias correction.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
/// <param name="VectorBlocks">Whether a norm's gain or a bias is one block, too, as in the authors' code; else it is AdamW's.</param>
public sealed record AdamMiniOptions(
    double LearningRate = 3e-3, double Beta1 = 0.9, double Beta2 = 0.98, double Epsilon = 1e-8, double WeightDecay = 0.1, bool VectorBlocks = false)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>As tuned for 130M parameters in Wen et al. 2025: only the gradients of AdamW's vectors are clipped.</summary>
    public static AdamMiniOptions Study { get; } = new(8e-3, 0.9, 0.98, 1e-10, 0.1) { ClipNorm = 1, DecayOn = DecayScope.Linear };

    /// <summary>The authors' code.</summary>
    public static AdamMiniOptions Original { get; } = new(1e-3, 0.9, 0.999, 1e-8, 0, VectorBlocks: true);

    /// <inheritdoc/>
    public override string Source => "Zhang et al. 2024, arXiv 2406.16793";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        AdamSettings settings = new(Beta1, Beta2, Epsilon);
        return
        [
            new Rule("adam-mini", LearningRate, (state, group) => new AdamMiniDirection(state, group, settings))
            {
                Takes = parameter => VectorBlocks || parameter.Role is not (ParameterRole.Norm or ParameterRole.Bias),
                WeightDecay = WeightDecay,
                IsTensorWise = true,
            },
            settings.Rule(LearningRate) with { WeightDecay = WeightDecay, ClipNorm = ClipNorm },
        ];
    }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Beta1, "beta1");
        RequireBeta(Beta2, "beta2");
        RequireEpsilon(Epsilon);
    }
}

internal sealed class AdamMiniDirection : Direction
{
    private readonly Backend _backend;
    private readonly AdamSettings _settings;
    private readonly Tensor _grads, _m, _v;
    private readonly List<(int Start, int Count, int BlockSize)> _stretches = [];

    public AdamMiniDirection(OptimizerState state, ParameterGroup group, AdamSettings settings)
    {
        (_backend, _settings, _grads) = (state.Backend, settings, group.Grads);
        Parameter parameter = group.Parameters[0];
        Shape shape = parameter.Shape;
        int scores = parameter.Scores.Rows * shape.Columns;
        if (scores > 0)
        {
            _stretches.Add((0, scores, parameter.Scores.HeadRows * shape.Columns));
        }

        if (scores < shape.Count)
        {
            _stretches.Add((scores, (int)shape.Count - scores, shape.Columns));
        }

        _m = state.New(group, "adam-mini.m");
        _v = state.New(new Shape(_stretches.Sum(stretch => stretch.Count / stretch.BlockSize)), $"adam-mini.v.{parameter.Name}");
    }

    public override void Write(Tensor y, in Destination to, in DirectionStep step)
    {
        int block = 0;
        foreach ((int start, int count, int blockSize) in _stretches)
        {
            _backend.AdamMini(
                Part(y, start, count), Part(_grads, start, count), Part(_m, start, count), Part(_v, block, count / blockSize), blockSize, to,
                _settings.At(step.Number));
            block += count / blockSize;
        }
    }

    private static Tensor Part(Tensor tensor, int start, int count) => new(tensor.Buffer, tensor.Offset + start, new Shape(count));
}
