using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Ladders;
using Windtunnel.Experiments.Reports;
using Windtunnel.Laws;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tests.Training;
using Windtunnel.Training;

namespace Windtunnel.Tests.Experiments.Ladders;

/// <summary>The loop on a toy: ladder, fits, a prediction that is written first and can't be changed, targets, check.</summary>
public sealed class TunnelTests : IDisposable
{
    private const string Toy = """
        type: ladder
        name: toy
        run:
          threads: 1
          data: {corpus: {type: synthetic, documents: 2000, sentencesPerDocument: 2, vocabularySize: 20}, tokenizer: bytes, validationFraction: 0.1}
          model: {type: llama}
          optimizer: {type: adamw, learningRate: 1e-2}
          schedule: {type: wsd, warmup: 20%, decay: 20%}
          training: {sequenceLength: 32, batchSize: 8}
          validation: {every: 20%, tokens: null}
          logging: {tensorBoard: false}
        sizes: [2k, 4k, 8k]
        multipliers: [3, 6, 12]
        targets: [{size: 16k, multiplier: 6, seeds: [7]}, {size: 2k, multiplier: 24}]
        """;

    private readonly TemporaryFolder _folder = new();
    private readonly RecordingListener _listener = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_tunnel_predicts_before_it_trains_and_then_checks()
    {
        List<string> trained = [];
        string? seen = null;
        TunnelCheck check = Open().Run(
            runs =>
            {
                Assert.Equal(trained.Count > 0, File.Exists(At("prediction.json")));
                trained.AddRange(runs.Select(run => run.Name));
                return Train(runs);
            },
            (prediction, _) =>
            {
                Assert.Equal(12, Directory.GetDirectories(_folder.File("runs")).Length);
                Assert.All(prediction.Targets, target => Assert.True(target.Blind));
                Assert.Equal("over-training", prediction.Fits[0].Law);
                Assert.Equal(9, prediction.Runs.Count);
                seen = File.ReadAllText(At("prediction.json"));
            })!;

        Assert.Equal(14, trained.Count);
        Assert.Equal(seen, File.ReadAllText(At("prediction.json")));
        Assert.Equal($"{Hash("prediction.json")}  prediction.json\n", File.ReadAllText(At("prediction.json.sha256")));
        Assert.Equal(Hash("prediction.json"), check.PredictionSha256);
        Assert.All(check.Targets, target => Assert.Equal(check.PredictionSha256, RunRecord.Load(_folder.File($"runs/{target.Id}/run.json")).Prediction));
        Assert.Equal(check.Targets.Select(target => target.Name), Open().Verify()!.Recorded);
        Assert.Equal(["16k-x6-s7", "2k-x24-s1"], check.Targets.Select(target => target.Name));
        Fit fit = Fit.Load(At("fits/over-training.json"));
        foreach (CheckedTarget target in check.Targets)
        {
            RunFolder run = RunFolder.Open(_folder.File("runs"), target.Id);
            RunRecord record = RunRecord.Load(run.RecordPath);
            Assert.Equal(record.Summary!["val/synthetic/loss"], target.LossNats);
            Assert.Equal("over-training", target.Laws[0].Law);
            Assert.Contains("chinchilla", target.Laws.Select(law => law.Law));
            Assert.All(target.Laws, law => Assert.Equal((law.PredictedNats - target.LossNats) / target.LossNats, law.RelativeError));

            // L = E + (a M^eta + b M^-eta) C^-eta at what the target turned out to be.
            double n = record.Model!.NonEmbedding, d = MetricsLog.Read(run.MetricsPath).Last().At.Tokens;
            double m = Math.Pow(d / n, fit.Values[3]), loss = fit.Values[0] + (((fit.Values[1] * m) + (fit.Values[2] / m)) * Math.Pow(6 * n * d, -fit.Values[3]));
            Assert.Equal(loss, target.Laws[0].PredictedNats, 1e-9);
        }

        Assert.Empty(check.Notes!);
        EntropyCheck entropy = check.Entropy[0];
        Assert.Equal(("over-training", "E"), (entropy.Law, entropy.Parameter));
        Assert.All(check.Targets, target => Assert.True(target.LossNats > entropy.TrueNats));
        Assert.Equal((fit.Parameters[0].Value, fit.Parameters[0].Interval), (entropy.FittedNats, entropy.Interval));
    }

