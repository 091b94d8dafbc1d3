using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using System.IO.Compression;
using Spectre.Console;
using Windtunnel.Models;
using Windtunnel.Runs;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text;
using Windtunnel.Text.Corpora;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Cli.Verbs;

/// <summary>From raw text to a small language model and a few of its sentences, in one command and about two minutes.</summary>
internal static class QuickstartVerb
{
    // Validation falls on eighths of the run, the decay on its last quarter: whole steps, and a number that can be read.
    private const int StepsMultiple = 40;

    private const double DecayShare = 0.25;
    private const double WarmUpSeconds = 3, MeasurementSeconds = 4;

    // Each begins a document or a paragraph as the corpus does.
    private static readonly string[] s_prompts =
    [
        "System.Collections.Generic.SortedQueue\n\nRepresents", "The exception that is thrown when", "Gets or sets a value that indicates whether",
    ];

    private static readonly Option<double> s_minutes = new("--minutes") { Description = "how long to train", DefaultValueFactory = _ => 2 };
    private static readonly Option<int> s_threads = new("--threads") { Description = "worker threads; 0 for one a core", DefaultValueFactory = _ => 0 };
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption();

    public static Command Command
    {
        get
        {
            Verb quickstart = new("quickstart", "train a small language model in two minutes, measure it, and read what it writes", """
                windtunnel quickstart
                windtunnel quickstart --minutes 10
                """)
            { s_minutes, s_threads, s_runs, s_data };
            quickstart.SetAction(parsed => Run(
                parsed.GetValue(s_minutes), parsed.GetValue(s_threads), new RunPlaces(parsed.GetValue(s_runs)!, parsed.GetValue(s_data)!)));
            return quickstart;
        }
    }

    /// <summary>What is trained for a number of steps: the same as configs/runs/quickstart.yaml, which says why.</summary>
    internal static RunConfig Recipe(long steps) => new(
        Name: "quickstart",
        Data: new DataOptions(new DotnetDocsCorpusOptions(), Tokenizer: new BpeTokenizerOptions(4096)),
        Model: new LlamaOptions("1m"),
        Optimizer: new MuonOptions(WeightDecay: 0.02, Adam: new AdamRestOptions(Ratio: 0.6)),
        Schedule: new WsdOptions(Decay: Duration.OfRun(DecayShare)),
        Training: new TrainingOptions(Duration.OfSteps(steps), SequenceLength: 256, BatchSize: 8),
        Validation: new ValidationOptions(Duration.OfRun(0.125), Tokens: null),
        Checkpoints: new CheckpointOptions(Milestones: [steps - Duration.OfRun(DecayShare).Steps(0, steps)]),
        Logging: new LoggingOptions(Every: (int)Math.Max(1, steps / 500)));

    private static int Run(double minutes, int threads, RunPlaces places)
    {
        if (minutes is not (> 0 and <= 10_000))
        {
            throw new ValidationException($"--minutes {minutes} must be above 0 and at most 10000");
        }

        Console.WriteLine($"From raw text to a small language model, with about {minutes:0.##} minutes of training.\n");
        long steps = Prepare(Recipe(StepsMultiple) with { Threads = threads }, places, minutes * 60);
        RunConfig config = Recipe(steps) with { Threads = threads };
        TrainingDisplay display = TrainingDisplay.For(config with { Logging = new LoggingOptions(Every: (int)Math.Max(1, steps / 20)) });
        TrainingRun run = TrainingRun.Start(config, new ConfigOrigin(null, []), places, display);
        int exitCode = RunSession.Train(run, display);
        if (exitCode != 0)
        {
            return exitCode;
        }

        Console.WriteLine();
        Console.WriteLine(LossChart.Draw(MetricsLog.Read(run.Folder.MetricsPath), LossChart.TerminalWidth));
        Compare(run.Folder, config, places);
        Sample(run.Folder);
        Suggest(run.Folder, config, places);
        return 0;
    }

