using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using System.IO.Compression;
using Spectre.Console;
using Windtunnel.Models;
using Windtunnel.Runs;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Cli.Verbs;

/// <summary>From raw text to a small language model and a few of its sentences, in one command and about two minutes.</summary>
internal static class QuickstartVerb
{
    private const int StepsMin = 20;
    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(3), s_measurement = TimeSpan.FromSeconds(4);

    // Each begins a document or a paragraph as the corpus does.
    private static readonly string[] s_prompts =
    [
        "System.Collections.Generic.SortedQueue\n\nRepresents", "The exception that is thrown when", "Gets or sets a value that indicates whether",
    ];

    private static readonly Option<double> s_minutes = new("--minutes") { Description = "how long to train", DefaultValueFactory = _ => 2 };
    private static readonly Option<int> s_threads = new("--threads") { Description = "worker threads; 0 for one a core", DefaultValueFactory = _ => 0 };
    private static readonly Option<string> s_runs = new("--runs") { Description = "the folder of runs", DefaultValueFactory = _ => new RunPlaces().Runs };
    private static readonly Option<string> s_data = new("--data") { Description = "the folder of prepared datasets", DefaultValueFactory = _ => new RunPlaces().Data };

    public static Command Command
    {
        get
        {
            Command command = new("quickstart", "train a small language model on the .NET documentation, measure it and read from it")
            {
                s_minutes, s_threads, s_runs, s_data,
            };
            command.SetAction(parsed => Run(
                parsed.GetValue(s_minutes), parsed.GetValue(s_threads), new RunPlaces(parsed.GetValue(s_runs)!, parsed.GetValue(s_data)!)));
            return command;
        }
    }

    /// <summary>What is trained for a number of steps: the same as configs/runs/quickstart.yaml, which says why.</summary>
    internal static RunConfig Recipe(long steps) => new(
        Name: "quickstart",
        Model: new LlamaOptions("1m"),
        Optimizer: new MuonOptions(),
        Schedule: new WsdOptions(Decay: Duration.OfRun(0.25)),
        Training: new TrainingOptions(Duration.OfSteps(steps), SequenceLength: 256, BatchSize: 8),
        Validation: new ValidationOptions(Duration.OfRun(0.125), Tokens: null),
        Checkpoints: new CheckpointOptions(Milestones: [(long)Math.Round(0.75 * steps)]),
        Logging: new LoggingOptions(Every: (int)Math.Max(1, steps / 500)));

    private static int Run(double minutes, int threads, RunPlaces places)
    {
        if (minutes is not (> 0 and <= 10_000))
        {
            throw new ValidationException($"minutes: {minutes} must be above 0 and at most 10000");
        }

        Console.WriteLine($"Windtunnel quickstart: from raw text to a small language model, in about {minutes:0.##} minutes of training.\n");
        RunConfig config = Recipe(StepsMin) with { Threads = threads };
        config = Recipe(Prepare(config, places, minutes * 60)) with { Threads = threads };
        string id;
        using (StopSignal stop = StopSignal.Listen())
        using (TrainingDisplay display = TrainingDisplay.For(config with { Logging = new LoggingOptions(Every: (int)Math.Max(1, config.TotalSteps / 20)) }))
        using (TrainingRun run = TrainingRun.Start(config, new ConfigOrigin(null, ["quickstart"]), places, display))
        {
            id = run.Folder.Id;
            int exitCode = run.Train(stop);
            if (exitCode != 0)
            {
                Console.WriteLine($"\nStopped. To go on: windtunnel resume {id}");
                return exitCode;
            }
        }

        RunFolder folder = RunFolder.Open(places.Runs, id);
        Console.WriteLine();
        Console.Write(LossChart.Draw([.. MetricsLog.Read(folder.MetricsPath)], Math.Min(AnsiConsole.Profile.Width, 100)));
        Compare(folder, config, places);
        Sample(folder);
        Suggest(id, config);
        return 0;
    }

