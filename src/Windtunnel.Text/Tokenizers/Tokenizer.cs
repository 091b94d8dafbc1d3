using System.Buffers;
using System.ComponentModel.DataAnnotations;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Windtunnel.Text.Tokenizers;

/// <summary>Options that build a <see cref="Tokenizer"/>; add a tokenizer with one file and one line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(BpeTokenizerOptions), "bpe")]
[JsonDerivedType(typeof(BytesTokenizerOptions), "bytes")]
[JsonDerivedType(typeof(FileTokenizerOptions), "file")]
public abstract record TokenizerOptions
{
    /// <summary>Builds the tokenizer, from the documents where it is learned from text.</summary>
    public abstract Tokenizer Train(IEnumerable<string> documents);

    /// <summary>Checks all that can be checked without a document or file.</summary>
    /// <param name="path">Where the options stand in the config, for the message.</param>
    /// <exception cref="ValidationException">An option is out of range.</exception>
    public virtual void Validate(string path = "tokenizer")
    {
    }

    /// <summary>The vocabulary of the built tokenizer, without any document; where it is learned from text, the most it can have.</summary>
    public virtual int VocabularySizeMax() => Train([]).VocabularySize;

    /// <summary>A line of text that changes when the built tokenizer would, for the same documents.</summary>
    public virtual string Fingerprint() => JsonSerializer.Serialize(this);
}

/// <summary>A tokenizer that was saved before, here or elsewhere.</summary>
/// <param name="Path">Its file or folder, of any format that <see cref="Tokenizer.Load"/> reads.</param>
public sealed record FileTokenizerOptions(string Path = "tokenizer.json") : TokenizerOptions
{
    public override Tokenizer Train(IEnumerable<string> documents) =>
        System.IO.Path.Exists(Path) ? Tokenizer.Load(Path) : throw new ValidationException($"tokenizer file: '{Path}' does not exist: correct path");

    public override string Fingerprint() => Fingerprint(Convert.ToHexStringLower(Train([]).Sha256));

    internal static string Fingerprint(string sha256) => $"file {sha256}";
}

/// <summary>
/// Text to token ids and back. Encoding is total: any bytes, valid UTF-8 or not, have ids, and no text, not even a special
/// token's name, encodes to a special token other than the unknown one. Tokenizers that are trained here are lossless; those of files
/// are where their normalizer is, and where they have bytes for characters without a token. Instances are safe to share between threads.
/// </summary>
public abstract class Tokenizer
{
    /// <summary>The name of the special token that ends a text in tokenizers that are trained here.</summary>
    public const string EndOfText = "<|endoftext|>";

    private byte[]? _sha256;

    /// <summary>Ids are 0 to this, less 1.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>The id that ends every document; text never encodes to it. The last id where the tokenizer is trained here.</summary>
    public abstract int EndOfTextId { get; }

    /// <summary>The id that the tokenizer's file puts in front of every text; null where it puts none.</summary>
    public virtual int? BeginningOfTextId => null;

    /// <summary>Whether encoding puts a space in front of text, which decoding takes away.</summary>
    public virtual bool HasPrefixSpace => false;

    /// <summary>Ids by name of the tokens that stand for no text and that no text encodes to, the end-of-text token included.</summary>
    public virtual IReadOnlyDictionary<string, int> SpecialTokens => new Dictionary<string, int> { [EndOfText] = EndOfTextId };

    /// <summary>Bytes of text a token stands for, by id; 0 for a special token. A prefix space counts.</summary>
    public abstract ReadOnlySpan<int> TokenByteLengths { get; }

    /// <summary>SHA-256 of the tokenizer.json that <see cref="Save"/> writes.</summary>
    public ReadOnlySpan<byte> Sha256 => _sha256 ??= System.Security.Cryptography.SHA256.HashData(TokenizerJson.Write(this));

    /// <summary>What its file says.</summary>
    internal abstract TokenizerDefinition Definition { get; }

    /// <summary>Appends the ids of bytes, usually UTF-8.</summary>
    public abstract void Encode(ReadOnlySpan<byte> text, List<int> ids);

    /// <summary>The bytes of a token; none for a special token.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    public abstract ReadOnlySpan<byte> TokenBytes(int id);

    /// <summary>Appends the ids of text as UTF-8; a lone surrogate reads as U+FFFD.</summary>
    public void Encode(ReadOnlySpan<char> text, List<int> ids)
    {
        byte[] utf8 = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetByteCount(text));
        int length = Encoding.UTF8.GetBytes(text, utf8);
        Encode(utf8.AsSpan(0, length), ids);
        ArrayPool<byte>.Shared.Return(utf8);
    }

    /// <summary>The ids of text.</summary>
    public int[] Encode(string text)
    {
        List<int> ids = [];
        Encode(text.AsSpan(), ids);
        return [.. ids];
    }

    /// <summary>The bytes that ids stand for.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public byte[] Decode(ReadOnlySpan<int> ids)
    {
        ArrayBufferWriter<byte> bytes = new();
        foreach (int id in ids)
        {
            bytes.Write(TokenBytes(id));
        }

        return bytes.WrittenSpan[(HasPrefixSpace && bytes.WrittenSpan.StartsWith(" "u8) ? 1 : 0)..].ToArray();
    }

    /// <summary>The text that ids stand for; bytes that are not valid UTF-8 read as U+FFFD.</summary>
    public string DecodeText(ReadOnlySpan<int> ids) => Encoding.UTF8.GetString(Decode(ids));

    /// <summary>Writes a Hugging Face tokenizer.json: equal tokenizers give equal bytes.</summary>
    public void Save(string path)
    {
        byte[] json = TokenizerJson.Write(this);
        AtomicFile.Write(path, stream => stream.Write(json));
    }

    /// <summary>Reads a tokenizer.</summary>
    /// <param name="path">
    /// A tokenizer.json; GPT-2's vocab.json or encoder.json, with merges.txt or vocab.bpe beside it; SentencePiece's tokenizer.model; llama2.c's
    /// tokenizer.bin; or a folder with one of them, of which the first in this order counts: tokenizer.json, tokenizer.model, vocab.json, encoder.json, tokenizer.bin.
    /// </param>
    /// <exception cref="InvalidDataException">It is none of these, is damaged, or asks for what is not supported, which the message names.</exception>
    public static Tokenizer Load(string path) => TokenizerFile.Load(path);
}
