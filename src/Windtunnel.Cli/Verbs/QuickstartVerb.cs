using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.IO.Compression;
using Spectre.Console;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Ladders;
using Windtunnel.Models;
using Windtunnel.Runs;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>A wind tunnel in miniature, from raw text to a checked prediction, in one command and a few minutes.</summary>
internal static class QuickstartVerb
{
    private const int WorkersMax = 4;

    // Each begins a document or a paragraph as the corpus does.
    private static readonly string[] s_prompts = ["The exception that is thrown when", "Gets or sets a value that indicates whether"];

    private static readonly Argument<string[]> s_words = ConfigWords.Argument("setting");
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption();
    private static readonly Option<string> s_experiments = ExperimentSession.ExperimentsOption();

    public static Command Command
    {
        get
        {
            s_words.Description = "settings of the ladder, such as --seeds=[2]";
            Verb quickstart = new("quickstart", "train a ladder of small models, predict larger ones, train those, and compare: a wind tunnel in six minutes", """
                windtunnel quickstart
                windtunnel quickstart --name=second --seeds=[2]
                """)
            { s_words, s_runs, s_data, s_experiments };
            quickstart.SetAction(Run);
            return quickstart;
        }
    }

    /// <summary>The ladder that is run; a copy of configs/ladders/miniature.yaml, which says why it is as it is.</summary>
    internal static string LadderPath { get; } = Path.Combine(AppContext.BaseDirectory, "miniature.yaml");

    private static int Run(ParseResult parsed)
    {
        ConfigWords words = ConfigWords.Parse(parsed, s_words);
        if (words.File is { } file)
        {
            throw new ValidationException($"quickstart takes no file; for one of your own: windtunnel tunnel {file}");
        }

        (ExperimentOptions options, Ladder ladder, _) = ExperimentSession.Read<Ladder>(words with { File = LadderPath }, LadderPath);
        RunPlaces places = new(parsed.GetValue(s_runs)!, parsed.GetValue(s_data)!);
        int workers = Math.Min(Environment.ProcessorCount, WorkersMax);
        Console.WriteLine("A wind tunnel in miniature: small models are trained, and two others predicted before they are.\n");
        Introduce(ladder, places, workers);

        ExperimentFolder folder = ExperimentFolder.Create(parsed.GetValue(s_experiments)!, options, LadderPath);
        RunFolder? best = null;
        int exitCode = TunnelVerb.Run(folder, places, workers, budgetMinutes: null, (tunnel, store) =>
        {
            // A target that diverged has nothing to say.
            LadderRun[] trained = [.. tunnel.Ladder.Targets.Where(run => double.IsFinite(store.Find(run.Planned)!.LossNats))];
            if (trained.MaxBy(run => run.Flops) is { } largest)
            {
                best = RunFolder.Open(places.Runs, store.IdOf(largest.Planned));
                Sample(best);
                Weigh(trained, store, places);
            }
        });
        if (best is not null)
        {
            Suggest(best, places);
        }

        return exitCode;
    }

    /// <summary>Prepares the text, and says what will be trained.</summary>
    private static void Introduce(Ladder ladder, RunPlaces places, int workers)
    {
        Console.Write("  text       ");
        using Dataset data = Dataset.Prepare(ladder.Runs[0].Planned.Config.Data, places.Data);
        SourceManifest source = data.Manifest.Sources[0];
        Console.WriteLine($"{source.Name}: {Quantity.Bytes(source.Train.Bytes)}, and {Quantity.Bytes(source.Validation.Bytes)} held out");
        Console.WriteLine($"  tokenizer  BPE of {data.Tokenizer.VocabularySize:N0} tokens, trained on it: {(double)source.Train.Bytes / source.Train.Tokens:F2} bytes a token");

        ladder = ladder.WithData(new RunStore(places, Notices.OnConsole));
        long[] sizes = [.. ladder.Runs.Select(run => run.Counts.NonEmbedding).Distinct().Order()];
        Console.WriteLine(
            $"  ladder     {sizes.Length} sizes, {Quantity.Count(sizes[0])} to {Quantity.Count(sizes[^1])} parameters; {Quantity.Of(ladder.Points.Count(), "length")} as cooldowns off one run a size: {Quantity.Flops(ladder.Flops)}");
        double point = ladder.Points.Max(run => run.Flops);
        foreach (LadderRun target in ladder.Targets)
        {
            Console.WriteLine($"  target     {Quantity.Count(target.Counts.NonEmbedding)} parameters, {Quantity.Count(target.Tokens)} tokens: {target.Flops / point:0.0} times the largest of those");
        }

        Console.WriteLine($"  machine    {Quantity.Of(Environment.ProcessorCount, "core")}, {Quantity.Of(workers, "worker")}\n");
    }

    private static void Sample(RunFolder folder)
    {
        using CpuBackend backend = new();
        using TrainedModel trained = TrainedModel.Open(folder, step: null, average: false, backend);
        using Sampler sampler = new(trained.Model, trained.Tokenizer.VocabularySize);
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Out) });
        Console.WriteLine("\nThe larger target wrote what follows each ▸");
        foreach (string prompt in s_prompts)
        {
            using StringWriter text = new();
            SampleWriter.Continue(text, sampler, trained.Tokenizer, trained.Ends, prompt, new SamplingOptions(TokensMax: 100));
            Console.WriteLine();
            console.Write(new Padder(new Spectre.Console.Text($"{prompt} ▸{text}".TrimEnd())).Padding(2, 0));
        }
    }

    /// <summary>The targets' bits per byte beside those of the compressors everyone has.</summary>
    private static void Weigh(LadderRun[] targets, RunStore store, RunPlaces places)
    {
        using Dataset data = Dataset.Prepare(targets[0].Planned.Config.Data, places.Data);
        using MemoryStream text = new();
        ValidationSource source = data.Validation[0];
        source.CopyText(text);

        Console.WriteLine($"\nBits for each byte of the {text.Length:N0} bytes of held-out text; fewer is better. The compressors see these bytes alone.\n");
        foreach (LadderRun run in targets)
        {
            Show(run.Name, RunRecord.Load(RunFolder.Open(places.Runs, store.IdOf(run.Planned)).RecordPath).Summary![$"val/{source.Name}/bpb"]);
        }

        Show("brotli -11", Compressed(text, stream => new BrotliStream(stream, CompressionLevel.SmallestSize, leaveOpen: true)) * 8.0 / text.Length);
        Show("gzip -9", Compressed(text, stream => new GZipStream(stream, CompressionLevel.SmallestSize, leaveOpen: true)) * 8.0 / text.Length);

        static void Show(string name, double bits) => Console.WriteLine($"  {name,-18} {bits:F3} {new string('▇', (int)Math.Round(bits * 16))}");
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

    private static void Suggest(RunFolder folder, RunPlaces places)
    {
        string elsewhere = places.Runs == "runs" ? "" : $" --runs {places.Runs}";
        Console.WriteLine($"""

            Open the report in a browser. What to try next:

              windtunnel runs show {folder.Id}{elsewhere}
              windtunnel sample {folder.Id}{elsewhere} --prompt "Returns the" --count 3
              windtunnel quickstart --name=second --seeds=[2]

            windtunnel is short for: dotnet run -c Release --project src/Windtunnel.Cli --
            """);
    }
}