    /// <summary>Prepares the text and measures a step: how many fit into the time.</summary>
    private static long Prepare(RunConfig config, RunPlaces places, double seconds)
    {
        Console.Write("  text       ");
        using Dataset data = Dataset.Prepare(config.Data, places.Data);
        SourceManifest source = data.Manifest.Sources[0];
        Console.WriteLine($"documentation of the .NET SDK: {Quantity.Bytes(source.Train.Bytes)} and {Quantity.Bytes(source.Validation.Bytes)} held out");
        Console.WriteLine($"  tokenizer  BPE of {data.Tokenizer.VocabularySize:N0} tokens, trained on it: {(double)source.Train.Bytes / source.Train.Tokens:F2} bytes a token");

        config = config.Resolve(data.Tokenizer.VocabularySize);
        ModelDimensions d = config.Model.Dimensions;
        ModelCounts counts = config.Model.Count();
        Console.WriteLine($"  model      LLaMA, {d.Layers} layers of width {d.Width}: {Quantity.Count(counts.NonEmbedding)} parameters + {Quantity.Count(counts.Embedding)} embedding");

        using CpuBackend backend = new(config.Threads);
        Console.Write($"  machine    {backend.Description}: ");
        using Trainer trainer = new(config, data, backend);
        trainer.Initialize();
        double haste = Math.Min(1, seconds / 60);
        Steps(trainer, haste * WarmUpSeconds);
        double step = Steps(trainer, haste * MeasurementSeconds);
        long steps = Math.Max(1, (long)(seconds / step / StepsMultiple)) * StepsMultiple;
        long tokensAStep = config.Training.BatchSize * config.Training.SequenceLength;
        Console.WriteLine($"{step * 1e3:F0} ms for a step of {tokensAStep:N0} tokens");
        Console.WriteLine($"  plan       {steps:N0} steps, {Quantity.Count(steps * tokensAStep)} tokens; learning rate falling over the last {DecayShare:0%}\n");
        return steps;
    }

    /// <summary>Takes steps for some seconds; the median of theirs.</summary>
    private static double Steps(Trainer trainer, double time)
    {
        List<double> seconds = [];
        long start = Stopwatch.GetTimestamp();
        do
        {
            long before = Stopwatch.GetTimestamp();
            trainer.Step();
            seconds.Add(Stopwatch.GetElapsedTime(before).TotalSeconds);
        }
        while (Stopwatch.GetElapsedTime(start).TotalSeconds < time);
        seconds.Sort();
        return seconds[seconds.Count / 2];
    }

    /// <summary>The model's bits per byte beside those of the compressors everyone has.</summary>
    private static void Compare(RunFolder folder, RunConfig config, RunPlaces places)
    {
        using Dataset data = Dataset.Prepare(config.Data, places.Data);
        using MemoryStream text = new();
        ValidationSource source = data.Validation[0];
        source.CopyText(text);
        double model = RunRecord.Load(folder.RecordPath).Summary![$"val/{source.Name}/bpb"];

        Console.WriteLine($"Bits for each byte of the {text.Length:N0} bytes of held-out text; fewer is better:\n");
        Show("this model", model);
        Show("brotli -11", Compressed(text, stream => new BrotliStream(stream, CompressionLevel.SmallestSize, leaveOpen: true)) * 8.0 / text.Length);
        Show("gzip -9", Compressed(text, stream => new GZipStream(stream, CompressionLevel.SmallestSize, leaveOpen: true)) * 8.0 / text.Length);
        Console.WriteLine($"\nThe compressors see these bytes alone; the model has read others like them.");

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
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Out) });
        Console.WriteLine("\nThree samples; the model wrote what follows each ▸");
        foreach (string prompt in s_prompts)
        {
            using StringWriter text = new();
            SampleWriter.Continue(text, sampler, trained.Tokenizer, prompt, new SamplingOptions(TokensMax: 70));
            Console.WriteLine();
            console.Write(new Padder(new Spectre.Console.Text($"{prompt} ▸{text}".TrimEnd())).Padding(2, 0));
        }
    }

    private static void Suggest(RunFolder folder, RunConfig config, RunPlaces places)
    {
        string run = folder.Id, elsewhere = (places.Runs == "runs" ? "" : $" --runs {places.Runs}");
        string data = elsewhere + (places.Data == "data" ? "" : $" --data {places.Data}");
        Console.WriteLine($"""

            All of it is in {Path.Combine(places.Runs, run)}. What to try next:

              windtunnel sample {run}{elsewhere} --prompt "Returns the" --count 3
              windtunnel runs show {run}{elsewhere}
              windtunnel branch {run}{data} --at {config.Checkpoints.Milestones![0]} --training.length {2 * config.TotalSteps}
                  goes on from before the learning rate fell, to twice the length

            windtunnel is short for: dotnet run -c Release --project src/Windtunnel.Cli --
            """);
    }
}
