using System.Globalization;

namespace Windtunnel.Cli;

/// <summary>Text that came from files, as a terminal may show it: one line, no longer than anybody reads, and no escape sequences.</summary>
internal static class PlainText
{
    private const int MostCharacters = 2000;

    /// <summary>One line in which control and formatting characters are question marks.</summary>
    public static string Line(string text)
    {
        string shown = text.Length <= MostCharacters ? text : $"{text[..MostCharacters]}... and {text.Length - MostCharacters:N0} more characters";
        shown = shown.ReplaceLineEndings(" ");
        return shown.Any(IsUnsafe) ? string.Concat(shown.Select(letter => IsUnsafe(letter) ? '?' : letter)) : shown;
    }

    private static bool IsUnsafe(char letter) => char.IsControl(letter) || char.GetUnicodeCategory(letter) is UnicodeCategory.Format;
}
