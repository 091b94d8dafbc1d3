using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Windtunnel.Models;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// What an optimizer is built from. The settings here work with every rule, and are off by default. A type may have presets:
/// static properties of its own type, which <c>preset: name</c> takes its defaults from. Presets that clip do so as their originals,
/// which have no other clipping: they go with <c>training.clipNorm: 0</c>.
/// </summary>
/// <param name="LearningRate">
/// The highest rate. The schedule scales it, and a model may for some of its matrices (<see cref="Parameter.RateScale"/>), where updates are
/// of size one an element: not for SGD, whose updates are as large as the gradient, nor for orthogonal updates and those of a share of the
/// weights' norm (Muon, NorMuon, Scion's matrices, MuonH, AdamH), which have a rule of their own from width to width. Muon and NorMuon scaled as
/// AdamW (<see cref="MatrixScale.MatchRms"/>) follow the model as AdamW does.
/// </param>
/// <param name="WeightDecay">Of the parameters that <see cref="DecayOn"/> names.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(AdamWOptions), "adamw")]
[JsonDerivedType(typeof(NAdamWOptions), "nadamw")]
[JsonDerivedType(typeof(MarsOptions), "mars")]
[JsonDerivedType(typeof(CautiousOptions), "cautious")]
[JsonDerivedType(typeof(LionOptions), "lion")]
[JsonDerivedType(typeof(AdamMiniOptions), "adam-mini")]
[JsonDerivedType(typeof(MuonOptions), "muon")]
[JsonDerivedType(typeof(ScionOptions), "scion")]
[JsonDerivedType(typeof(KronOptions), "kron")]
[JsonDerivedType(typeof(SoapOptions), "soap")]
[JsonDerivedType(typeof(SophiaOptions), "sophia")]
[JsonDerivedType(typeof(SgdOptions), "sgd")]
[JsonDerivedType(typeof(SignumOptions), "signum")]
[JsonDerivedType(typeof(AdEMAMixOptions), "ademamix")]
[JsonDerivedType(typeof(ScheduleFreeOptions), "schedule-free")]
[JsonDerivedType(typeof(NorMuonOptions), "normuon")]
[JsonDerivedType(typeof(MuonHOptions), "muonh")]
[JsonDerivedType(typeof(AdamHOptions), "adamh")]
public abstract record OptimizerOptions(double LearningRate, double WeightDecay)
{
    // Of the weights, in one step. More is a decay that was meant to be multiplied by the rate.
    private const double DecoupledShareMax = 0.05;

    /// <summary>How the decay follows the learning rate.</summary>
    public DecayKind Decay { get; init; }

    /// <summary>Which parameters decay.</summary>
    public DecayScope DecayOn { get; init; }

    /// <summary>Decay only the weights that the update does not make larger (Chen et al. 2025).</summary>
    public bool CautiousDecay { get; init; }

    /// <summary>Drop the part of an update that points against the gradient, and enlarge the rest accordingly (Liang et al. 2024).</summary>
    public bool Caution { get; init; }

    /// <summary>
    /// Largest norm of the gradients that one rule sees, after <c>training.clipNorm</c>; 0 for none. The orthogonal updates of Muon, NorMuon and
    /// Scion, whose direction does not depend on the size of the gradient, are not clipped; those of MuonH are, as in its authors' code.
    /// </summary>
    public double ClipNorm { get; init; }

    /// <summary>The paper or the code that the update rule is of.</summary>
    public abstract string Source { get; }

    /// <summary>Whether updates are cautious, for types that always are.</summary>
    public virtual bool IsCautious => Caution;

    /// <summary>The rules, in the order in which parameters are offered to them; the last one takes what is left.</summary>
    public abstract IEnumerable<Rule> Rules(OptimizerState state);

    /// <summary>The optimizer for a model's parameters; its state is zero.</summary>
    public Optimizer Build(ParameterSet parameters, Backend backend) => new(this, parameters, backend);

    /// <summary>The setting in which this differs from another so that it can't go on with the other's state; null where it can.</summary>
    public virtual string? UnlikeStateOf(OptimizerOptions other) => GetType() == other.GetType() ? null : "type";

    /// <summary>Throws unless every hyperparameter makes sense.</summary>
    /// <exception cref="ValidationException">Names the setting, its value and its range.</exception>
    public virtual void Validate()
    {
        Require(LearningRate > 0, "learningRate", LearningRate, "positive");
        Require(WeightDecay >= 0, "weightDecay", WeightDecay, "at least 0");
        Require(ClipNorm >= 0, "clipNorm", ClipNorm, "at least 0");
        RequireDecay(WeightDecay, LearningRate, "weightDecay");
    }

    /// <summary>Throws where a step would take all of the weights away, or with decay: decoupled a large share of them.</summary>
    internal void RequireDecay(double decay, double rate, string name)
    {
        Require(
            Decay != DecayKind.Decoupled || decay < DecoupledShareMax, name, decay,
            $"below {DecoupledShareMax.ToString(CultureInfo.InvariantCulture)} with decay: decoupled, where every step takes that share of the weights away");
        Require(
            Decay == DecayKind.Decoupled || decay * rate < 1, name, decay,
            $"less than one over the rate, which is {rate.ToString("g4", CultureInfo.InvariantCulture)}: a step takes the product of the two of the weights away");
    }

    /// <summary>Throws a one-line error unless <paramref name="holds"/>.</summary>
    internal static void Require(bool holds, string name, object value, string expected)
    {
        if (!holds)
        {
            string shown = value is string text ? text : JsonSerializer.Serialize(value, Runs.Config.ConfigFile.JsonOptions).Trim('"');
            throw new ValidationException($"optimizer.{name}: {shown} must be {expected}");
        }
    }

    /// <summary>Throws unless the decay of an average is in [0, 1).</summary>
    internal static void RequireBeta(double beta, string name) => Require(beta >= 0 && (float)beta < 1, name, beta, "at least 0 and below 1, also as a single-precision number");

    /// <summary>Throws unless an epsilon is in (0, 1).</summary>
    internal static void RequireEpsilon(double epsilon, string name = "epsilon") => Require((float)epsilon is > 0 and < 1, name, epsilon, "positive and below 1, also as a single-precision number");
}

/// <summary>
/// How weight decay follows the learning rate, whose highest value is R and which the schedule multiplies by f. R is the one that the
/// parameter is given: where its model scales it (<see cref="Parameter.RateScale"/>), a decay that follows R is scaled with it, as in
/// implementations with a rate for each group.
/// </summary>
public enum DecayKind
{
    /// <summary>R f weightDecay, as in AdamW's implementations: a step takes its share of the decay as of the rate.</summary>
    Scheduled,

    /// <summary>f weightDecay: fully decoupled, tuning the rate leaves the decay alone (Loshchilov and Hutter 2019, algorithm 2).</summary>
    Decoupled,

    /// <summary>R f^2 weightDecay: the decay fades faster, so that the norm of the gradient does not grow at the end (AdamC, Defazio 2025).</summary>
    Corrected,
}

/// <summary>Which parameters decay, by role.</summary>
public enum DecayScope
{
    /// <summary>All matrices, embeddings included; not norms and biases.</summary>
    Matrices,

    /// <summary>Hidden matrices and the head; not embeddings, norms and biases (Wen et al. 2025).</summary>
    Linear,

    /// <summary>Everything.</summary>
    All,
}
