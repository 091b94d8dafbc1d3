using System.Text.Json;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

/// <summary>Every rule as Wen et al. 2025 ran it, and as its authors wrote it, against trajectories that were checked with both codes.</summary>
public sealed class StudyGoldenTests
{
    private const double Tolerance = 5e-6;

    private static readonly Dictionary<string, Func<GoldenTrajectory, double>> s_cases = new()
    {
        ["adamw.torch"] = c => c.Follow(new AdamWOptions(c["lr"], c["b1"], c["b2"], c["eps"], c["wd"]) { DecayOn = DecayScope.All }),
        ["adamw.study"] = c => c.Follow(AdamWOptions.Study),
        ["nadamw.study"] = c => c.Follow(NAdamWOptions.Study),
        ["nadam.torch"] = c => c.Follow(NAdamWOptions.Original),
        ["mars.study"] = c => c.Follow(MarsOptions.Study),
        ["mars.original"] = c => c.Follow(MarsOptions.Original with { WeightDecay = c["wd"] }),
        ["mars.original_lion"] = c => c.Follow(MarsOptions.Original with
        {
            Base = MarsBase.Lion,
            LearningRate = c["lr"],
            WeightDecay = c["wd"],
            Vectors = MarsOptions.Original.Vectors with { Ratio = c["lr_1d"] / c["lr"] },
        }),
        ["cautious.study"] = c => c.Follow(CautiousOptions.Study),
        ["cautious.original"] = c => c.Follow(CautiousOptions.Original with { LearningRate = c["lr"], WeightDecay = c["wd"] }),
        ["lion.study"] = c => c.Follow(LionOptions.Study),
        ["lion.original"] = c => c.Follow(LionOptions.Original with { LearningRate = c["lr"], WeightDecay = c["wd"] }),
        ["adam_mini.study"] = c => c.Follow(AdamMiniOptions.Study),
        ["adam_mini.study_qk"] = c => c.Follow(AdamMiniOptions.Study, new(Scores: new ScoreRows(4, 2))),
        ["adam_mini.original"] = c => c.Follow(AdamMiniOptions.Original with { LearningRate = c["lr"], Beta2 = c["b2"], WeightDecay = c["wd"] }),
        ["adam_mini.original_qk"] = c => c.Follow(
            AdamMiniOptions.Original with { LearningRate = c["lr"], Beta2 = c["b2"], WeightDecay = c["wd"] }, new(Scores: new ScoreRows(4, 2))),
        ["muon.study"] = c => c.Follow(Muon(c, MuonOptions.Study)),
        ["muon.study_ns10"] = c => c.Follow(Muon(c, MuonOptions.Study)),
        ["muon.original"] = c => c.Follow(Muon(c, MuonOptions.Original)),
        ["muon.moonlight"] = c => c.Follow(Muon(c, MuonOptions.Moonlight)),
        ["normuon.original"] = c => c.Follow(NorMuonOptions.Original),
        ["muonh.marin"] = c => c.Follow(new MuonHOptions() { ClipNorm = c["clip"] }),
        ["adamh.marin"] = c => c.Follow(new AdamHOptions() { ClipNorm = c["clip"] }),
        ["scion.study"] = c => c.Follow(ScionOptions.Study with { LearningRate = c["lr"] }),
        ["scion.original"] = c => c.Follow(ScionOptions.Original with { LearningRate = c["lr"] }),
        ["scion.original_sign"] = c => c.Follow(ScionOptions.Original with { LearningRate = c["lr"], Constrained = false }, new(ParameterRole.Head)),
        ["kron.study"] = c => Kron(c, KronOptions.Study),
        ["kron.study_nonorm"] = c => Kron(c, KronOptions.Study with { Normalize = false }),
        ["kron.study_sparse"] = c => Kron(c, KronOptions.Study with { Normalize = false, BalanceEvery = (int)c["balance_every"] }),
        ["kron.original"] = c => Kron(c, KronOptions.Original),
        ["soap.study"] = c => Soap(c, SoapOptions.Study),
        ["soap.study_onesided"] = c => Soap(c, SoapOptions.Study with { MaxDimension = (int)c["max_dim"] }),
        ["soap.original"] = c => Soap(c, SoapOptions.Original),
        ["sophia_h.study"] = c => c.Follow(
            SophiaOptions.Study with { Interval = (int)c["interval"], Difference = CurvedBatch.Difference }, new(Batch: (c, p, b) => new CurvedBatch(c, p, b))),
        ["sophia_g.original"] = c => c.Follow(
            SophiaOptions.Original with { LearningRate = c["lr"], Interval = (int)c["interval"] }, new(Batch: (c, p, b) => new SampledBatch(c, p, b))),
        ["ademamix.original"] = c => c.Follow(AdEMAMixOptions.Original with
        {
            LearningRate = c["lr"],
            Alpha = c["alpha"],
            WarmupSteps = (long)c["a_warm"],
            WeightDecay = c["wd"],
        }),
        ["schedulefree_adamw.original"] = c => c.Follow(
            ScheduleFreeOptions.Original with { LearningRate = c["lr"], WeightDecay = c["wd"] }, new(RateFactor: step => Math.Min(1, step / c["warmup"]))),
    };

