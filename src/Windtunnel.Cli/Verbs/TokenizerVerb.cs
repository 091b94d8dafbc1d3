using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using System.Text;
using Windtunnel.Text;
using Windtunnel.Text.Corpora;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Trains a tokenizer, and shows what one does.</summary>
internal static class TokenizerVerb
{
    private const int LongestShown = 20;

    private static readonly Argument<string[]> s_words = ConfigWords.Argument();
    private static readonly Option<string> s_out = new("--out") { Description = "where it is written", DefaultValueFactory = _ => "tokenizer.json", HelpName = "FILE" };
    private static readonly Argument<string> s_file = new("tokenizer") { Description = "a tokenizer: tokenizer.json, GPT-2's vocab.json beside merges.txt, SentencePiece's .model, llama2.c's .bin, or a folder with one" };
    private static readonly Argument<string?> s_text = new("text") { Description = "the text; standard input where not given", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Argument<int[]> s_ids = new("ids") { Description = "the token ids; standard input where not given", Arity = ArgumentArity.ZeroOrMore };

    public static Command Command
    {
        get
        {
            Verb train = new("train", "learn a tokenizer from the training documents of a config's corpora", """
                windtunnel tokenizer train --data.tokenizer.vocabularySize=8192 --out tokenizer.json
                """)
            { s_words, s_out };
            train.SetAction(Train);
            Command show = new("show", "say what a tokenizer holds: its vocabulary and its longest tokens") { s_file };
            show.SetAction(Show);
            Command encode = new("encode", "text to tokens: ids and pieces") { s_file, s_text };
            encode.SetAction(Encode);
            Command decode = new("decode", "token ids to text") { s_file, s_ids };
            decode.SetAction(Decode);
            return new Command("tokenizer", "train a tokenizer, or look at one") { train, show, encode, decode };
        }
    }

    private static int Train(ParseResult parsed)
    {
        RunConfig config = ConfigWords.Parse(parsed, s_words).Load();
        config.Data.Validate();
        CorpusOptions?[] corpora = config.Data.Sources is { } sources ? [.. sources.Select(source => source.Corpus)] : [config.Data.Corpus];
        IEnumerable<string> texts = corpora.SelectMany(corpus => (corpus ?? new DotnetDocsCorpusOptions()).Build().Documents())
            .Select(document => document.Text).Where(text => text.Length > 0 && !Dataset.IsHeldOut(text, config.Data.ValidationFraction));
        long start = Stopwatch.GetTimestamp();
        Tokenizer tokenizer = config.Data.Tokenizer.Train(texts);
        string path = parsed.GetValue(s_out)!;
        tokenizer.Save(path);
        Console.WriteLine($"{tokenizer.VocabularySize:N0} tokens in {Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s, in {Path.GetFullPath(path)}");
        return 0;
    }

    private static int Show(ParseResult parsed)
    {
        Tokenizer tokenizer = Load(parsed);
        int[] lengths = [.. tokenizer.TokenByteLengths];
        Console.WriteLine($"vocabulary    {tokenizer.VocabularySize:N0} tokens, {lengths.Max()} bytes at most, {lengths.Average():F2} on average");
        Console.WriteLine($"special       {string.Join(", ", tokenizer.SpecialTokens.OrderBy(token => token.Value).Select(token => $"{token.Key} {token.Value}"))}");
        Console.WriteLine($"texts         {(tokenizer.BeginningOfTextId is { } begin ? $"begin with {begin}, " : "")}end with {tokenizer.EndOfTextId}");
        if (tokenizer is BpeTokenizer bpe)
        {
            Console.WriteLine($"merges        {bpe.Merges.Count:N0}, text split as in {bpe.Pattern?.ToString() ?? "its file"}");
        }

        Console.WriteLine($"SHA-256       {Convert.ToHexStringLower(tokenizer.Sha256)}");
        Console.WriteLine($"longest tokens");
        TextTable table = new("id", "bytes", "<token");
        foreach (int id in Enumerable.Range(0, lengths.Length).OrderByDescending(id => lengths[id]).ThenBy(id => id).Take(LongestShown))
        {
            table.Add($"{id}", $"{lengths[id]}", Piece(tokenizer, id));
        }

        table.Write();
        return 0;
    }

    private static int Encode(ParseResult parsed)
    {
        Tokenizer tokenizer = Load(parsed);
        List<int> ids = [];
        if (parsed.GetValue(s_text) is { } given)
        {
            tokenizer.Encode(given.AsSpan(), ids);
        }
        else
        {
            using MemoryStream bytes = new();
            using Stream input = Console.OpenStandardInput();
            input.CopyTo(bytes);
            tokenizer.Encode(bytes.ToArray().AsSpan(), ids);
        }

        Console.WriteLine(string.Join(' ', ids));
        Console.WriteLine(string.Join('|', ids.Select(id => Piece(tokenizer, id))));
        return 0;
    }

    private static int Decode(ParseResult parsed)
    {
        Tokenizer tokenizer = Load(parsed);
        int[] ids = parsed.GetValue(s_ids) is { Length: > 0 } given
            ? given
            : [.. Console.In.ReadToEnd().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)
                .Select(word => int.TryParse(word, out int id) ? id : throw new ValidationException($"'{word}' is not a token id"))];
        if (ids.FirstOrDefault(id => id < 0 || id >= tokenizer.VocabularySize, -1) is var wrong && ids.Contains(wrong))
        {
            throw new ValidationException($"{wrong} is not a token id: the vocabulary is 0 to {tokenizer.VocabularySize - 1}");
        }

        using Stream output = Console.OpenStandardOutput();
        output.Write(tokenizer.Decode(ids));
        output.Write("\n"u8);
        return 0;
    }

    private static Tokenizer Load(ParseResult parsed)
    {
        string path = parsed.GetValue(s_file)!;
        return Path.Exists(path) ? Tokenizer.Load(path) : throw new ValidationException($"{path}: no such file");
    }

    /// <summary>A token as it reads, control characters and bytes that are no text on their own escaped.</summary>
    private static string Piece(Tokenizer tokenizer, int id)
    {
        if (tokenizer.SpecialTokens.FirstOrDefault(token => token.Value == id).Key is { } name)
        {
            return name;
        }

        StringBuilder piece = new();
        ReadOnlySpan<byte> bytes = tokenizer.TokenBytes(id);
        while (!bytes.IsEmpty)
        {
            bool valid = Rune.DecodeFromUtf8(bytes, out Rune rune, out int length) == System.Buffers.OperationStatus.Done;
            piece.Append((valid, rune.Value) switch
            {
                (true, '\n') => "\\n",
                (true, '\t') => "\\t",
                (true, '\r') => "\\r",
                (true, '\\') => "\\\\",
                (true, >= ' ') when !Rune.IsControl(rune) => rune.ToString(),
                _ => string.Concat(Convert.ToHexStringLower(bytes[..length]).Chunk(2).Select(hex => $"\\x{new string(hex)}")),
            });
            bytes = bytes[length..];
        }

        return piece.ToString();
    }
}
