using System.ComponentModel.DataAnnotations;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Models.Inheritance;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training;

namespace Windtunnel.Tests.Training;

public sealed class InheritedRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public InheritedRunTests() => Train(TinyRun.Config(steps: 10), "reference");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_run_starts_from_its_references_first_layers_and_records_its_lineage()
    {
        using TrainingRun run = TrainingRun.Start(Inheriting(new FirstOptions(Reference)), new ConfigOrigin(null, []), Places("child"), new RecordingListener());
        RunFolder folder = run.Folder;

        RunConfig config = ConfigFile.Load<RunConfig>(folder.ConfigPath);
        Assert.Equal((1, 32, true), (config.Model.Layers, config.Model.Width, ((LlamaOptions)config.Model).QkNorm));
        Assert.Equal($"{Reference}@10", config.Inheritance!.From);
        RunRecord record = RunRecord.Load(folder.RecordPath);
        Assert.Equal(new RunParent("reference", 10, RunParentKind.Inherit), record.Parent);
        RunLineage lineage = record.Lineage!;
        LineageSource source = Assert.Single(lineage.References);
        Assert.Equal(($"{Reference}@10", 2), (source.Path, source.Layers));
        Assert.Equal([0], lineage.Layers);
        Assert.Equal(record.Model!.Parameters, lineage.Parameters);
        Assert.Equal(lineage.Parameters, lineage.Copied);
        Assert.True(source.Parameters > lineage.Parameters);
        Assert.Equal(config.Inheritance.Sha256, source.Sha256);

        using SafetensorsFile before = Weights(Path.Combine(Reference, "checkpoints", "step-00000010")), after = Weights(Path.Combine(folder.CheckpointsPath, "step-00000000"));
        Assert.All(after.Tensors, tensor => Assert.Equal(Values(before, tensor.Name), Values(after, tensor.Name)));
    }

    [Fact]
    public void A_run_is_known_by_its_references_weights_and_not_by_their_place()
    {
        string moved = _folder.File("elsewhere");
        CopyFolder(Reference, moved);
        Train(TinyRun.Config(steps: 11), "other");
        RunConfig config = Inheriting(new FirstOptions(Reference)).Resolve(257);

        Assert.Equal(config.Fingerprint(), config.Resolve(257).Fingerprint());
        Assert.Equal(config.Fingerprint(), Inheriting(new FirstOptions(moved)).Resolve(257).Fingerprint());
        Assert.Equal(config.Fingerprint(), Inheriting(new FirstOptions($"{moved}@10", Layers: null)).Resolve(257).Fingerprint());
        Assert.NotEqual(config.Fingerprint(), Inheriting(new FirstOptions(_folder.File("runs/other"))).Resolve(257).Fingerprint());
        Assert.NotEqual(config.Fingerprint(), Inheriting(new FirstOptions(Reference, Copy: InheritedParts.Code)).Resolve(257).Fingerprint());
        Assert.Equal(Taught(Reference).Resolve(257).Fingerprint(), Taught(moved).Resolve(257).Fingerprint());
        Assert.NotEqual(Taught(Reference).Resolve(257).Fingerprint(), TinyRun.Config().Resolve(257).Fingerprint());

        // A config without another model says nothing of one: its fingerprint stays what it always was.
        string yaml = ConfigFile.ToYaml(TinyRun.Config(TinyRun.Gpt2));
        Assert.DoesNotContain("inheritance", yaml, StringComparison.Ordinal);
        Assert.DoesNotContain("distillation", yaml, StringComparison.Ordinal);
        Assert.DoesNotContain("inverseLayerScale", yaml, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_goes_on_to_the_same_bits_when_its_reference_is_gone()
    {
        RunConfig config = Inheriting(new AlternateOptions(Reference, Layers: 1, Norms: false));
        string whole = TinyRun.Fingerprint(Train(config, "whole"));
        using StopSignal stop = new();
        RunFolder folder = Train(config, "stopped", stop, new RecordingListener { OnStep = step => { if (step.At.Step == 8) { stop.Request(143); } } });
        Directory.Delete(Reference, recursive: true);

        using (TrainingRun run = TrainingRun.Resume("stopped", Places(), new RecordingListener()))
        {
            Assert.Equal(0, run.Train(new StopSignal()));
        }

        Assert.Equal(whole, TinyRun.Fingerprint(folder));
    }

    [Fact]
    public void A_run_that_never_saved_inherits_again_and_only_from_the_same_weights()
    {
        RunConfig config = Inheriting(new FirstOptions(Reference));
        string whole = TinyRun.Fingerprint(Train(config, "whole"));
        RunFolder folder;
        using (TrainingRun run = TrainingRun.Start(config, new ConfigOrigin(null, []), Places("early"), new RecordingListener()))
        {
            folder = run.Folder;
        }

        Directory.Delete(folder.CheckpointsPath, recursive: true);
        using (TrainingRun run = TrainingRun.Resume("early", Places(), new RecordingListener()))
        {
            run.Train(new StopSignal());
        }

        Assert.Equal(whole, TinyRun.Fingerprint(folder));
        Directory.Delete(folder.CheckpointsPath, recursive: true);
        Directory.Delete(Reference, recursive: true);
        Train(TinyRun.Config(steps: 10) with { Seed = 2 }, "reference");
        ValidationException error = Assert.Throws<ValidationException>(() => TrainingRun.Resume("early", Places(), new RecordingListener()));
        Assert.Contains("are not those that the config was resolved with", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_branch_of_a_run_that_inherited_does_not_inherit_again()
    {
        Train(Inheriting(new FirstOptions(Reference)), "child");
        RunFolder branch;
        using (TrainingRun run = TrainingRun.Branch("child", step: null, ["training.length=30"], Places("branch"), new RecordingListener()))
        {
            branch = run.Folder;
        }

        Directory.Delete(branch.CheckpointsPath, recursive: true);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => TrainingRun.Resume("branch", Places(), new RecordingListener()));
        Assert.Contains("has no checkpoint yet; start it again from child step", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_reference_that_is_absent_reads_other_tokens_or_has_another_shape_is_refused()
    {
        Fails(Inheriting(new FirstOptions()), "inheritance.from: is missing");
        Fails(Inheriting(new FirstOptions(_folder.File("nothing"))), "is no run and no other model");
        Fails(Inheriting(new FirstOptions(_folder.Path)), "is no run and no other model");
        Fails(Inheriting(new FirstOptions(Reference, Layers: 3)), "inheritance.layers: 3");
        Fails(Inheriting(new FirstOptions(Reference)) with { Model = new LlamaOptions(Layers: 1, QkNorm: true, Width: 64) }, "model.width: 64 is not the 32 that is inherited");
        Fails(Inheriting(new FirstOptions(Reference)) with { Model = TinyRun.Gpt2 }, "model.type: gpt2 is not the llama");
        Fails(Inheriting(new FirstOptions(Reference)) with { Data = OtherTokenizer }, "its tokenizer is another");
        Fails(Taught(_folder.File("nothing")), "training.distillation.from");
        Fails(Taught(Reference) with { Data = OtherTokenizer }, "its tokenizer is another");
        RunConfig taught = Taught(Reference);
        Fails(taught with { Model = TinyRun.Llama with { Vocabulary = 300 } }, "has a vocabulary of 257, the student one of 300");
        Fails(taught with { Training = taught.Training with { ZLoss = 0.1 } }, "training.zLoss");
        Fails(taught with { Training = taught.Training with { Distillation = new DistillationOptions(Reference, Weight: 2) } }, "training.distillation.weight: 2");

        void Fails(RunConfig config, string message)
        {
            ValidationException error = Assert.Throws<ValidationException>(
                () => TrainingRun.Start(config, new ConfigOrigin(null, []), Places(), new RecordingListener()).Dispose());
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_model_that_agrees_with_the_reference_may_be_given()
    {
        RunConfig config = (Inheriting(new FirstOptions(Reference)) with { Model = new LlamaOptions(Layers: 1, Width: 32, QkNorm: true) }).Resolve(257);

        Assert.Equal(Inheriting(new FirstOptions(Reference)).Resolve(257).Fingerprint(), config.Fingerprint());
    }

    [Fact]
    public void A_student_that_is_its_teacher_has_nothing_to_learn_from_it()
    {
        RecordingListener listener = new();
        RunConfig config = Taught(Reference) with { Inheritance = new FirstOptions(Reference, Layers: 2), Model = new LlamaOptions() };
        config = config with { Training = config.Training with { Distillation = new DistillationOptions(Reference, Weight: 1) } };

        RunFolder folder = Train(config, "copy", listener: listener);

        Assert.InRange(listener.Steps[0].Divergence, -1e-6, 1e-6);
        Assert.InRange(listener.Steps[0].GradNorm, 0, 1e-5);
        Assert.True(listener.Steps[0].LossNats > 1);
        Assert.All(MetricsLog.Read(folder.MetricsPath).Where(row => row.Values.ContainsKey("train/loss")), row => Assert.True(row.Values.ContainsKey("train/divergence")));
    }

    [Fact]
    public void A_student_comes_nearer_to_its_teacher_and_resumes_bit_for_bit()
    {
        RecordingListener taught = new();
        RunConfig config = Taught(Reference);
        config = config with { Training = config.Training with { Length = Duration.OfSteps(30), Distillation = new DistillationOptions(Reference, Weight: 0.9, Temperature: 2) } };

        string whole = TinyRun.Fingerprint(Train(config, "whole", listener: taught));

        Assert.True(taught.Steps[^1].Divergence < 0.8 * taught.Steps[0].Divergence, $"{taught.Steps[0].Divergence} to {taught.Steps[^1].Divergence}");
        using StopSignal stop = new();
        RunFolder folder = Train(config with { Threads = 2 }, "stopped", stop, new RecordingListener { OnStep = step => { if (step.At.Step == 11) { stop.Request(143); } } });
        using (TrainingRun run = TrainingRun.Resume("stopped", Places(), new RecordingListener()))
        {
            run.Train(new StopSignal());
        }

        Assert.Equal(whole, TinyRun.Fingerprint(folder));
    }

    [Fact]
    public void Memory_with_a_teacher_is_foreseen()
    {
        RunConfig config = Taught(Reference).Resolve(257);
        using TrainingRun run = TrainingRun.Start(config, new ConfigOrigin(null, []), Places(), new RecordingListener());
        run.Train(new StopSignal());

        Assert.Equal(1, (double)RunEstimate.Of(config).Memory.Total / run.Model.Backend.Ledger.PeakBytes, 0.05);
    }

    [Fact]
    public void A_folder_that_was_inherited_or_exported_is_a_reference_too()
    {
        string folder = _folder.File("exported");
        Directory.CreateDirectory(folder);
        foreach (string file in new[] { "model.safetensors", "config.json" })
        {
            File.Copy(Path.Combine(Reference, "checkpoints", "step-00000010", file), Path.Combine(folder, file));
        }

        Fails("has no tokenizer");
        File.Copy(Path.Combine(Reference, "hf", "tokenizer.json"), Path.Combine(folder, "tokenizer.json"));
        using TrainingRun ofRun = TrainingRun.Start(Inheriting(new FirstOptions(Reference)), new ConfigOrigin(null, []), Places("of-run"), new RecordingListener());
        using TrainingRun ofFolder = TrainingRun.Start(Inheriting(new FirstOptions(folder)), new ConfigOrigin(null, []), Places("of-folder"), new RecordingListener());

        Assert.Equal(ofRun.Config.Inheritance!.Sha256, ofFolder.Config.Inheritance!.Sha256);
        Assert.Null(RunRecord.Load(ofFolder.Folder.RecordPath).Parent);
        Assert.Equal(folder, Assert.Single(RunRecord.Load(ofFolder.Folder.RecordPath).Lineage!.References).Path);
        using SafetensorsFile first = Weights(Path.Combine(ofRun.Folder.CheckpointsPath, "step-00000000")), second = Weights(Path.Combine(ofFolder.Folder.CheckpointsPath, "step-00000000"));
        Assert.All(first.Tensors, tensor => Assert.Equal(Values(first, tensor.Name), Values(second, tensor.Name)));

        void Fails(string message) => Assert.Contains(
            message, Assert.Throws<InvalidDataException>(() => TrainingRun.Start(Inheriting(new FirstOptions(folder)), new ConfigOrigin(null, []), Places(), new RecordingListener())).Message,
            StringComparison.Ordinal);
    }

    private string Reference => _folder.File("runs/reference");

    private static Windtunnel.Text.DataOptions OtherTokenizer => TinyRun.Data with { Tokenizer = new BpeTokenizerOptions(VocabularySize: 258) };

    private static RunConfig Inheriting(InheritanceOptions inheritance) => TinyRun.Config() with { Model = new LlamaOptions(), Inheritance = inheritance };

    private static RunConfig Taught(string teacher) =>
        TinyRun.Config() with { Training = TinyRun.Config().Training with { Distillation = new DistillationOptions(teacher) } };

    private RunPlaces Places(string? id = null) => new(_folder.File("runs"), _folder.File("data"), id);

    private RunFolder Train(RunConfig config, string id, StopSignal? stop = null, RecordingListener? listener = null)
    {
        using TrainingRun run = TrainingRun.Start(config, new ConfigOrigin(null, []), Places(id), listener ?? new RecordingListener());
        run.Train(stop ?? new StopSignal());
        return run.Folder;
    }

    private static SafetensorsFile Weights(string checkpoint) => SafetensorsFile.Open(Path.Combine(checkpoint, "model.safetensors"));

    private static float[] Values(SafetensorsFile file, string name)
    {
        float[] values = new float[file.Info(name).Elements];
        file.ReadSingles(name, values);
        return values;
    }

    private static void CopyFolder(string from, string to)
    {
        foreach (string path in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(to, Path.GetRelativePath(from, path));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(path, copy);
        }
    }
}