    [Fact]
    public void What_is_said_of_other_schedules_is_the_annealing_law_s_alone()
    {
        TunnelCheck check = Open(Toy.Replace("sizes: [2k, 4k, 8k]", "sizes: [2k]", StringComparison.Ordinal).Replace(
            "targets: [{size: 16k, multiplier: 6, seeds: [7]}, ", "targets: [{size: 2k, multiplier: 16, name: cosine, schedule: {type: cosine, minRatio: 0.3}}, ", StringComparison.Ordinal)).Run(Train)!;

        Assert.Equal(["2k-x16-cosine-s1", "2k-x24-s1"], check.Targets.Select(target => target.Name));
        Assert.Equal(["annealing"], check.Targets[0].Laws.Select(law => law.Law));
        Assert.All(check.Targets, target => Assert.True(double.IsFinite(target.Laws[0].Single.Low) && double.IsFinite(target.Laws[0].Single.High)));
    }

    [Fact]
    public void Stopped_anywhere_it_goes_on_and_ends_the_same()
    {
        Open().Run(Train);
        string[] files = [File.ReadAllText(At("prediction.json")), File.ReadAllText(At("check.json"))];
        Directory.Delete(_folder.File("experiments"), recursive: true);
        Directory.Delete(_folder.File("runs"), recursive: true);

        // In a trunk, in a branch, between prediction and seal, and in a target.
        long steps = 0;
        foreach (long end in (long[])[60, 250])
        {
            using StopSignal stop = StopSignal.Listen();
            _listener.OnStep = _ =>
            {
                if (++steps == end)
                {
                    stop.Request(75);
                }
            };
            Assert.Null(Open().Run(runs => Train(runs, stop)));
            Assert.False(File.Exists(At("prediction.json")));
        }

        _listener.OnStep = null;
        int stage = 0;
        Assert.Null(Open().Run(runs => ++stage == 1 && Train(runs)));
        Assert.Equal(files[0], File.ReadAllText(At("prediction.json")));
        File.Delete(At("prediction.json.sha256"));
        Assert.Null(Open().Run(runs => ++stage == 3 && Train(runs)));
        Assert.Equal(files[0], File.ReadAllText(At("prediction.json")));

        using (StopSignal stop = StopSignal.Listen())
        {
            _listener.OnStep = step =>
            {
                if (step.At.Step == 30)
                {
                    stop.Request(75);
                }
            };
            Assert.Null(Open().Run(runs => Train(runs, stop)));
        }

        _listener.OnStep = null;
        Assert.NotNull(Open().Run(Train));
        Assert.Equal(files[0], File.ReadAllText(At("prediction.json")));
        Assert.Equal(files[1], File.ReadAllText(At("check.json")));
    }

