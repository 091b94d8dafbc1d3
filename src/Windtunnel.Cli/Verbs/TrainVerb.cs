using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Cli.Verbs;

/// <summary>Trains a new run, or says what it would cost.</summary>
internal static class TrainVerb
{
    // What the engine reaches on models of a few million parameters, validation and checkpoints included.
    private const double Utilisation = 0.5;

    private static readonly Argument<string[]> s_words = ConfigWords.Argument();
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption();
    private static readonly Option<string?> s_id = RunSession.IdOption();
    private static readonly Option<bool> s_dryRun = new("--dry-run") { Description = "print the resolved config, and what the run would cost, and train nothing" };
    private static readonly Option<string?> s_initFrom = new("--init-from")
    {
        Description = "take the first weights, and nothing else, from a run's newest checkpoint, from that of a step, or from a file",
        HelpName = "RUN[@STEP]|FILE.safetensors",
    };

    public static Command Command
    {
        get
        {
            Verb train = new("train", "train a language model; every setting has a default: --dry-run shows them, docs/settings.md explains them", """
                windtunnel train
                windtunnel train configs/runs/tiny.yaml
                windtunnel train configs/runs/llama-1m-wsd.yaml --optimizer=muon --training.length "20m tokens"
                windtunnel train --model.size=5m --dry-run
                """)
            { s_words, s_initFrom, s_runs, s_data, s_id, s_dryRun };
            train.SetAction(Run);
            return train;
        }
    }

    private static int Run(ParseResult parsed)
    {
        ConfigWords words = ConfigWords.Parse(parsed, s_words);
        RunConfig config = words.Load();
        if (parsed.GetValue(s_dryRun))
        {
            Explain(config);
            return 0;
        }

        RunPlaces places = new(parsed.GetValue(s_runs)!, parsed.GetValue(s_data)!, parsed.GetValue(s_id));
        (string? weights, RunParent? parent) = InitialWeights(parsed.GetValue(s_initFrom), places.Runs);
        using TrainingDisplay display = TrainingDisplay.For(config);
        return RunSession.Train(TrainingRun.Start(config, words.Origin(), places, display, weights, parent), display);
    }

    private static (string? Path, RunParent? Parent) InitialWeights(string? from, string runs)
    {
        if (from is null || from.EndsWith(".safetensors", StringComparison.Ordinal))
        {
            return from is null || File.Exists(from) ? (from, null) : throw new ValidationException($"--init-from {from}: no such file");
        }

        string[] parts = from.Split('@', 2);
        CheckpointStore store = CheckpointStore.Reader(RunFolder.Open(runs, parts[0]).CheckpointsPath);
        Checkpoint checkpoint = parts.Length == 1
            ? store.OpenNewest() ?? throw new ValidationException($"--init-from {from}: the run has no checkpoint yet")
            : store.Open(long.TryParse(parts[1], out long step) ? step : throw new ValidationException($"--init-from {from}: '{parts[1]}' is not a step"));
        return (checkpoint.FilePath("model.safetensors"), new RunParent(parts[0], checkpoint.Step, RunParentKind.Init));
    }

    private static void Explain(RunConfig config)
    {
        config.Data.Validate();
        if (config.Inheritance is { } inheritance && InheritedModel.Missing(inheritance) is { Count: > 0 } missing)
        {
            Console.WriteLine($"# {string.Join(", ", missing)}: not there; the costs are those of model, which has to agree with it");
            config = config with { Inheritance = null };
        }

        config = config.Resolve(config.Data.Tokenizer.VocabularySizeMax());
        RunEstimate estimate = RunEstimate.Of(config);
        MemoryEstimate memory = estimate.Memory;
        int threads = config.Threads == 0 ? Environment.ProcessorCount : config.Threads;
        double peak = MachinePeak.FlopsPerSecond(threads, rounds: 3);
        Console.WriteLine(ConfigFile.ToYaml(config));
        Console.WriteLine($"# parameters  {estimate.Counts.Total:N0}, {estimate.Counts.NonEmbedding:N0} without embeddings");
        Console.WriteLine($"# tokens      {estimate.Tokens:N0} in {config.TotalSteps:N0} steps of {config.Training.TokensAStep:N0}; {estimate.TokensAParameter:0.0} for each non-embedding parameter");
        Console.WriteLine($"# operations  {Quantity.Flops(estimate.FlopsAToken)} a token, {Quantity.Flops(estimate.Flops)} in all");
        Console.WriteLine(
            $"# memory      {Quantity.Bytes(memory.Total)}: weights {Quantity.Bytes(memory.Weights)}, gradients {Quantity.Bytes(memory.Gradients)}, "
            + $"optimizer {Quantity.Bytes(memory.Optimizer)}, activations {Quantity.Bytes(memory.Activations)}, validation {Quantity.Bytes(memory.Validation)}");
        Console.WriteLine(
            $"# time        about {Quantity.Time(estimate.Flops / peak / Utilisation)} at {Utilisation:P0} of the {Quantity.Flops(peak)}/s measured on {threads} thread{(threads == 1 ? "" : "s")}");
        foreach (string doubt in config.Doubts)
        {
            Console.WriteLine($"# note        {doubt}");
        }
    }
}
