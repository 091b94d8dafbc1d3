using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Models;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Looks into a trained model.</summary>
internal static class AnalyzeVerb
{
    // As in Sanyal et al.
    private const int TokensMax = 100;
    private const int ReadMax = 1024;

    private static readonly Argument<string> s_model = SampleVerb.ModelArgument();
    private static readonly Option<int> s_sequences = new("--sequences") { Description = "how many sequences, from pseudo-random places", DefaultValueFactory = _ => 100 };
    private static readonly Option<int?> s_tokens = new("--tokens") { Description = $"tokens of a sequence; {TokensMax}, or the model's context where that is shorter, unless said", HelpName = "N" };
    private static readonly Option<double> s_tau = new("--tau") { Description = "the share of squared singular values that a rank accounts for", DefaultValueFactory = _ => 0.9 };
    private static readonly Option<double> s_eta = new("--eta") { Description = "the share of squares that a column mass accounts for", DefaultValueFactory = _ => 0.9 };
    private static readonly Option<ulong> s_seed = new("--seed") { Description = "of the places", DefaultValueFactory = _ => 1 };
    private static readonly Option<string?> s_text = new("--text") { Description = "read this file instead of the run's held-out documents", HelpName = "FILE" };
    private static readonly Option<string> s_out = new("--out") { Description = "where attention.svg and attention.csv are written", DefaultValueFactory = _ => "attention", HelpName = "DIR" };
    private static readonly Argument<string[]> s_models = new("models") { Description = "each " + s_model.Description, HelpName = s_model.HelpName, Arity = ArgumentArity.OneOrMore };
    private static readonly Option<int?> s_many = new("--sequences") { Description = "how many sequences, spread evenly over the text; all unless said", HelpName = "N" };
    private static readonly Option<int?> s_read = new("--tokens") { Description = $"tokens read of a sequence; {ReadMax}, or the model's context where that is shorter, unless said", HelpName = "N" };
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption();

    public static Command Command
    {
        get
        {
            Verb attention = new("attention", "say which attention heads have collapsed: approximate ranks, column masses, lazy layers", """
                windtunnel analyze attention reference
                windtunnel analyze attention reference@1000 --tau 0.95 --out late
                windtunnel analyze attention runs/reference --text README.md
                """)
            { s_model, s_sequences, s_tokens, s_tau, s_eta, s_seed, s_text, s_out, s_runs, s_data };
            attention.SetAction(Attention);
            Verb context = new("context", "say how much models gain from what they have read: their losses by its length, and of what it repeats", """
                windtunnel analyze context reference
                windtunnel analyze context reference@1000 reference --tokens 64
                windtunnel analyze context runs/reference --text README.md
                """)
            { s_models, s_many, s_read, s_text, s_runs, s_data };
            context.SetAction(Context);
            return new Command("analyze", "look into a trained model") { attention, context };
        }
    }

    private static int Attention(ParseResult parsed)
    {
        Reference reference = Open(parsed, parsed.GetValue(s_model)!);
        int count = parsed.GetValue(s_sequences), length = parsed.GetValue(s_tokens) ?? Math.Min(TokensMax, reference.Model.Dimensions.Context);
        Require(count, "--sequences");
        Require(length, "--tokens");
        ulong seed = parsed.GetValue(s_seed);
        int[][] sequences = parsed.GetValue(s_text) is { } text
            ? OfText(text, reference.Tokenizer, count, length, seed)
            : HeldOut(reference, parsed.GetValue(s_data)!, count, length, seed);
        using CpuBackend backend = new();
        using Model model = reference.Load(backend);
        AttentionAnalysis analysis = AttentionAnalysis.Of(model, sequences, parsed.GetValue(s_tau), parsed.GetValue(s_eta));
        AttentionReport.Write(analysis);

        string folder = parsed.GetValue(s_out)!;
        Directory.CreateDirectory(folder);
        AtomicFile.WriteText(Path.Combine(folder, "attention.svg"), AttentionReport.Draw(analysis, Path.GetFileName(reference.Path)).ToSvg());
        AtomicFile.WriteText(Path.Combine(folder, "attention.csv"), AttentionReport.ToCsv(analysis));
        Console.WriteLine($"written: {Path.Combine(folder, "attention.svg")}, attention.csv");
        return 0;
    }

