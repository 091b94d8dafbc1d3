using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// How some parameters move, as a chain: [clip] - direction - [caution] - [decay] - rate - [norm]. A rule names its direction and
/// what surrounds it; <see cref="Chain"/> runs it, in one pass over memory where only clip, decay and rate surround the direction.
/// </summary>
/// <param name="Name">What the direction is called, in lists.</param>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Direction">The direction of a group of neighbouring parameters, with its state.</param>
public sealed record Rule(string Name, double LearningRate, Func<OptimizerState, ParameterGroup, Direction> Direction)
{
    /// <summary>The parameters that it moves, of those that no earlier rule took: by role, never by shape.</summary>
    public Func<Parameter, bool> Takes { get; init; } = static _ => true;

    /// <summary>Decay of the parameters that <see cref="OptimizerOptions.DecayOn"/> names.</summary>
    public double WeightDecay { get; init; }

    /// <summary>Largest norm of the gradients of all its parameters together; 0 for no clipping.</summary>
    public double ClipNorm { get; init; }

    /// <summary>Whether <see cref="ClipNorm"/> holds for each tensor by itself.</summary>
    public bool ClipsEachTensor { get; init; }

    /// <summary>Whether its direction wants one parameter at a time.</summary>
    public bool IsTensorWise { get; init; }

    /// <summary>Whether weights keep their Frobenius norm, which must not be 0, the rate being a share of it (Hyperball, Wen et al. 2026).</summary>
    public bool KeepsNorm { get; init; }

    /// <summary>
    /// Whether the size of its updates follows from the shape or the norm of the matrix, or from the gradient, which themselves depend on
    /// the width. <see cref="Parameter.RateScale"/> is for updates whose elements are of size one, as Adam's, and is not applied then.
    /// </summary>
    public bool IgnoresRateScale { get; init; }

    /// <summary>Whether the direction moves the weights itself, decay and rate included.</summary>
    public bool MovesWeights { get; init; }

    /// <summary>Whether the direction knows better weights than those it trains (<see cref="Optimizers.Direction.Average"/>).</summary>
    public bool AveragesWeights { get; init; }

    /// <summary>Called when all weights have moved; gradients may be overwritten.</summary>
    public Action<OptimizerStep>? AfterStep { get; init; }
}

/// <summary>The heart of a rule: where one group of parameters would go, given its gradients and its state.</summary>
public abstract class Direction
{
    /// <summary>May replace the gradients, before they are clipped.</summary>
    public virtual void Prepare(in OptimizerStep step)
    {
    }

    /// <summary>Writes the direction u as y = keep y + scale u; y is the weights, the gradients themselves, or memory of that size.</summary>
    public abstract void Write(Tensor y, in Destination to, in DirectionStep step);

    /// <summary>Overwrites the group's weights, which are those in training, by the ones that the model is to be judged by.</summary>
    public virtual void Average()
    {
    }
}

/// <summary>A step as a direction sees it.</summary>
/// <param name="Number">1 for the first update.</param>
/// <param name="Rate">The applied rate.</param>
/// <param name="Decay">The share of the weights that decays.</param>
/// <param name="Seed">The run's.</param>
public readonly record struct DirectionStep(long Number, double Rate, double Decay, ulong Seed);

/// <summary>Corrections of averages that start at zero.</summary>
public static class Bias
{
    /// <summary>1 / (1 - beta^step), with beta as the kernels see it.</summary>
    public static float Correction(double beta, long step) => (float)(1 / (1 - Power((float)beta, step)));

    /// <summary>x to a whole power, by multiplications: the same bits everywhere.</summary>
    public static double Power(double x, long exponent)
    {
        double result = 1;
        for (; exponent > 0; exponent >>= 1, x *= x)
        {
            result *= (exponent & 1) == 1 ? x : 1;
        }

        return result;
    }
}
