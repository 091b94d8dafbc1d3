using System.Runtime.InteropServices;

namespace Windtunnel.Text.Tokenizers;

/// <summary>One token a byte: nothing to train, 257 ids.</summary>
public sealed record BytesTokenizerOptions : TokenizerOptions
{
    public override Tokenizer Train(IEnumerable<string> documents) => new BytesTokenizer();
}

/// <summary>Ids 0 to 255 are the bytes; 256 ends a document.</summary>
public sealed class BytesTokenizer : Tokenizer
{
    private static readonly byte[] s_bytes = [.. Enumerable.Range(0, 256).Select(b => (byte)b)];
    private static readonly int[] s_lengths = [.. Enumerable.Repeat(1, 256), 0];

    public override int VocabularySize => 257;

    public override int EndOfTextId => 256;

    public override ReadOnlySpan<int> TokenByteLengths => s_lengths;

    internal override TokenizerDefinition Definition { get; } = TokenizerDefinition.ByteLevel(
        [.. s_bytes.Select(b => new[] { b }), []], [], new Dictionary<string, int> { [EndOfText] = 256 }, SplitPattern.Gpt4);

    public override void Encode(ReadOnlySpan<byte> text, List<int> ids)
    {
        int start = ids.Count;
        CollectionsMarshal.SetCount(ids, start + text.Length);
        Span<int> added = CollectionsMarshal.AsSpan(ids)[start..];
        for (int i = 0; i < text.Length; i++)
        {
            added[i] = text[i];
        }
    }

    public override ReadOnlySpan<byte> TokenBytes(int id)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)id, 256u, nameof(id));
        return id == 256 ? [] : s_bytes.AsSpan(id, 1);
    }
}