    public static TheoryData<string> Names => [.. s_cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Twelve_steps_stay_within_5e_6_of_the_published_trajectory(string name)
    {
        double worst = s_cases[name](new GoldenTrajectory(SharedData.Require("data/optimizers/golden.json"), name));
        Assert.True(worst <= Tolerance, $"{name}: largest difference {worst:E2}");
    }

    private static MuonOptions Muon(GoldenTrajectory c, MuonOptions preset) => preset with
    {
        LearningRate = c["lr"],
        Momentum = c["momentum"],
        WeightDecay = c["wd"],
        NewtonSchulz = preset.NewtonSchulz with { Steps = (int)c["ns_steps"], Epsilon = c["ns_eps"] },
        Adam = new AdamRestOptions(c["adam_lr"] / c["lr"], c["b1"], c["b2"], c["eps"]),
    };

    // The noise of the probes is the file's.
    private static double Kron(GoldenTrajectory c, KronOptions preset)
    {
        KronOptions options = preset with
        {
            LearningRate = c["lr"],
            Beta1 = c["b1"],
            WeightDecay = c["wd"],
            PreconditionerRate = c["plr"],
            FlatStart = (int)c["flat_start"],
            MinProbability = c["min_prob"],
        };
        return c.Follow(new InjectedKronOptions(options, c));
    }

    // The bases after the first step, which are not unique while the averages have a low rank, are the file's.
    private static double Soap(GoldenTrajectory c, SoapOptions preset) => c.Follow(
        preset with { ShampooBeta = c["sb"], Epsilon = c["eps"], Frequency = (int)c["freq"] },
        new(AfterStep: (step, optimizer, backend) =>
        {
            foreach ((string name, Tensor basis) in step == 1 ? optimizer.State.Where(state => state.Name.StartsWith("soap.basis.", StringComparison.Ordinal)) : [])
            {
                JsonElement both = c.Extra.GetProperty("Q0").GetProperty(name.EndsWith(".W", StringComparison.Ordinal) ? "W" : "b");
                backend.Write(basis, GoldenTrajectory.Flatten(both[name.Contains(".right.", StringComparison.Ordinal) ? 1 : 0]));
            }
        }));

    private sealed record InjectedKronOptions(KronOptions Options, GoldenTrajectory Golden) : OptimizerOptions(Options)
    {
        public override string Source => Options.Source;

        public override IEnumerable<Rule> Rules(OptimizerState state) =>
            Options.Rules(state).Select(rule => rule with { Direction = (state, group) => new KronDirection(state, group, Options, Probe(state.Backend)) });

        private KronProbe Probe(Backend backend) => (Tensor destination, BlockBatch batch, int first, in DirectionStep step) =>
            backend.Write(destination, Golden.Noise("kron_V", (int)step.Number, batch.IsVector ? "b" : "W"));
    }

    /// <summary>Gradients under drawn labels are those of the file.</summary>
    private sealed class SampledBatch(GoldenTrajectory golden, ParameterSet parameters, CpuBackend backend) : IStepBatch
    {
        private int _calls;

        public long Targets => 5120;

        public void ComputeGradients(Philox? labels)
        {
            Assert.NotNull(labels);
            _calls++;
            foreach (Parameter parameter in parameters.Parameters)
            {
                backend.Write(parameter.Grad, golden.Noise("sophia_pg", _calls * (int)golden["interval"], parameter.Name));
            }
        }
    }

    /// <summary>A loss whose Hessian is diagonal, such that Hutchinson's estimate is that of the file whatever the shift is.</summary>
    private sealed class CurvedBatch(GoldenTrajectory golden, ParameterSet parameters, CpuBackend backend) : IStepBatch
    {
        public const double Difference = 0.5;

        private readonly Dictionary<string, float[]> _first = [];
        private int _calls;

        public long Targets => 1;

        public void ComputeGradients(Philox? labels)
        {
            Assert.Null(labels);
            int step = ((_calls++ / 2) + 1) * (int)golden["interval"];
            foreach (Parameter parameter in parameters.Parameters)
            {
                float[] weights = new float[parameter.Shape.Count], estimates = golden.Noise("sophia_h", step, parameter.Name);
                backend.Read(parameter.Value, weights);
                if (_calls % 2 == 1)
                {
                    _first[parameter.Name] = weights;
                    backend.Fill(parameter.Grad, 0);
                    continue;
                }

                // The shift between the two points is -2 e u; a Hessian of estimate / u^2 gives u (H u) = estimate.
                backend.Write(parameter.Grad, [.. weights.Select((w, i) => (float)(estimates[i] * 4 * Difference * Difference / ((double)w - _first[parameter.Name][i])))]);
            }
        }
    }
}
