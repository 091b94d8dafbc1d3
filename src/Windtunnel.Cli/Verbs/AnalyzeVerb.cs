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
    private static readonly Option<int> s_many = new("--sequences") { Description = s_sequences.Description, DefaultValueFactory = _ => 1000 };
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
            Verb context = new("context", "say how much models gain from what they have read: their losses by its length, and where they need only repeat it", """
                windtunnel analyze context reference
                windtunnel analyze context reference@1000 reference --tokens 64
                windtunnel analyze context runs/reference --text README.md
                """)
            { s_models, s_many, s_read, s_seed, s_text, s_runs, s_data };
            context.SetAction(Context);
            return new Command("analyze", "look into a trained model") { attention, context };
        }
    }

    private static int Attention(ParseResult parsed)
    {
        Reference reference = Open(parsed, parsed.GetValue(s_model)!);
        int[][] sequences = Sequences(
            parsed, reference, parsed.GetValue(s_sequences), parsed.GetValue(s_tokens) ?? Math.Min(TokensMax, reference.Model.Dimensions.Context), targets: 0);
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
        int length = parsed.GetValue(s_read) ?? Math.Min(ReadMax, references.Min(reference => reference.Model.Dimensions.Context));
        int[][] sequences = Sequences(parsed, references[0], parsed.GetValue(s_many), length, targets: 1);
        using CpuBackend backend = new();
        ContextReport report = new();
        foreach (Reference reference in references)
        {
            if (!Sequences(parsed, reference, sequences.Length, length, targets: 1).Zip(sequences).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second)))
            {
                throw new ValidationException($"{reference.Path}: has other text or another tokenizer than {references[0].Path}; analyze it by itself");
            }

            using Model model = reference.Load(backend);
            report.Add(Path.GetFileName(reference.Path), ContextAnalysis.Of(model, sequences));
        }

        report.Write();
        return 0;
    }

    private static Reference Open(ParseResult parsed, string model) => Reference.Open(Reference.Find(model, parsed.GetValue(s_runs)!), "analyze");

    // Of so many tokens and targets beside them.
    private static int[][] Sequences(ParseResult parsed, Reference reference, int count, int length, int targets)
    {
        if (count < 1 || length < 1)
        {
            throw new ValidationException($"{(count < 1 ? $"--sequences {count}" : $"--tokens {length}")}: must be at least 1");
        }

        ulong seed = parsed.GetValue(s_seed);
        return parsed.GetValue(s_text) is { } text
            ? OfText(text, reference.Tokenizer, count, length + targets, seed)
            : HeldOut(reference, parsed.GetValue(s_data)!, count, length + targets, seed);
    }

    private static int[][] HeldOut(Reference reference, string data, int count, int length, ulong seed)
    {
        if (reference.Run is null)
        {
            throw new ValidationException($"{reference.Path}: is no run and has no held-out documents; give some text with --text");
        }

        using Dataset dataset = reference.OpenData(data, Notices.OnConsole.Noticed);
        return dataset.Validation.Count == 0
            ? throw new ValidationException($"{reference.Path}: holds no documents out; give some text with --text")
            : [.. dataset.Validation.SelectMany((source, i) => source.Sample((count / dataset.Validation.Count) + (i < count % dataset.Validation.Count ? 1 : 0), length, seed))];
    }

    private static int[][] OfText(string path, Tokenizer tokenizer, int count, int length, ulong seed)
    {
        if (!File.Exists(path))
        {
            throw new ValidationException($"--text {path}: no such file");
        }

        int[] ids = tokenizer.Encode(File.ReadAllText(path));
        int places = ids.Length - length + 1;
        return places >= 1
            ? [.. Enumerable.Range(0, count).Select(i => ids.AsSpan((int)(Tensors.Philox.Named(seed, "places").Uniform((ulong)i) * places), length).ToArray())]
            : throw new ValidationException($"--text {path}: {ids.Length} tokens are too few for a sequence of {length}");
    }
}
