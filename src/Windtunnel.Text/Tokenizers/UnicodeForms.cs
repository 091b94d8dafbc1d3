using System.Globalization;
using System.Text;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// The normalization forms NFC, NFD, NFKC and NFKD (Unicode Standard Annex 15). The framework's own need libraries of the system, of whatever
/// Unicode version, which we do without; these give the same everywhere.
/// </summary>
internal static class UnicodeForms
{
    private const int HangulBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TailBase = 0x11A7;
    private const int Leads = 19, Vowels = 21, Tails = 28;

    private static readonly Lazy<Database> s_database = new(() => new Database());

    /// <summary>A text in one of the forms.</summary>
    /// <param name="text">Without lone surrogates.</param>
    /// <param name="compatibility">Whether characters that only look different become equal (NFKC, NFKD).</param>
    /// <param name="compose">Whether letters and marks are joined again (NFC, NFKC).</param>
    public static string Normalize(string text, bool compatibility, bool compose)
    {
        if (Ascii.IsValid(text))
        {
            return text;
        }

        Database database = s_database.Value;
        List<int> characters = new(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            database.Decompose(rune.Value, compatibility, characters);
        }

        List<byte> classes = [.. characters.Select(database.ClassOf)];
        Order(characters, classes);
        if (compose)
        {
            Compose(characters, classes, database);
        }

        StringBuilder normalized = new(characters.Count);
        foreach (int character in characters)
        {
            normalized.Append(new Rune(character).ToString());
        }

        return normalized.ToString();
    }

    /// <summary>Sorts each run of marks by class, and leaves those of one class in order.</summary>
    private static void Order(List<int> characters, List<byte> classes)
    {
        for (int start = 0; start < characters.Count; start++)
        {
            int end = start;
            while (end < characters.Count && classes[end] != 0)
            {
                end++;
            }

            if (end - start > 1)
            {
                (int Character, byte Class)[] run = [.. characters.Zip(classes).Skip(start).Take(end - start).OrderBy(mark => mark.Second)];
                for (int i = 0; i < run.Length; i++)
                {
                    (characters[start + i], classes[start + i]) = run[i];
                }
            }

            start = end;
        }
    }

    private static void Compose(List<int> characters, List<byte> classes, Database database)
    {
        int starter = -1, kept = 0;
        byte last = 0;
        for (int i = 0; i < characters.Count; i++)
        {
            // A mark is blocked from the starter by another of the same or a higher class, and a starter by anything between.
            bool isBlocked = starter < 0 || (kept > starter + 1 && (last >= classes[i] || classes[i] == 0));
            if (!isBlocked && database.Composite(characters[starter], characters[i]) is { } composite)
            {
                characters[starter] = composite;
                continue;
            }

            (characters[kept], classes[kept]) = (characters[i], classes[i]);
            last = classes[i];
            starter = last == 0 ? kept : starter;
            kept++;
        }

        characters.RemoveRange(kept, characters.Count - kept);
    }

    private sealed class Database
    {
        private readonly Dictionary<int, byte> _classes = [];
        private readonly Dictionary<int, int[]> _canonical = [];
        private readonly Dictionary<int, int[]> _compatible = [];
        private readonly Dictionary<(int, int), int> _composites = [];

        public Database()
        {
            using StreamReader reader = new(typeof(UnicodeForms).Assembly.GetManifestResourceStream("unicode-forms.txt")!);
            while (reader.ReadLine() is { } line)
            {
                if (line.IndexOfAny(['=', ':', '~']) is > 0 and int at)
                {
                    int character = Code(line.AsSpan(0, at));
                    int[] parts = [.. line[(at + 1)..].Split(' ').Select(part => Code(part))];
                    (line[at] == '~' ? _compatible : _canonical).Add(character, parts);
                    if (line[at] == '=')
                    {
                        _composites.Add((parts[0], parts[1]), character);
                    }
                }
                else if (line.Split('-', ' ') is [string first, string last, string value] && first != "#")
                {
                    for (int character = Code(first); character <= Code(last); character++)
                    {
                        _classes.Add(character, byte.Parse(value));
                    }
                }
            }
        }

        public byte ClassOf(int character) => _classes.GetValueOrDefault(character);

        public void Decompose(int character, bool compatibility, List<int> to)
        {
            int syllable = character - HangulBase;
            if ((uint)syllable < Leads * Vowels * Tails)
            {
                to.Add(LeadBase + (syllable / (Vowels * Tails)));
                to.Add(VowelBase + (syllable / Tails % Vowels));
                if (syllable % Tails > 0)
                {
                    to.Add(TailBase + (syllable % Tails));
                }
            }
            else if (_canonical.TryGetValue(character, out int[]? parts) || (compatibility && _compatible.TryGetValue(character, out parts)))
            {
                foreach (int part in parts)
                {
                    Decompose(part, compatibility, to);
                }
            }
            else
            {
                to.Add(character);
            }
        }

        public int? Composite(int first, int second)
        {
            int syllable = first - HangulBase;
            if ((uint)(first - LeadBase) < Leads && (uint)(second - VowelBase) < Vowels)
            {
                return HangulBase + ((((first - LeadBase) * Vowels) + second - VowelBase) * Tails);
            }

            if ((uint)syllable < Leads * Vowels * Tails && syllable % Tails == 0 && second > TailBase && second < TailBase + Tails)
            {
                return first + second - TailBase;
            }

            return _composites.TryGetValue((first, second), out int composite) ? composite : null;
        }

        private static int Code(ReadOnlySpan<char> hex) => int.Parse(hex, NumberStyles.AllowHexSpecifier);
    }
}
