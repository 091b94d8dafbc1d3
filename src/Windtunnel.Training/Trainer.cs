using System.Diagnostics;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Models.Inheritance;
using Windtunnel.Runs;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Memory;
using Windtunnel.Tensors.Ops;
using Windtunnel.Text;
using Windtunnel.Training.Optimizers;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Training;

/// <summary>
/// One model in training: weights, optimizer, data and schedule, and the step that moves them. All of its state is in
/// <see cref="Save"/>; a trainer restored from it goes on bit for bit.
/// </summary>
public sealed class Trainer : IStepBatch, IDisposable
{
    private const double LossEmaDecay = 0.95;

    private readonly TrainingOptions _options;
    private readonly Optimizer _optimizer;
    private readonly Schedule _schedule;
    private readonly BatchLoader _loader;
    private readonly Tape _tape;
    private readonly DeviceBuffer _batch;
    private readonly Tensor _inputs, _targets;
    private readonly Tensor? _ema;
    private readonly Teacher? _teacher;
    private readonly int[][] _hostInputs, _hostTargets;

    /// <summary>A trainer with memory but without weights: call <see cref="Initialize"/> or restore a checkpoint next.</summary>
    public Trainer(RunConfig config, Dataset data, Backend backend)
    {
        (Config, Backend, _options) = (config, backend, config.Training);
        _teacher = _options.Distillation is { } distillation ? new Teacher(distillation, config, data, backend) : null;
        Model = config.Model.Build(backend);
        _optimizer = config.Optimizer.Build(Model.Parameters, backend);
        _schedule = config.Schedule.Build(config.TotalSteps, _options.TokensAStep);
        _loader = data.Loader(_options.SequenceLength, config.Seed);
        Pool = new BufferPool(backend);
        _tape = new Tape(backend, recording: true, Pool);
        Shape shape = new(_options.BatchSize / _options.GradientAccumulation, _options.SequenceLength);
        _batch = backend.Allocate(2 * shape.Count);
        _inputs = new Tensor(_batch, 0, shape, DType.I32);
        _targets = new Tensor(_batch, shape.Count, shape, DType.I32);
        (_hostInputs, _hostTargets) = (NewTokens(), NewTokens());
        if (_options.EmaDecay > 0)
        {
            _ema = new Tensor(backend.Allocate(Model.Parameters.Length), 0, Model.Parameters.Values.Shape);
        }

        FlopsAToken = config.Model.Count().TrainingFlopsAToken(_options.SequenceLength);
        int[][] NewTokens() => [.. Enumerable.Range(0, _options.GradientAccumulation).Select(_ => new int[shape.Count])];
    }

    /// <summary>What is trained, and how; resolved.</summary>
    public RunConfig Config { get; }

    /// <summary>Where it is trained.</summary>
    public Backend Backend { get; }

    /// <summary>The model.</summary>
    public Model Model { get; }

    /// <summary>The memory of the activations, which validation may use between steps.</summary>
    public BufferPool Pool { get; }

    /// <summary>The small part of the state.</summary>
    public TrainerState State { get; set; } = new();

    /// <summary>Model operations for one token, forward and backward.</summary>
    public double FlopsAToken { get; }

    /// <summary>The highest learning rate times the schedule's factor at update <paramref name="step"/>.</summary>
    public double LearningRate(long step) => Config.Optimizer.LearningRate * _schedule.Factor(step);

    /// <summary>How far training is.</summary>
    public Progress At => new(State.Step, State.Tokens, State.Tokens * FlopsAToken, State.WallSeconds, _loader.Epoch);

    /// <summary>Draws new weights.</summary>
    public void Initialize()
    {
        Model.Parameters.Initialize(Backend, Config.Seed);
        ResetAverage();
    }

    /// <summary>Draws new weights, then copies those that are inherited over them.</summary>
    /// <returns>Each parameter, and whether it was copied.</returns>
    public IReadOnlyList<InheritedParameter> Initialize(InheritedModel inherited)
    {
        Model.Parameters.Initialize(Backend, Config.Seed);
        IReadOnlyList<InheritedParameter> parameters = inherited.Fill(Model);
        ResetAverage();
        return parameters;
    }

