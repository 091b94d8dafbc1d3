using Windtunnel.Models;
using Windtunnel.Training;

namespace Windtunnel.Experiments.Ladders;

/// <summary>What a run of a ladder is.</summary>
public enum LadderRunKind
{
    /// <summary>At the highest rate to where the last branch leaves; its own loss is no point of a law of final losses.</summary>
    Trunk,

    /// <summary>The decay to one length.</summary>
    Branch,

    /// <summary>A run from its own start to its end.</summary>
    Whole,
}

/// <summary>A run of a ladder, and what it takes.</summary>
/// <param name="Kind">Trunk, branch or whole.</param>
/// <param name="Size">As the ladder's file gives it.</param>
/// <param name="Multiplier">Training tokens for each non-embedding parameter at its end; of a trunk, at that of its longest branch.</param>
/// <param name="Planned">What to train.</param>
/// <param name="Resolved">Its config with every dimension filled in: for the largest vocabulary that its tokenizer may get, until the data is known (<see cref="Ladder.WithData"/>).</param>
public sealed record LadderRun(LadderRunKind Kind, string Size, double Multiplier, PlannedRun Planned, RunConfig Resolved)
{
    /// <summary>Whether it is a target under another schedule than the ladder's.</summary>
    public bool HasOwnSchedule { get; init; }

    /// <summary>For people: size, multiplier, seed.</summary>
    public string Name => Planned.Config.Name;

    /// <summary>The last step, counted from the first of the trunk.</summary>
    public long Steps => Resolved.TotalSteps;

    /// <summary>Training tokens up to its end, the trunk's included.</summary>
    public long Tokens => Steps * Resolved.Training.TokensAStep;

    /// <summary>Training tokens that the run itself takes.</summary>
    public long OwnTokens => (Steps - Planned.TrunkStep) * Resolved.Training.TokensAStep;

    /// <summary>The model's parameters.</summary>
    public ModelCounts Counts { get; } = Resolved.Model.Count();

    /// <summary>Those of the parameters that a law counts as N.</summary>
    public long ParametersBy(ParameterCount count) => count == ParameterCount.All ? Counts.Total : Counts.NonEmbedding;

    /// <summary>Model operations up to its end, the trunk's included.</summary>
    public double Flops => Tokens * FlopsAToken;

    /// <summary>Model operations that the run itself takes.</summary>
    public double OwnFlops => OwnTokens * FlopsAToken;

    private double FlopsAToken => Counts.TrainingFlopsAToken(Resolved.Training.SequenceLength);
}
