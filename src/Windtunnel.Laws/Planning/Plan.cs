using System.Text.Json;
using System.Text.Json.Serialization;
using Windtunnel.Laws.Fitting;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;

namespace Windtunnel.Laws.Planning;

/// <summary>What a plan recommends, and why: the file <c>plan.json</c>.</summary>
/// <param name="Format">The version of the file's format.</param>
/// <param name="Fit">The file of the fit that it follows.</param>
/// <param name="Law">The fitted law's formula.</param>
/// <param name="Count">Which parameters N counts.</param>
/// <param name="Served">Tokens that the model will serve; 0 where that was not asked.</param>
/// <param name="Optimum">The compute-optimal point of the law, on C = 6 N D.</param>
/// <param name="OptimumN">95 % interval of its N.</param>
/// <param name="OptimumD">95 % interval of its D.</param>
/// <param name="AsGood">The point of the law with the loss of <paramref name="Optimum"/> that is cheapest once served.</param>
/// <param name="Runs">Runs that can be started.</param>
/// <param name="Next">Runs that would narrow the interval of the first of them most per operation.</param>
/// <param name="Warnings">What a careful reader should know, one line each.</param>
public sealed record Plan(
    string Format, string Fit, string Law, ParameterCount Count, Budget Budget, double Served, PlannedRun Optimum, Interval OptimumN, Interval OptimumD,
    PlannedRun? AsGood, IReadOnlyList<Recipe> Runs, IReadOnlyList<NextRun> Next, IReadOnlyList<string> Warnings)
{
    /// <summary>The version of the format that <see cref="Save"/> writes.</summary>
    public const string CurrentFormat = "windtunnel-plan-1";

    private static readonly JsonSerializerOptions s_json = new(ConfigFile.JsonOptions) { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>Writes <c>plan.json</c>.</summary>
    public void Save(string path) => AtomicFile.WriteText(path, JsonSerializer.Serialize(this, s_json) + "\n");
}

/// <summary>A planned run with everything that it takes to start it.</summary>
/// <param name="Config">The file of its config.</param>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Batch">Tokens of an optimizer step.</param>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Decay">The share of the run in which the rate decays.</param>
/// <param name="Memory">Of one accelerator; null where none was named.</param>
/// <param name="Seconds">How long it takes; null where no accelerator was named.</param>
/// <param name="AcceleratorHours">Hours of one accelerator.</param>
/// <param name="Cost">Those at the given price.</param>
public sealed record Recipe(
    PlannedRun Run, string Config, long Steps, Choice<long> Batch, Choice<double> LearningRate, Choice<double> Decay, string DecayShape,
    TrainingMemory? Memory = null, double? Seconds = null, double? AcceleratorHours = null, double? Cost = null);

/// <summary>A setting, and where it comes from.</summary>
/// <param name="From">In words.</param>
public sealed record Choice<T>(T Value, string From);
