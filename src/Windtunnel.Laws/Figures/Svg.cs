using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;

namespace Windtunnel.Laws.Figures;

/// <summary>The elements of SVG that figures are made of. Coordinates are in pixels, rounded to hundredths.</summary>
internal static partial class Svg
{
    private static readonly XNamespace s_namespace = "http://www.w3.org/2000/svg";

    /// <summary>An element; numbers among the attributes are rounded, texts are cleaned.</summary>
    public static XElement Element(string name, params ReadOnlySpan<(string Name, object Value)> attributes)
    {
        XElement element = new(s_namespace + name);
        foreach ((string attribute, object value) in attributes)
        {
            element.SetAttributeValue(attribute, value switch { double number => Number(number), string text => Clean(text), _ => value });
        }

        return element;
    }

    /// <summary>An element that holds plain text: a title, a description, a style sheet.</summary>
    public static XElement Plain(string name, string text) => new(s_namespace + name, Clean(text));

    /// <summary>A line of text. What follows ^, to the end of the word or within braces, is raised.</summary>
    /// <param name="x">The anchor.</param>
    /// <param name="y">The base line.</param>
    /// <param name="anchor">start, middle or end.</param>
    public static XElement Text(double x, double y, string text, string style = "wt-tick", string anchor = "start")
    {
        XElement element = Element("text", ("class", style), ("x", x), ("y", y));
        if (anchor != "start")
        {
            element.SetAttributeValue("text-anchor", anchor);
        }

        int at = 0;
        foreach (Match power in Raised().Matches(text))
        {
            Append(text[at..power.Index], at > 0);

            // Some programs drop spaces around a part otherwise.
            element.SetAttributeValue(XNamespace.Xml + "space", "preserve");
            element.Add(Element("tspan", ("class", "wt-up"), ("dy", -4.0)).With(Clean(power.Groups["power"].Value)));
            at = power.Index + power.Length;
        }

        Append(text[at..], at > 0);
        return element;

        void Append(string part, bool lower)
        {
            if (part.Length > 0)
            {
                element.Add(lower ? Element("tspan", ("dy", 4.0)).With(Clean(part)) : Clean(part));
            }
        }
    }

    /// <summary>The path through points, in runs: a null starts a new one.</summary>
    public static string Path(IEnumerable<(double X, double Y)?> points)
    {
        StringBuilder path = new();
        char command = 'M';
        foreach ((double X, double Y)? point in points)
        {
            if (point is not { } at)
            {
                command = 'M';
                continue;
            }

            path.Append(command).Append(Number(at.X)).Append(' ').Append(Number(at.Y));
            command = 'L';
        }

        return path.ToString();
    }

    /// <summary>An estimate of the width of a text in a common sans-serif face, on the large side.</summary>
    public static double Width(string text, double size)
    {
        double width = 0;
        foreach (char letter in Raised().Replace(text, power => power.Groups["power"].Value))
        {
            width += letter switch
            {
                'i' or 'j' or 'l' or 'I' or '.' or ',' or ':' or ';' or '\'' or '|' or '!' => 0.3,
                'f' or 't' or 'r' or '(' or ')' or ' ' or '/' or '-' => 0.38,
                'm' or 'w' or 'M' or 'W' or '%' or '@' => 0.92,
                '×' or '−' or '+' or '=' or '<' or '>' or '~' => 0.84,
                >= 'A' and <= 'Z' => 0.7,
                > '\u2E80' => 1.05,
                _ => 0.58,
            };
        }

        return width * size;
    }

    /// <summary>The text, cut where it is wider than there is room.</summary>
    public static string Fit(string text, double size, double width)
    {
        int length = text.Length;
        while (length > 1 && Width(text[..length], size) > width)
        {
            length--;
        }

        return length == text.Length ? text : text[..length] + "…";
    }

    /// <summary>A move of the origin.</summary>
    public static string Translation(double x, double y) => $"translate({Number(x)} {Number(y)})";

    /// <summary>Breaks a text into lines of at most a width; a longer word stays whole.</summary>
    public static List<string> Wrap(string text, double size, double width)
    {
        List<string> lines = [];
        foreach (string word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (lines.Count > 0 && Width($"{lines[^1]} {word}", size) <= width)
            {
                lines[^1] += " " + word;
            }
            else
            {
                lines.Add(word);
            }
        }

        return lines;
    }

    /// <summary>Adds content and returns the element.</summary>
    public static XElement With(this XElement element, params IEnumerable<object?> content)
    {
        element.Add(content);
        return element;
    }

    /// <summary>The document as text, without a declaration, so that it can stand in a page.</summary>
    public static string Write(XElement root)
    {
        StringBuilder text = new();
        using (XmlWriter writer = XmlWriter.Create(text, new() { OmitXmlDeclaration = true, Indent = true, IndentChars = " ", NewLineChars = "\n" }))
        {
            root.Save(writer);
        }

        return text.Append('\n').ToString();
    }

    // Adding zero turns -0 into 0.
    private static string Number(double value) => (Math.Round(value, 2) + 0.0).ToString("0.##");

    // What XML can't hold, and what would turn the text around it, becomes the replacement character.
    private static string Clean(string text) => string.Concat(text.EnumerateRunes().Select(rune =>
        (rune.IsBmp && !XmlConvert.IsXmlChar((char)rune.Value)) || Rune.GetUnicodeCategory(rune) == UnicodeCategory.Format ? "\uFFFD" : rune.ToString()));

    [GeneratedRegex(@"\^(?:\{(?<power>[^}]*)\}|(?<power>[-−]?[\p{L}\p{Nd}.*]+))")]
    private static partial Regex Raised();
}
