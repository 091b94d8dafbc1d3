using Windtunnel.Models;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>AdamW with Nesterov's look-ahead in the numerator: the mean of gradients as it will be after one more gradient like this one.</summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root of the mean square, after bias correction.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
/// <param name="MomentumDecay">
/// With psi not 0, the look-ahead weighs by a momentum that grows as beta1 (1 - 0.96^(psi t) / 2): Dozat's schedule, as in
/// PyTorch's NAdam. 0 for the constant momentum of Optax and of the study.
/// </param>
public sealed record NAdamWOptions(
    double LearningRate = 3e-3, double Beta1 = 0.95, double Beta2 = 0.98, double Epsilon = 1e-8, double WeightDecay = 0.1, double MomentumDecay = 0)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>As tuned for 130M parameters in Wen et al. 2025.</summary>
    public static NAdamWOptions Study { get; } = new(8e-3, 0.95, 0.98, 1e-10, 0.1) { ClipNorm = 1, DecayOn = DecayScope.Linear };

    /// <summary>PyTorch's NAdam.</summary>
    public static NAdamWOptions Original { get; } = new(2e-3, 0.9, 0.999, 1e-8, 0, 4e-3);

    /// <inheritdoc/>
    public override string Source => "Dozat 2016; as in Optax";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        AdamSettings settings = new(Beta1, Beta2, Epsilon);
        return
        [
            new Rule("nadamw", LearningRate, (state, group) => new NAdamDirection(state, group, settings, MomentumDecay))
            {
                WeightDecay = WeightDecay,
                ClipNorm = ClipNorm,
            },
        ];
    }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Beta1, "beta1");
        RequireBeta(Beta2, "beta2");
        RequireEpsilon(Epsilon);
        Require(MomentumDecay is >= 0 and < 1, "momentumDecay", MomentumDecay, "at least 0 and below 1");
    }
}

/// <summary>u = (mu' m / (1 - product of mu up to mu') + (1 - mu) g / (1 - product up to mu)) / (sqrt(vhat) + epsilon).</summary>
internal sealed class NAdamDirection(OptimizerState state, ParameterGroup group, AdamSettings settings, double momentumDecay)
    : AdamDirection(state, group, settings)
{
    private readonly AdamSettings _settings = settings;
    private long _step;
    private double _product = 1;

    protected override AdamStep Numbers(long step)
    {
        double mu = Momentum(step), next = Momentum(step + 1), product = Product(step);
        return _settings.At(step) with { MomentScale = (float)(next / (1 - (product * next))), GradPart = (float)((1 - mu) / (1 - product)) };
    }

    private double Momentum(long step)
    {
        double beta = (float)_settings.Beta1;
        return momentumDecay == 0 ? beta : beta * (1 - (0.5 * Math.Pow(0.96, step * momentumDecay)));
    }

    // Of the momenta up to a step, multiplied in their order whether or not the run was resumed.
    private double Product(long step)
    {
        if (momentumDecay == 0)
        {
            return Bias.Power(Momentum(1), step);
        }

        (_step, _product) = _step > step ? (0, 1) : (_step, _product);
        while (_step < step)
        {
            _product *= Momentum(++_step);
        }

        return _product;
    }
}