    private static int Context(ParseResult parsed)
    {
        Reference[] references = [.. parsed.GetValue(s_models)!.Select(model => Open(parsed, model))];
        Reference narrow = references.MinBy(reference => reference.Model.Dimensions.Context)!;
        int context = narrow.Model.Dimensions.Context, length = parsed.GetValue(s_read) ?? Math.Min(ReadMax, context);
        Require(length, "--tokens");
        Require(parsed.GetValue(s_many) ?? 1, "--sequences");
        if (length > context)
        {
            throw new ValidationException($"--tokens {length}: {narrow.Path} has a context of {context}");
        }

        // Before any model reads, which may take long.
        int[][] sequences = Windows(parsed, references[0], length);
        foreach (Reference other in references.Skip(1))
        {
            if (!Windows(parsed, other, length).SelectMany(window => window).SequenceEqual(sequences.SelectMany(window => window)))
            {
                throw new ValidationException($"{other.Path}: has other text or another tokenizer than {references[0].Path}; analyze it by itself");
            }
        }

        using CpuBackend backend = new();
        ContextReport.Write([.. references.Select(reference =>
        {
            using Model model = reference.Load(backend);
            return (Path.GetFileName(reference.Path), ContextAnalysis.Of(model, sequences));
        })]);
        return 0;
    }

    // Windows that do not overlap, of so many tokens and the one after, spread evenly over the text.
    private static int[][] Windows(ParseResult parsed, Reference reference, int length)
    {
        int? count = parsed.GetValue(s_many);
        if (parsed.GetValue(s_text) is { } path)
        {
            int[] ids = Encode(path, reference.Tokenizer, length + 1);
            int all = (ids.Length - 1) / length, taken = Math.Min(count ?? all, all);
            return [.. Enumerable.Range(0, taken).Select(i => ids.AsSpan((int)((long)i * all / taken) * length, length + 1).ToArray())];
        }

        using Dataset dataset = OpenHeldOut(reference, parsed.GetValue(s_data)!);
        int[] inputs = new int[length], targets = new int[length];
        List<int[]> sequences = [];
        foreach (ValidationSource source in dataset.Validation)
        {
            ValidationWindows windows = source.Windows(length, count is { } limit ? (long)limit * length / dataset.Validation.Count : null);
            for (long window = 0; window < windows.Count; window++)
            {
                if (windows.Read(window, inputs, targets) == length)
                {
                    sequences.Add([inputs[0], .. targets]);
                }
            }
        }

        return sequences.Count > 0 ? [.. sequences] : throw new ValidationException($"{reference.Path}: its held-out documents are too few for a sequence of {length} tokens");
    }

    private static Reference Open(ParseResult parsed, string model) => Reference.Open(Reference.Find(model, parsed.GetValue(s_runs)!), "analyze");

    private static void Require(int value, string option)
    {
        if (value < 1)
        {
            throw new ValidationException($"{option} {value}: must be at least 1");
        }
    }

    private static Dataset OpenHeldOut(Reference reference, string data)
    {
        if (reference.Run is null)
        {
            throw new ValidationException($"{reference.Path}: is no run and has no held-out documents; give some text with --text");
        }

        Dataset dataset = reference.OpenData(data, Notices.OnConsole.Noticed);
        if (dataset.Validation.Count > 0)
        {
            return dataset;
        }

        dataset.Dispose();
        throw new ValidationException($"{reference.Path}: holds no documents out; give some text with --text");
    }

    private static int[] Encode(string path, Tokenizer tokenizer, int least)
    {
        if (!File.Exists(path))
        {
            throw new ValidationException($"--text {path}: no such file");
        }

        int[] ids = tokenizer.Encode(File.ReadAllText(path));
        return ids.Length >= least ? ids : throw new ValidationException($"--text {path}: {ids.Length} tokens are too few for a sequence of {least}");
    }

    private static int[][] HeldOut(Reference reference, string data, int count, int length, ulong seed)
    {
        using Dataset dataset = OpenHeldOut(reference, data);
        return [.. dataset.Validation.SelectMany((source, i) => source.Sample((count / dataset.Validation.Count) + (i < count % dataset.Validation.Count ? 1 : 0), length, seed))];
    }

    private static int[][] OfText(string path, Tokenizer tokenizer, int count, int length, ulong seed)
    {
        int[] ids = Encode(path, tokenizer, length);
        return [.. Enumerable.Range(0, count).Select(i => ids.AsSpan((int)(Tensors.Philox.Named(seed, "places").Uniform((ulong)i) * (ids.Length - length + 1)), length).ToArray())];
    }
}
