using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using System.Reflection;
using System.Security.Cryptography;
using System.Text.Json.Serialization;
using Windtunnel.Models;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Tests.Training.Optimizers;

/// <summary>What holds for every registered optimizer, with its defaults and with each of its presets.</summary>
public sealed class OptimizerConformanceTests(OptimizerConformanceTests.Texts texts) : IClassFixture<OptimizerConformanceTests.Texts>
{
    private const string FingerprintsVariable = "WINDTUNNEL_TEST_FINGERPRINTS";
    private const int Steps = 24;

    public static TheoryData<string> Names => [.. Cases.Keys];

    private static Dictionary<string, OptimizerOptions> Registered { get; } = typeof(OptimizerOptions).GetCustomAttributes<JsonDerivedTypeAttribute>()
        .ToDictionary(type => (string)type.TypeDiscriminator!, type => (OptimizerOptions)Activator.CreateInstance(
            type.DerivedType, BindingFlags.CreateInstance | BindingFlags.Public | BindingFlags.Instance | BindingFlags.OptionalParamBinding, null, [], null)!);

    // Presets have forms that defaults don't: Sophia-H, SOAP's original, Scion's balls, Adam-mini's vectors. Kron's fits are rare only late in them.
    internal static Dictionary<string, OptimizerOptions> Cases { get; } = new(
    [
        .. Registered,
        .. from type in Registered
           from preset in ConfigFile.Presets(type.Value.GetType())
           select KeyValuePair.Create($"{type.Key} {preset.Key}", (OptimizerOptions)preset.Value),
        new("kron with rare fits", new KronOptions(FlatStart: 0, MinProbability: 0.3, BalanceEvery: 2)),
    ]);

    // The first of the resumed runs is on two threads, the others and the whole one are on one. A preset is resumed once.
    [Theory]
    [MemberData(nameof(Names))]
    public void It_learns_and_goes_on_bit_for_bit_from_other_steps_on_any_threads(string name)
    {
        using TemporaryFolder folder = new();
        int[] stops = Registered.ContainsKey(name) ? [1, 9, 17] : [9];
        Dictionary<int, TrainerState> states = [];
        List<double> losses = [];
        string whole;
        using (Session session = texts.Start(Cases[name], threads: 1))
        {
            session.Trainer.Initialize();
            for (int step = 1; step <= Steps; step++)
            {
                (long managed, long native) = (GC.GetAllocatedBytesForCurrentThread(), session.Backend.Ledger.Allocations);
                losses.Add(session.Trainer.Step().LossNats);
                Assert.True(step <= 10 || GC.GetAllocatedBytesForCurrentThread() - managed < 64 * 1024, $"{name}: managed memory in step {step}");
                Assert.True(step <= 10 || session.Backend.Ledger.Allocations == native, $"{name}: native memory in step {step}");
                if (stops.Contains(step))
                {
                    session.Save(folder.File($"{step}"));
                    states[step] = session.Trainer.State;
                }
            }

            whole = session.Save(folder.File("whole"));
        }

        // The rates of presets are for larger models and longer runs.
        double atLeast = Registered.ContainsKey(name) ? 0.3 : 0;
        Assert.True(losses.TakeLast(4).Average() < losses[0] - atLeast, $"{name}: loss {losses[0]:F3} to {losses[^1]:F3}");
        foreach (int stop in stops)
        {
            using Session session = texts.Start(Cases[name], threads: stop == stops[0] ? 2 : 1);
            session.Trainer.Restore(file => Path.Combine(folder.File($"{stop}"), file), states[stop]);
            for (int step = stop + 1; step <= Steps; step++)
            {
                session.Trainer.Step();
            }

            Assert.Equal(whole, session.Save(folder.File($"resumed-{stop}")));
        }
    }

