using Windtunnel.Models;
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
        ["scion.study"] = c => c.Follow(ScionOptions.Study with
        {
            LearningRate = c["lr"],
            TableRadius = c["signum_ratio"],
            VectorRadius = c["signum_ratio"],
            RestMomentum = c["b1"],
            NewtonSchulz = new NewtonSchulzOptions((int)c["ns_steps"], c["ns_eps"]),
            ClipNorm = c["clip"],
        }),
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
            SophiaOptions.Study with { Interval = (int)c["interval"], Difference = CurvedBatch.Difference }, new(Batch: Curved)),
        ["sophia_g.original"] = c => c.Follow(
            SophiaOptions.Original with { LearningRate = c["lr"], Interval = (int)c["interval"] }, new(Batch: Sampled)),
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
            PadBlocks = false,
        };
        return c.Follow(new KronWithProbes(options, (step, parameter) => c.Noise("kron_V", step, parameter.Name)));
    }

    private static double Soap(GoldenTrajectory c, SoapOptions preset) => c.Follow(new SoapWithBases(
        preset with { ShampooBeta = c["sb"], Epsilon = c["eps"], Frequency = (int)c["freq"] },
        (parameter, _, isRight) => GoldenTrajectory.Flatten(c.Extra.GetProperty("Q0").GetProperty(parameter.Name)[isRight ? 1 : 0])));

    private static SampledBatch Sampled(GoldenTrajectory c, ParameterSet parameters, CpuBackend backend) =>
        new(parameters, backend, (long)c["bs"], (int)c["interval"], (step, parameter) => c.Noise("sophia_pg", step, parameter.Name));

    private static CurvedBatch Curved(GoldenTrajectory c, ParameterSet parameters, CpuBackend backend) =>
        new(parameters, backend, (int)c["interval"], (step, parameter) => c.Noise("sophia_h", step, parameter.Name));
}