    /// <summary>Prepares the text and measures a step: how many fit into the time.</summary>
    private static long Prepare(RunConfig config, RunPlaces places, double seconds)
    {
        long start = Stopwatch.GetTimestamp();
        using Dataset data = Dataset.Prepare(config.Data, places.Data);
        SourceManifest source = data.Manifest.Sources[0];
        Show("text", $"{source.Name}: {source.Train.Bytes / 1e6:F1} MB in {source.Train.Documents:N0} documents, and {source.Validation.Documents:N0} held out");
        Show("tokenizer", $"BPE, {data.Tokenizer.VocabularySize:N0} tokens, {(double)source.Train.Bytes / source.Train.Tokens:F2} bytes a token ({Stopwatch.GetElapsedTime(start).TotalSeconds:F0} s)");

        config = config.Resolve(data.Tokenizer.VocabularySize);
        ModelDimensions d = config.Model.Dimensions;
        ModelCounts counts = config.Model.Count();
        Show("model", $"LLaMA, {d.Layers} layers of width {d.Width}: {counts.NonEmbedding / 1e6:F2} m parameters and {counts.Embedding / 1e6:F2} m in the embedding");

        using CpuBackend backend = new(config.Threads);
        using Trainer trainer = new(config, data, backend);
        trainer.Initialize();
        Steps(trainer, s_warmUp);
        double step = Steps(trainer, s_measurement);
        long steps = Math.Max(StepsMin, Readable(seconds / step));
        Show("machine", $"{backend.Description}: {step * 1e3:F0} ms a step of {config.Training.BatchSize * config.Training.SequenceLength:N0} tokens");
        Show("so", $"{steps:N0} steps, {steps * config.Training.BatchSize * config.Training.SequenceLength / 1e6:F1} m tokens, the last quarter with a falling learning rate\n");
        return steps;

        static void Show(string name, string value) => Console.WriteLine($"  {name,-10} {value}");
    }

    /// <summary>Takes steps for a time; the median of their seconds.</summary>
    private static double Steps(Trainer trainer, TimeSpan time)
    {
        List<double> seconds = [];
        long start = Stopwatch.GetTimestamp();
        do
        {
            long before = Stopwatch.GetTimestamp();
            trainer.Step();
            seconds.Add(Stopwatch.GetElapsedTime(before).TotalSeconds);
        }
        while (Stopwatch.GetElapsedTime(start) < time);
        seconds.Sort();
        return seconds[seconds.Count / 2];
    }

    /// <summary>Rounded down to two digits: 1,347 steps are 1,300.</summary>
    private static long Readable(double steps)
    {
        double unit = Math.Pow(10, Math.Max(0, Math.Floor(Math.Log10(Math.Max(1, steps))) - 1));
        return (long)(Math.Floor(steps / unit) * unit);
    }

    /// <summary>The model's bits per byte beside those of the compressors everyone has.</summary>
    private static void Compare(RunFolder folder, RunConfig config, RunPlaces places)
    {
        using Dataset data = Dataset.Prepare(config.Data, places.Data);
        using MemoryStream text = new();
        ValidationSource source = data.Validation[0];
        source.CopyText(text);
        double model = RunRecord.Load(folder.RecordPath).Summary![$"val/{source.Name}/bpb"];

        Console.WriteLine($"\nBits for each byte of the {text.Length:N0} bytes of held-out text, fewer is better:\n");
        Show("this model", model);
        Show("brotli -11", Compressed(text, stream => new BrotliStream(stream, CompressionLevel.SmallestSize, leaveOpen: true)) * 8.0 / text.Length);
        Show("gzip -9", Compressed(text, stream => new GZipStream(stream, CompressionLevel.SmallestSize, leaveOpen: true)) * 8.0 / text.Length);
        Console.WriteLine($"\nThe compressors see these bytes alone; the model has read {data.Manifest.Sources[0].Train.Bytes / 1e6:F1} MB of such text before.");

        static void Show(string name, double bits) => Console.WriteLine($"  {name,-10} {bits:F3} {new string('▇', (int)Math.Round(bits * 16))}");
    }

    private static long Compressed(MemoryStream text, Func<Stream, Stream> compressor)
    {
        using MemoryStream compressed = new();
        using (Stream stream = compressor(compressed))
        {
            text.WriteTo(stream);
        }

        return compressed.Length;
    }

    private static void Sample(RunFolder folder)
    {
        using CpuBackend backend = new();
        using TrainedModel trained = TrainedModel.Open(folder, step: null, average: false, backend);
        using Sampler sampler = new(trained.Model, trained.Tokenizer.VocabularySize);
        Console.WriteLine("\nThree samples; the model wrote what follows each ▸");
        foreach (string prompt in s_prompts)
        {
            using StringWriter text = new();
            SampleWriter.Continue(text, sampler, trained.Tokenizer, prompt, new SamplingOptions(Temperature: 0.7, TokensMax: 70));
            Console.WriteLine();
            AnsiConsole.Write(new Padder(new Spectre.Console.Text($"{prompt} ▸{text}".TrimEnd())).Padding(2, 0));
        }
    }

    private static void Suggest(string id, RunConfig config)
    {
        long trunk = config.Checkpoints.Milestones![0];
        Console.WriteLine($"""

            All of it is in runs/{id}. What to try next:

              windtunnel sample {id} --prompt "Returns" --temperature 0.5
              windtunnel runs show {id}
              windtunnel branch {id}@{trunk} --training.length {2 * config.TotalSteps}
                  trains on from the checkpoint before the decay, to twice the length

            Training that was stopped goes on, bit for bit, with: windtunnel resume <run>
            In a clone, windtunnel stands for: dotnet run -c Release --project src/Windtunnel.Cli --
            """);
    }
}