    // For Schedule-Free, whose saved weights are not those in training.
    [Theory]
    [MemberData(nameof(Names))]
    public void Before_the_first_step_the_weights_to_be_judged_are_those_in_training(string name)
    {
        using CpuBackend backend = new(1);
        using ParameterSet parameters = Small(backend);
        using Optimizer optimizer = Cases[name].Build(parameters, backend);
        float[] before = Read(backend, parameters.Values);

        optimizer.BeginEvaluation();
        Assert.Equal(before, Read(backend, parameters.Values));
        optimizer.EndEvaluation();
        Assert.Equal(before, Read(backend, parameters.Values));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_gradient_that_is_not_a_number_changes_neither_weights_nor_state(string name)
    {
        using TemporaryFolder folder = new();
        using Session session = texts.Start(Cases[name], threads: 1, batchSize: 1);
        session.Trainer.Initialize();
        session.Trainer.Step();
        session.Trainer.Step();
        Tensor first = new(session.Trainer.Model.Parameters.Values.Buffer, 0, new Shape(1));
        float[] value = new float[1];
        session.Backend.Read(first, value);
        string before = session.Save(folder.File("before"));

        session.Backend.Fill(first, float.NaN);
        Assert.False(session.Trainer.Step().Finite);
        session.Backend.Write(first, value);

        Assert.Equal(before, session.Save(folder.File("after")));
    }

    // A penalty of so large a coefficient has a gradient that is not finite, and is no part of the loss.
    [Fact]
    public void Nor_does_one_whose_loss_is_a_number()
    {
        using TemporaryFolder folder = new();
        using Session session = texts.Start(new KronOptions(), threads: 1, zLoss: float.MaxValue);
        session.Trainer.Initialize();
        string before = session.Save(folder.File("before"));
        StepOutcome outcome = session.Trainer.Step();

        Assert.True(double.IsFinite(outcome.LossNats));
        Assert.False(outcome.Finite);
        Assert.Equal(before, session.Save(folder.File("after")));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void It_descends_a_quadratic_of_condition_one_thousand(string name)
    {
        using CpuBackend backend = new(1);
        using ParameterSet parameters = Small(backend);
        using Quadratic quadratic = new(parameters, backend);
        using Optimizer optimizer = Cases[name].Build(parameters, backend);
        double start = quadratic.Loss();
        const int Total = 300;
        for (int step = 1; step <= Total; step++)
        {
            ((IStepBatch)quadratic).ComputeGradients(null);
            double norm = Math.Sqrt(backend.SumOfSquares(parameters.Grads));
            optimizer.Step(new OptimizerStep(step, 1 - ((step - 1.0) / Total), (float)Math.Min(1, 1 / norm), Seed: 1, quadratic));
        }

        optimizer.BeginEvaluation();
        double end = quadratic.Loss();
        Assert.True(end < (Registered.ContainsKey(name) ? 0.5 : 1) * start, $"{name}: {start:G4} to {end:G4}");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void With_zero_gradients_nothing_but_decay_happens(string name)
    {
        using CpuBackend backend = new(1);
        using ParameterSet parameters = Small(backend);
        OptimizerOptions options = Cases[name];
        using Optimizer optimizer = options.Build(parameters, backend);
        Dictionary<string, float[]> before = parameters.Parameters.ToDictionary(parameter => parameter.Name, parameter => Read(backend, parameter.Value));
        backend.Fill(parameters.Grads, 0);
        for (int step = 1; step <= 3; step++)
        {
            backend.Fill(parameters.Grads, 0);
            optimizer.Step(new OptimizerStep(step, 1, 1, Seed: 1));
        }

        using OptimizerState state = new(backend);
        Rule[] rules = [.. options.Rules(state)];
        foreach (Parameter parameter in parameters.Parameters)
        {
            Rule rule = rules.First(rule => rule.Takes(parameter));
            bool decays = options.DecayOn switch
            {
                DecayScope.All => true,
                DecayScope.Linear => parameter.Role is ParameterRole.Hidden or ParameterRole.Head,
                _ => parameter.IsMatrix,
            };
            double share = decays && !rule.KeepsNorm ? rule.WeightDecay * (options.Decay == DecayKind.Decoupled ? 1 : rule.LearningRate) : 0;

            // Schedule-Free's weights in training lie between those that decay and their mean; the first step of SOAP's authors only fills its state.
            double kept = Math.Pow(1 - share, options is SoapOptions { Form: SoapForm.Original } ? 2 : 3), slack = rule.MovesWeights ? (1 - kept) * 0.9 : 0;
            float[] after = Read(backend, parameter.Value);
            Assert.All(after.Zip(before[parameter.Name]), pair => Assert.InRange(pair.First / pair.Second, kept - 1e-6, kept + slack + 1e-6));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Weights_of_zero_and_a_single_step_stay_numbers_or_are_refused_where_norms_are_kept(string name)
    {
        using CpuBackend backend = new(1);
        using ParameterSet parameters = Small(backend);
        using OptimizerState state = new(backend);
        using Optimizer optimizer = Cases[name].Build(parameters, backend);
        backend.Fill(parameters.Values, 0);
        backend.Fill(parameters.Grads, 0.1f);
        if (Cases[name].Rules(state).Any(rule => rule.KeepsNorm))
        {
            ValidationException error = Assert.Throws<ValidationException>(() => optimizer.Step(new OptimizerStep(1, 1, 1, Seed: 1)));
            Assert.StartsWith("optimizer: stacked is all zeros", error.Message, StringComparison.Ordinal);
            return;
        }

        optimizer.Step(new OptimizerStep(1, 1, 1, Seed: 1));
        optimizer.BeginEvaluation();
        Assert.All(Read(backend, parameters.Values), value => Assert.True(float.IsFinite(value)));
        Assert.All(optimizer.State, state => Assert.All(Read(backend, state.Tensor), value => Assert.True(float.IsFinite(value))));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Roles_and_not_shapes_choose_the_rule(string name)
    {
        using CpuBackend backend = new(1);
        using OptimizerState state = new(backend);
        Rule[] rules = [.. Cases[name].Rules(state)];
        Rule RuleOf(ParameterRole role, Shape shape) => rules.First(rule => rule.Takes(new Parameter("x", role, shape, 1, 0, default, 0, 0)));

        Rule hidden = RuleOf(ParameterRole.Hidden, new Shape(8, 8));
        Assert.Same(hidden, RuleOf(ParameterRole.Hidden, new Shape(1, 64)));
        Assert.Same(RuleOf(ParameterRole.Norm, new Shape(8)), RuleOf(ParameterRole.Bias, new Shape(512)));
        Assert.Same(RuleOf(ParameterRole.Embedding, new Shape(8, 8)), RuleOf(ParameterRole.Embedding, new Shape(1000, 8)));
        if (hidden.Name is "muon" or "normuon" or "muonh" or "spectral" or "adamh")
        {
            Assert.All(
                new[] { ParameterRole.Embedding, ParameterRole.Head, ParameterRole.Router }, role => Assert.NotSame(hidden, RuleOf(role, new Shape(8, 8))));
            Assert.NotSame(hidden, RuleOf(ParameterRole.Norm, new Shape(8)));
        }
    }

    // Starts itself in a process without AVX-512 and compares; where there is none, two processes are compared.
    [Fact]
    public void Another_process_without_avx512_gives_the_same_bits()
    {
        string[] fingerprints = [.. Cases.Select(pair => $"{pair.Key} {Fingerprint(pair.Value)}")];
        if (Environment.GetEnvironmentVariable(FingerprintsVariable) is { Length: > 0 } path)
        {
            File.WriteAllLines(path, fingerprints);
            return;
        }

        using TemporaryFolder folder = new();
        ProcessStartInfo start = new(Path.ChangeExtension(typeof(OptimizerConformanceTests).Assembly.Location, null))
        {
            ArgumentList = { "-method", $"{typeof(OptimizerConformanceTests).FullName}.{nameof(Another_process_without_avx512_gives_the_same_bits)}" },
            RedirectStandardOutput = true,
        };
        start.Environment["DOTNET_EnableAVX512"] = "0";
        start.Environment[FingerprintsVariable] = folder.File("fingerprints");
        using Process child = Process.Start(start)!;
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        Assert.True(File.Exists(folder.File("fingerprints")), output);
        Assert.Equal(fingerprints, File.ReadAllLines(folder.File("fingerprints")));
    }

    private string Fingerprint(OptimizerOptions options)
    {
        using TemporaryFolder folder = new();
        using Session session = texts.Start(options, threads: 1, batchSize: 1);
        session.Trainer.Initialize();
        for (int step = 1; step <= 11; step++)
        {
            session.Trainer.Step();
        }

        return session.Save(folder.Path);
    }

    private static float[] Read(CpuBackend backend, Tensor tensor)
    {
        float[] values = new float[tensor.Shape.Count];
        backend.Read(tensor, values);
        return values;
    }

    private static ParameterSet Small(CpuBackend backend)
    {
        ParameterSet parameters = new();
        parameters.Matrix("stacked", ParameterRole.Hidden, 24, 8, 0.3f, parts: 3, headWidth: 4, new ScoreRows(16, 4));
        parameters.Matrix("wide", ParameterRole.Hidden, 8, 20, 0.3f);
        parameters.Matrix("table", ParameterRole.Embedding, 17, 8, 0.3f);
        parameters.Matrix("head", ParameterRole.Head, 17, 8, 0.3f);
        parameters.Vector("gain", ParameterRole.Norm, 8, 1);
        parameters.Vector("bias", ParameterRole.Bias, 20, 0.1f);
        parameters.Allocate(backend, gradients: true);
        parameters.Initialize(backend, seed: 1);
        return parameters;
    }

    /// <summary>1/2 sum c (w - target)^2 with c from 0.01 to 10, over targets that have the norms of the weights' start.</summary>
    private sealed class Quadratic : IStepBatch, IDisposable
    {
        private readonly ParameterSet _parameters;
        private readonly CpuBackend _backend;
        private readonly float[] _curvatures, _targets, _weights, _grads;

        public Quadratic(ParameterSet parameters, CpuBackend backend)
        {
            (_parameters, _backend) = (parameters, backend);
            int count = (int)parameters.Length;
            (_curvatures, _weights, _grads) = (new float[count], new float[count], new float[count]);
            _targets = Read(backend, parameters.Values);
            Philox random = new(5, 5);
            foreach (Parameter parameter in parameters.Parameters)
            {
                Span<float> target = _targets.AsSpan((int)parameter.Offset, (int)parameter.Shape.Count);
                double before = Math.Sqrt(Squares(target));
                for (int i = 0; i < target.Length; i++)
                {
                    int at = (int)parameter.Offset + i;
                    _curvatures[at] = (float)Math.Pow(10, (3 * random.Uniform((ulong)at)) - 2);
                    target[i] += (float)(0.2 * (random.Uniform((ulong)(at + count)) - 0.5));
                }

                float scale = (float)(before / Math.Sqrt(Squares(target)));
                foreach (ref float value in target)
                {
                    value *= scale;
                }
            }
        }

        public long Targets => 1;

        public double Loss()
        {
            _backend.Read(_parameters.Values, _weights);
            return _weights.Select((w, i) => 0.5 * _curvatures[i] * Math.Pow(w - _targets[i], 2)).Sum();
        }

        /// <summary>Under drawn labels, what squares to the curvature.</summary>
        public void ComputeGradients(Philox? labels)
        {
            _backend.Read(_parameters.Values, _weights);
            for (int i = 0; i < _grads.Length; i++)
            {
                _grads[i] = labels is null ? _curvatures[i] * (_weights[i] - _targets[i]) : MathF.Sqrt(_curvatures[i]);
            }

            _backend.Write(_parameters.Grads, _grads);
        }

        public void Dispose()
        {
        }

        private static double Squares(ReadOnlySpan<float> values)
        {
            double sum = 0;
            foreach (float value in values)
            {
                sum += value * value;
            }

            return sum;
        }
    }

    /// <summary>The prepared corpus of all runs here.</summary>
    public sealed class Texts : IDisposable
    {
        private readonly TemporaryFolder _folder = new();
        private readonly Dataset _data;

        public Texts() => _data = Dataset.Prepare(TinyRun.Data, _folder.Path);

        public void Dispose()
        {
            _data.Dispose();
            _folder.Dispose();
        }

        internal Session Start(OptimizerOptions options, int threads, int batchSize = 4, double zLoss = 0)
        {
            RunConfig config = TinyRun.Config(new LlamaOptions(Layers: 2, Width: 32, Heads: 4, KeyValueHeads: 2, FeedForward: 40, Size: "20k", Tied: false), options) with
            {
                Training = new TrainingOptions(Duration.OfSteps(Steps), SequenceLength: 32, BatchSize: batchSize, ZLoss: zLoss),
                Schedule = new WsdOptions(Warmup: Duration.OfSteps(2), Decay: Duration.OfSteps(8)),
            };
            return new Session(config.Resolve(_data.Tokenizer.VocabularySize), _data, threads);
        }
    }

    internal sealed class Session : IDisposable
    {
        public Session(RunConfig config, Dataset data, int threads)
        {
            Backend = new CpuBackend(threads);
            Trainer = new Trainer(config, data, Backend);
        }

        public CpuBackend Backend { get; }

        public Trainer Trainer { get; }

        /// <summary>Saves and returns the hash of the weights and of the state.</summary>
        public string Save(string folder)
        {
            Directory.CreateDirectory(folder);
            Trainer.Save(name => File.Create(Path.Combine(folder, name)), endOfText: 0);
            return string.Join(' ', new[] { "model", "optim" }.Select(name =>
                Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(folder, $"{name}.safetensors"))))[..16]));
        }

        public void Dispose()
        {
            Trainer.Dispose();
            Backend.Dispose();
        }
    }
}
