using System.ComponentModel.DataAnnotations;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Ops;
using Windtunnel.Text;

namespace Windtunnel.Training;

/// <summary>
/// A trained model to learn from beside the text (Hinton et al. 2015): the loss is (1 - weight) cross-entropy + weight T^2 KL(teacher || student),
/// both distributions at temperature T.
/// </summary>
/// <param name="From">The teacher: the folder of a run, <c>runs/ID</c> or <c>runs/ID@STEP</c>.</param>
/// <param name="Weight">Of what is learned from it, 0 to 1; 0.4 is Inheritune's a = 0.6 (Sanyal et al., appendix D).</param>
/// <param name="Temperature">T.</param>
/// <param name="Sha256">Of the teacher's weights: what a run is known by in place of a path. Filled in when the config is resolved.</param>
public sealed record DistillationOptions(string From = "", double Weight = 0.4, double Temperature = 1, string? Sha256 = null)
{
    /// <summary>These options with the teacher's absolute path and hash; it is looked up the first time.</summary>
    internal DistillationOptions Resolve()
    {
        if (Sha256 is not null)
        {
            return this;
        }

        Reference teacher = Reference.Open(From, "training.distillation.from");
        return this with { From = teacher.Path, Sha256 = teacher.Sha256 };
    }

    internal void Validate()
    {
        if (Weight is not (>= 0 and <= 1) || Temperature is not (> 0 and <= 1000))
        {
            throw new ValidationException(Weight is >= 0 and <= 1
                ? $"training.distillation.temperature: {Temperature} must be above 0 and at most 1000"
                : $"training.distillation.weight: {Weight} must be between 0 and 1");
        }
    }
}

/// <summary>The model that a student learns from.</summary>
internal sealed class Teacher : IDisposable
{
    private readonly DistillationOptions _options;
    private readonly Model _model;
    private readonly Tape _tape;

    /// <summary>Opens and loads the teacher.</summary>
    /// <param name="options">Those of a resolved config.</param>
    /// <param name="student">Who learns from it.</param>
    /// <param name="data">What both read.</param>
    /// <exception cref="ValidationException">It is gone, has changed, or reads other tokens.</exception>
    public Teacher(DistillationOptions options, RunConfig student, Dataset data, Backend backend)
    {
        const string Setting = "training.distillation.from";
        _options = options;
        Reference reference = Reference.Open(options.From, Setting, options.Sha256);
        reference.RequireTokenizerOf(data, Setting);
        ModelDimensions teacher = reference.Model.Dimensions, own = student.Model.Dimensions;
        if (teacher.Vocabulary != own.Vocabulary || teacher.Context < student.Training.SequenceLength)
        {
            throw new ValidationException(teacher.Vocabulary != own.Vocabulary
                ? $"{Setting} {options.From}: has a vocabulary of {teacher.Vocabulary}, the student one of {own.Vocabulary}; set model.vocabulary to it"
                : $"{Setting} {options.From}: has a context of {teacher.Context}, which training.sequenceLength must not exceed");
        }

        _model = reference.Load(backend);
        _tape = new Tape(backend, recording: false);
    }

    /// <summary>What it has to say of tokens [B, T]; valid until it is asked again.</summary>
    public SoftTargets Answer(Tensor tokens)
    {
        _tape.Reset();
        return _model.Teach(_tape, tokens, (float)_options.Weight, (float)_options.Temperature);
    }

    public void Dispose()
    {
        _tape.Dispose();
        _model.Dispose();
    }
}
