using System.Text.Json.Serialization;
using Windtunnel.Experiments.Ladders;

namespace Windtunnel.Experiments;

/// <summary>The file of an experiment; its <c>type</c> says which kind it is.</summary>
/// <param name="Name">What its folder is called.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(SweepOptions), "sweep")]
[JsonDerivedType(typeof(ComparisonOptions), "comparison")]
[JsonDerivedType(typeof(LadderOptions), "ladder")]
public abstract record ExperimentOptions(string Name)
{
    /// <summary>The experiment, every setting checked.</summary>
    /// <param name="path">The file, for errors; what it names is relative to it.</param>
    /// <exception cref="System.ComponentModel.DataAnnotations.ValidationException">A setting is impossible.</exception>
    public abstract IExperiment Build(string path);
}