    /// <summary>Takes the weights, and nothing else, from a file with the same parameters.</summary>
    public void InitializeFrom(string weightsPath)
    {
        using SafetensorsFile file = SafetensorsFile.Open(weightsPath);
        ModelWeights.Read(file, Model);
        ResetAverage();
    }

    /// <summary>
    /// One optimizer step: gradients of a batch, the decision whether they are numbers, then the update. When the loss or a
    /// gradient is not finite nothing is updated and the weights stay as they were.
    /// </summary>
    public StepOutcome Step()
    {
        long step = State.Step + 1;
        double dataSeconds = LoadBatch();
        (double loss, double penalty) = ComputeGradients(labels: null);
        double norm = Math.Sqrt(Backend.SumOfSquares(Model.Parameters.Grads));
        bool finite = double.IsFinite(loss) && double.IsFinite(norm);
        if (finite)
        {
            double scale = _options.ClipNorm > 0 && norm > _options.ClipNorm ? _options.ClipNorm / norm : 1;
            _optimizer.Step(new OptimizerStep(step - State.NonFiniteSteps, _schedule.Factor(step), (float)scale, Config.Seed, this));
            if (_ema is not null)
            {
                Backend.Lerp(_ema, Model.Parameters.Values, (float)(1 - _options.EmaDecay));
            }
        }

        double weight = State.Step == State.NonFiniteSteps ? 1 : 1 - LossEmaDecay;
        State = State with
        {
            Step = step,
            Tokens = State.Tokens + _options.TokensAStep,
            NonFiniteSteps = State.NonFiniteSteps + (finite ? 0 : 1),
            LossEma = finite ? State.LossEma + ((loss - State.LossEma) * weight) : State.LossEma,
            Cursor = _loader.Cursor,
        };
        return new StepOutcome(finite, loss, _teacher is null ? penalty : 0, _teacher is null ? 0 : penalty, norm, dataSeconds);
    }

    /// <summary>Until it is disposed of, the weights are those that the model is to be judged by; then those in training return bit for bit.</summary>
    public IDisposable Evaluate() => new Evaluation(_optimizer);

    /// <summary>Writes the weights, their average, the optimizer's tensors: what <see cref="Restore"/> reads.</summary>
    /// <param name="create">Opens a file of the checkpoint.</param>
    /// <param name="endOfText">For config.json.</param>
    public void Save(Func<string, Stream> create, int endOfText)
    {
        using Evaluation evaluation = new(_optimizer);
        using (Stream weights = create("model.safetensors"))
        {
            ModelWeights.Write(weights, Model);
        }

        using (Stream config = create("config.json"))
        {
            System.Text.Json.JsonSerializer.Serialize(config, Config.Model.ToHuggingFace(endOfText), Runs.Config.ConfigFile.JsonOptions);
        }

        using (Stream state = create("optim.safetensors"))
        {
            ModelWeights.Write(state, Backend, _optimizer.State);
        }

        if (_ema is not null)
        {
            using Stream average = create("ema.safetensors");
            ModelWeights.Write(average, Model, _ema);
        }
    }

    /// <summary>Takes everything from a checkpoint.</summary>
    /// <param name="pathOf">The path of a file that <see cref="Save"/> made.</param>
    /// <param name="state">The small part of the state.</param>
    /// <param name="hasAverage">Whether an average was kept; where not, one starts from the weights.</param>
    public void Restore(Func<string, string> pathOf, TrainerState state, bool hasAverage = true)
    {
        using (SafetensorsFile weights = SafetensorsFile.Open(pathOf("model.safetensors")))
        {
            ModelWeights.Read(weights, Model);
        }

        using (SafetensorsFile tensors = SafetensorsFile.Open(pathOf("optim.safetensors")))
        {
            ModelWeights.Read(tensors, Backend, _optimizer.State);
        }

        _optimizer.EndEvaluation();

        if (_ema is not null && hasAverage)
        {
            using SafetensorsFile average = SafetensorsFile.Open(pathOf("ema.safetensors"));
            ModelWeights.Read(average, Model, _ema);
        }
        else
        {
            ResetAverage();
        }

        State = state;
        if (state.Cursor is not null)
        {
            _loader.Seek(state.Cursor);
        }
    }