    [Fact]
    public void What_was_said_before_can_not_be_changed_later()
    {
        Open().Run(runs => runs[0].Kind == LadderRunKind.Trunk && Train(runs));
        string text = File.ReadAllText(At("prediction.json")), fit = File.ReadAllText(At("fits/over-training.json"));

        JsonNode altered = JsonNode.Parse(text)!;
        altered["targets"]![0]!["laws"]![0]!["lossNats"] = 1.0;
        File.WriteAllText(At("prediction.json"), altered.ToJsonString());
        Assert.Contains("was changed after the targets were started", Assert.Throws<InvalidDataException>(() => Open().Run(Train)).Message, StringComparison.Ordinal);

        File.Delete(At("prediction.json"));
        Assert.Contains("is gone", Assert.Throws<InvalidDataException>(() => Open().Run(Train)).Message, StringComparison.Ordinal);

        File.WriteAllText(At("prediction.json"), text);
        File.WriteAllText(At("fits/over-training.json"), fit + " ");
        Assert.Contains("is not the fit", Assert.Throws<InvalidDataException>(() => Open().Run(Train)).Message, StringComparison.Ordinal);

        File.WriteAllText(At("fits/over-training.json"), fit);
        Assert.Contains(
            "give the changed ladder another name",
            Assert.Throws<ValidationException>(() => Open(Toy.Replace("multiplier: 24", "multiplier: 25", StringComparison.Ordinal)).Run(Train)).Message, StringComparison.Ordinal);
        Assert.Contains(
            "give the changed ladder another name", Assert.Throws<ValidationException>(() => Open(Toy + "\nhold: {eta: 0.2}").Run(Train)).Message, StringComparison.Ordinal);
        File.WriteAllText(At("prediction.json.sha256"), new string('a', 20_000_000));
        Assert.Contains("larger than", Assert.Throws<InvalidDataException>(() => Open().Run(Train)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_parameter_that_is_held_is_held_in_the_headline_s_fit_alone_and_the_prediction_says_so()
    {
        TunnelPrediction? said = null;
        TunnelCheck check = Open(Toy + "\nhold: {eta: 0.2}").Run(Train, (prediction, _) => said = prediction)!;

        Fit fit = Fit.Load(At("fits/over-training.json"));
        Assert.Equal(("eta", 0.2, true), (fit.Parameters[3].Name, fit.Parameters[3].Value, fit.Parameters[3].Pinned));
        Assert.DoesNotContain(Fit.Load(At("fits/chinchilla.json")).Parameters, parameter => parameter.Pinned);
        Assert.Contains("eta was held at 0.2: intervals are for that value of it", said!.Fits[0].Warnings);
        Assert.Equal(check.PredictionSha256, Open(Toy + "\nhold: {eta: 0.2}").Run(Train)!.PredictionSha256);
        Assert.Contains("give the changed ladder another name", Assert.Throws<ValidationException>(() => Open().Run(Train)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_prediction_that_was_changed_together_with_its_hash_is_found_out()
    {
        Open().Run(Train);
        string check = File.ReadAllText(At("check.json"));

        JsonNode altered = JsonNode.Parse(File.ReadAllText(At("prediction.json")))!;
        altered["targets"]![0]!["laws"]![0]!["lossNats"] = 1.0;
        File.WriteAllText(At("prediction.json"), altered.ToJsonString());
        File.WriteAllText(At("prediction.json.sha256"), $"{Hash("prediction.json")}  prediction.json\n");

        Refused("check.json was written");
        Assert.Equal(check, File.ReadAllText(At("check.json")));
        File.Delete(At("check.json"));
        Assert.StartsWith("16k-x6-s7, 2k-x24-s1: run.json does not have", Open().Run(Train)!.Notes![0], StringComparison.Ordinal);

        void Refused(string problem)
        {
            Assert.Contains(problem, Assert.Throws<InvalidDataException>(() => Open().Run(Train)).Message, StringComparison.Ordinal);
            Assert.Contains(problem, Assert.Throws<InvalidDataException>(() => ExperimentReport.Of(ExperimentFolder.Open(_folder.File("experiments"), "toy"), Store())).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Of_two_tunnels_at_once_the_one_that_predicts_first_stands()
    {
        string? first = null;
        TunnelCheck check = Open().Run(runs =>
        {
            if (first is null)
            {
                Open().Run(Train);
                first = File.ReadAllText(At("prediction.json"));
            }

            return Train(runs);
        })!;

        Assert.Equal(first, File.ReadAllText(At("prediction.json")));
        Assert.Equal(Hash("prediction.json"), check.PredictionSha256);
        Assert.DoesNotContain("\"blind\":false", first!.Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public void A_target_that_was_there_before_the_prediction_is_named()
    {
        Tunnel tunnel = Open();
        using StopSignal stop = StopSignal.Listen();
        Store().Train(tunnel.Ladder.Targets[1].Planned, stop);

        tunnel.Run(runs => runs[0].Kind == LadderRunKind.Trunk && Train(runs), (prediction, _) => Assert.Equal([true, false], prediction.Targets.Select(target => target.Blind)));
    }

    [Fact]
    public void A_target_that_another_experiment_trained_is_not_said_to_have_come_after_the_prediction()
    {
        TunnelCheck check = Open(Toy.Replace("tokens: null", "tokens: 1000", StringComparison.Ordinal)).Run(runs =>
        {
            using StopSignal stop = StopSignal.Listen();
            foreach ((LadderRun target, string? prediction) in runs.Where(run => run.Kind == LadderRunKind.Whole).Zip([null, new string('a', 64)]))
            {
                Store().Train(target.Planned with { Prediction = prediction }, stop);
            }

            return Train(runs);
        })!;

        Assert.Equal(2, check.Notes!.Count);
        Assert.StartsWith("16k-x6-s7, 2k-x24-s1: run.json does not have the prediction's SHA-256", check.Notes[0], StringComparison.Ordinal);
        Assert.Contains("losses are of 1,000; set validation.tokens: null", check.Notes[1], StringComparison.Ordinal);
        Assert.Empty(check.Entropy);
        Assert.Equal(check.Notes, TunnelCheck.Load(At("check.json")).Notes);
        Report report = ExperimentReport.Of(ExperimentFolder.Open(_folder.File("experiments"), "toy"), Store());
        Assert.Contains("before the models were trained, though no record shows it of 16k-x6-s7, 2k-x24-s1.", report.Lead, StringComparison.Ordinal);
        Assert.Empty(check.Notes.Except(report.Sections.SelectMany(section => section.Blocks).OfType<ReportNotes>().SelectMany(notes => notes.Lines)));
    }

    [Fact]
    public void A_branch_has_the_bits_of_the_uninterrupted_run_to_the_same_end()
    {
        Ladder ladder = Open().Ladder;
        LadderRun branch = ladder.Runs[2];
        using StopSignal stop = StopSignal.Listen();
        RunStore store = Store();
        store.Train(branch.Planned.Trunk!, stop);

        RunOutcome off = store.Train(branch.Planned, stop)!, whole = store.Train(new PlannedRun(branch.Planned.Config), stop)!;

        Assert.NotEqual(off.Id, whole.Id);
        Assert.Equal((whole.LossNats, whole.Tokens, whole.Steps), (off.LossNats, off.Tokens, off.Steps));
        Assert.Equal(TinyRun.Fingerprint(RunFolder.Open(_folder.File("runs"), whole.Id)), TinyRun.Fingerprint(RunFolder.Open(_folder.File("runs"), off.Id)));
    }

    private Tunnel Open(string text = Toy)
    {
        string path = _folder.Write("toy.yaml", text);
        return new Tunnel(ExperimentFolder.Create(_folder.File("experiments"), ConfigFile.Load<ExperimentOptions>(path), path), Store());
    }

    private RunStore Store() => new(new RunPlaces(_folder.File("runs"), _folder.File("data")), _listener);

    private bool Train(IReadOnlyList<LadderRun> runs)
    {
        using StopSignal stop = StopSignal.Listen();
        return Train(runs, stop);
    }

    private bool Train(IReadOnlyList<LadderRun> runs, StopSignal stop)
    {
        ExperimentFolder folder = ExperimentFolder.Open(_folder.File("experiments"), "toy");
        RunStore store = Store();
        new Worker("test", folder.Load(), store, folder.Queue, _ => { }).Run(stop);
        return stop.ExitCode is null && runs.All(run => store.Find(run.Planned) is not null);
    }

    private string At(string file) => _folder.File($"experiments/toy/{file}");

    private string Hash(string file) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(At(file))));
}
