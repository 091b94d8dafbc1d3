using System.Text.Json;

namespace Windtunnel.Text.Tokenizers;

/// <summary>Tells the formats of tokenizers apart.</summary>
internal static class TokenizerFile
{
    private static readonly string[] s_names = ["tokenizer.json", "tokenizer.model", "vocab.json", "encoder.json", "tokenizer.bin"];

    /// <inheritdoc cref="Tokenizer.Load"/>
    public static Tokenizer Load(string path)
    {
        if (Directory.Exists(path))
        {
            path = s_names.Select(name => Path.Combine(path, name)).FirstOrDefault(File.Exists)
                ?? throw new InvalidDataException($"{path}: has no tokenizer: put one of {string.Join(", ", s_names)} there");
        }

        try
        {
            TokenizerDefinition definition = Path.GetExtension(path) switch
            {
                ".model" => SentencePieceModel.Read(ReadBytes(path, SentencePieceModel.FileBytesMax)),
                ".bin" => Llama2cVocabulary.Read(ReadBytes(path, SentencePieceModel.FileBytesMax)),
                _ => ReadJson(path),
            };
            return IsBytes(definition) ? new BytesTokenizer() : new BpeTokenizer(definition);
        }
        catch (Exception e) when (e is InvalidDataException or JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{path}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    internal static byte[] ReadBytes(string path, long bytesMax)
    {
        long length = new FileInfo(path).Length;
        return length <= bytesMax ? File.ReadAllBytes(path) : throw new InvalidDataException($"{length} bytes is more than the {bytesMax} such a file may have");
    }

    private static TokenizerDefinition ReadJson(string path)
    {
        using JsonDocument document = TokenizerJson.Parse(ReadBytes(path, TokenizerJson.FileBytesMax));
        TokenizerJson.Check(document.RootElement.ValueKind == JsonValueKind.Object, "is not an object");
        // GPT-2's vocabulary has a token "model" too, which is a number.
        bool isWhole = document.RootElement.TryGetProperty("model", out JsonElement model) && model.ValueKind == JsonValueKind.Object;
        return !isWhole && Gpt2Vocabulary.MergesBeside(path) is { } merges
            ? Gpt2Vocabulary.Read(document.RootElement, merges)
            : TokenizerJson.Read(document.RootElement);
    }

    /// <summary>Whether it is what a <see cref="BytesTokenizer"/> writes.</summary>
    private static bool IsBytes(TokenizerDefinition definition)
    {
        TokenizerDefinition bytes = new BytesTokenizer().Definition;
        return definition.Vocabulary.SequenceEqual(bytes.Vocabulary) && definition.Merges.Count == 0 && definition.AddedTokens.SequenceEqual(bytes.AddedTokens)
            && Same(definition.Normalizer, bytes.Normalizer) && Same(definition.PreTokenizer, bytes.PreTokenizer)
            && Same(definition.PostProcessor, bytes.PostProcessor) && Same(definition.Decoder, bytes.Decoder) && definition is { UnknownToken: null, IgnoreMerges: false };
    }

    private static bool Same(string json, string expected)
    {
        using JsonDocument first = JsonDocument.Parse(json), second = JsonDocument.Parse(expected);
        return JsonElement.DeepEquals(first.RootElement, second.RootElement);
    }
}