    /// <summary>After a rewind: goes on with the data that comes after what made it necessary.</summary>
    public void SkipTo(LoaderCursor cursor, long rewinds)
    {
        _loader.Seek(cursor);
        State = State with { Cursor = cursor, Rewinds = rewinds };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ema?.Buffer.Free();
        _batch.Free();
        _tape.Dispose();
        Pool.Dispose();
        _teacher?.Dispose();
        _optimizer.Dispose();
        Model.Dispose();
    }

    /// <inheritdoc/>
    long IStepBatch.Targets => _options.TokensAStep;

    /// <inheritdoc/>
    void IStepBatch.ComputeGradients(Philox? labels) => ComputeGradients(labels);

    // Kept on the host until the next step: a rule may want more gradients of them.
    private double LoadBatch()
    {
        long start = Stopwatch.GetTimestamp();
        for (int micro = 0; micro < _options.GradientAccumulation; micro++)
        {
            _loader.Next(_hostInputs[micro], _hostTargets[micro]);
        }

        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    // The penalty is the z-loss, or the divergence from a teacher.
    private (double Loss, double Penalty) ComputeGradients(Philox? labels)
    {
        ParameterSet parameters = Model.Parameters;
        float lossScale = 1f / _options.TokensAStep;
        double loss = 0, penalty = 0;
        parameters.ClearGrads();
        for (int micro = 0; micro < _options.GradientAccumulation; micro++)
        {
            Backend.Write(_inputs, _hostInputs[micro]);
            Backend.Write(_targets, _hostTargets[micro]);
            SampledLabels? sampled = labels is { } random ? new SampledLabels(random, micro * _targets.Shape.Count) : null;

            // Labels drawn from the model estimate the curvature of the likelihood alone.
            (Teacher? teacher, float zLoss) = sampled is null ? (_teacher, (float)_options.ZLoss) : (null, 0);
            (Tensor losses, Tensor penalties) = teacher is not null
                ? Model.Loss(_tape, _inputs, _targets, lossScale, teacher.Answer(_inputs))
                : Model.Loss(_tape, _inputs, _targets, lossScale, zLoss, sampled);
            loss += Backend.Sum(losses);
            penalty += zLoss > 0 || teacher is not null ? Backend.Sum(penalties) : 0;
            _tape.Backward(losses);
            _tape.Reset();
        }

        parameters.ZeroUnusedGrads(Backend);
        return (loss / _options.TokensAStep, penalty / _options.TokensAStep);
    }

    private sealed class Evaluation : IDisposable
    {
        private readonly Optimizer _optimizer;

        public Evaluation(Optimizer optimizer)
        {
            _optimizer = optimizer;
            optimizer.BeginEvaluation();
        }

        public void Dispose() => _optimizer.EndEvaluation();
    }

    private void ResetAverage()
    {
        if (_ema is not null)
        {
            Backend.Add(_ema, Model.Parameters.Values, 1, accumulate: false);
        }
    }
}

/// <summary>The part of a trainer's state that is no tensor.</summary>
/// <param name="Step">Optimizer steps taken.</param>
/// <param name="Tokens">Training tokens seen.</param>
/// <param name="NonFiniteSteps">Steps whose loss or gradients were not numbers.</param>
/// <param name="Rewinds">How often the run went back to a checkpoint because of one.</param>
/// <param name="LossEma">Moving average of the training loss.</param>
/// <param name="WallSeconds">Time spent so far, over all restarts.</param>
/// <param name="Cursor">Where the data loader is; null at the start.</param>
public sealed record TrainerState(
    long Step = 0, long Tokens = 0, long NonFiniteSteps = 0, long Rewinds = 0, double LossEma = 0, double WallSeconds = 0, LoaderCursor? Cursor = null);

/// <summary>What came of a step.</summary>
/// <param name="Finite">Whether loss and gradients were numbers, so that the weights were updated.</param>
/// <param name="LossNats">Mean loss of its tokens.</param>
/// <param name="ZLoss">Mean z-loss penalty.</param>
/// <param name="Divergence">Mean divergence from the teacher; 0 without one.</param>
/// <param name="GradNorm">Global norm of the gradients before clipping.</param>
/// <param name="DataSeconds">Time spent on data.</param>
public readonly record struct StepOutcome(bool Finite, double LossNats, double ZLoss, double Divergence, double GradNorm, double DataSeconds);
