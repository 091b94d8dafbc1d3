using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// Muon (Jordan et al. 2024), as in Wen et al. 2025: Nesterov momentum, orthogonalised by Newton-Schulz, on hidden matrices;
/// AdamW on everything else. Stacked matrices (GPT-2's queries, keys and values) are orthogonalised one by one. The study
/// differs in three points: it clips the AdamW part by its own norm and the matrices not at all (here the trainer clips all by
/// the global norm), it does not decay embeddings, and most of its runs took ten Newton-Schulz steps.
/// </summary>
public sealed class Muon : Optimizer
{
    private readonly MuonOptions _options;
    private readonly AdamW _rest;
    private readonly List<(ParameterGroup Group, Tensor Momentum)> _groups = [];
    private readonly NewtonSchulz _newtonSchulz;

    /// <summary>Muon for the hidden matrices of a model.</summary>
    public Muon(MuonOptions options, ParameterSet parameters, Backend backend)
        : base(parameters, backend)
    {
        _options = options;
        _newtonSchulz = new NewtonSchulz(backend, options.NewtonSchulzSteps, options.Epsilon);
        _rest = new AdamW(
            new AdamWOptions(options.LearningRate * options.AdamRatio, options.AdamBeta1, options.AdamBeta2, options.AdamEpsilon, options.WeightDecay),
            parameters, backend, parameter => parameter.Role != ParameterRole.Hidden);
        foreach (ParameterGroup group in parameters.Groups(parameter => parameter.Role == ParameterRole.Hidden))
        {
            _groups.Add((group, NewState(group, "muon.momentum")));
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Tensor Tensor)> State => base.State.Concat(_rest.State);

    /// <inheritdoc/>
    public override void Step(in OptimizerStep step)
    {
        _rest.Step(step);
        float rate = (float)(_options.LearningRate * step.RateFactor), mu = (float)_options.Momentum;
        foreach ((ParameterGroup group, Tensor momentum) in _groups)
        {
            // m = mu m + g; the update is that of mu m + g (Nesterov), which takes the gradient's place.
            Backend.Add(momentum, momentum, mu, accumulate: false);
            Backend.Add(momentum, group.Grads, step.GradScale, accumulate: true);
            Backend.Add(group.Grads, group.Grads, step.GradScale, accumulate: false);
            Backend.Add(group.Grads, momentum, mu, accumulate: true);
            Backend.Add(group.Values, group.Values, 1 - (rate * (float)_options.WeightDecay), accumulate: false);
            foreach (Parameter parameter in group.Parameters)
            {
                int rows = parameter.Shape.Rows / parameter.Parts;
                float scale = MathF.Sqrt(MathF.Max(1, (float)rows / parameter.Shape.Columns));
                for (int part = 0; part < parameter.Parts; part++)
                {
                    Tensor update = _newtonSchulz.Orthogonalize(parameter.Grad.SliceRows(part * rows, rows));
                    Backend.Add(parameter.Value.SliceRows(part * rows, rows), update, -rate * scale, accumulate: true);
                }
            }
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _newtonSchulz.Dispose();
        _rest.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>Options of <see cref="Muon"/>.</summary>
/// <param name="LearningRate">The highest rate of the hidden matrices.</param>
/// <param name="Momentum">Decay of the momentum.</param>
/// <param name="NewtonSchulzSteps">Iterations of the orthogonalisation.</param>
/// <param name="Epsilon">Added to the Frobenius norm.</param>
/// <param name="WeightDecay">Of all matrices, decoupled.</param>
/// <param name="AdamRatio">The rate of everything else, as a share of <paramref name="LearningRate"/>.</param>
/// <param name="AdamBeta1">AdamW's first decay.</param>
/// <param name="AdamBeta2">AdamW's second decay.</param>
/// <param name="AdamEpsilon">AdamW's epsilon.</param>
public sealed record MuonOptions(
    double LearningRate = 2e-2, double Momentum = 0.95, int NewtonSchulzSteps = 5, double Epsilon = 1e-7, double WeightDecay = 0.1,
    double AdamRatio = 0.3, double AdamBeta1 = 0.8, double AdamBeta2 = 0.98, double AdamEpsilon = 1e-10)
    : OptimizerOptions(LearningRate)
{
    /// <inheritdoc/>
    public override Optimizer Build(ParameterSet parameters, Backend backend) => new Muon(this, parameters, backend);

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Momentum is >= 0 and < 1, "momentum", Momentum, "at least 0 and below 1");
        Require(NewtonSchulzSteps is >= 1 and <= 50, "newtonSchulzSteps", NewtonSchulzSteps, "between 1 and 50");
        Require(Epsilon is > 0 and < 1, "epsilon", Epsilon, "positive and below 1");
        Require(WeightDecay >= 0, "weightDecay", WeightDecay, "at least 0");
        Require(AdamRatio > 0, "adamRatio", AdamRatio, "positive");
        Require(AdamBeta1 is >= 0 and < 1, "adamBeta1", AdamBeta1, "at least 0 and below 1");
        Require(AdamBeta2 is >= 0 and < 1, "adamBeta2", AdamBeta2, "at least 0 and below 1");
        Require(AdamEpsilon is > 0 and < 1, "adamEpsilon", AdamEpsilon, "positive and below 1");
    }
}
