using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Text;

/// <summary>The held-out documents of one source.</summary>
public sealed class ValidationSource(string name, TokenShard shard, Tokenizer tokenizer)
{
    public string Name => name;

    public TokenShard Shard => shard;

    /// <summary>The documents as windows of T tokens; see <see cref="ValidationWindows"/>.</summary>
    public ValidationWindows Windows(int sequenceLength, long? tokensMax = null) => new(shard, tokenizer.EndOfTextId, sequenceLength, tokensMax);

    /// <summary>Writes the documents' text in UTF-8, end to end: what a compressor is compared on. Returns its length in bytes.</summary>
    public long CopyText(Stream destination)
    {
        int[] ids = new int[1 << 14];
        long length = 0;
        for (long start = 0; start < shard.TokenCount; start += ids.Length)
        {
            Span<int> chunk = ids.AsSpan(0, (int)Math.Min(ids.Length, shard.TokenCount - start));
            shard.ReadTokens(start, chunk);
            byte[] text = tokenizer.Decode(chunk);
            destination.Write(text);
            length += text.Length;
        }

        return length;
    }
}
