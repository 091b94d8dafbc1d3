using System.Text;

namespace Windtunnel.Text.Tokenizers;

/// <summary>GPT-2's bytes_to_unicode: printable bytes stand for themselves, the others for U+0100 upwards in order.</summary>
internal static class ByteAlphabet
{
    private static readonly char[] s_charOfByte = Build();
    private static readonly Dictionary<char, byte> s_byteOfChar = s_charOfByte.Index().ToDictionary(pair => pair.Item, pair => (byte)pair.Index);

    /// <summary>Bytes as the file spells them.</summary>
    public static string Spell(ReadOnlySpan<byte> bytes)
    {
        StringBuilder spelling = new(bytes.Length);
        foreach (byte b in bytes)
        {
            spelling.Append(s_charOfByte[b]);
        }

        return spelling.ToString();
    }

    /// <summary>The bytes of a spelling; null where a character is not of the alphabet.</summary>
    public static byte[]? Bytes(string spelling)
    {
        byte[] bytes = new byte[spelling.Length];
        for (int i = 0; i < bytes.Length; i++)
        {
            if (!s_byteOfChar.TryGetValue(spelling[i], out bytes[i]))
            {
                return null;
            }
        }

        return bytes;
    }

    private static char[] Build()
    {
        char[] alphabet = new char[256];
        char next = 'Ā';
        for (int b = 0; b < 256; b++)
        {
            alphabet[b] = b is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE ? (char)b : next++;
        }

        return alphabet;
    }
}
