using System.ComponentModel.DataAnnotations;
using System.Runtime.InteropServices;
using System.Text;
using System.Xml;

namespace Windtunnel.Text.Corpora;

/// <summary>The API documentation in the installed .NET SDK: an English corpus that needs no download.</summary>
public sealed record DotnetDocsCorpusOptions : CorpusOptions
{
    public override Corpus Build() => new DotnetDocsCorpus();
}

/// <summary>
/// The XML documentation of the .NET SDK's reference packs as English prose: one document a type, its summary first,
/// then a paragraph a member. A passage that has appeared before, such as an overload's, is left out.
/// The text depends on the SDK's version; <see cref="Fingerprint"/> names it.
/// </summary>
public sealed class DotnetDocsCorpus : Corpus
{
    private readonly List<string> _packs;

    /// <exception cref="ValidationException">No .NET SDK, or none with reference packs, is installed.</exception>
    public DotnetDocsCorpus()
    {
        _packs = [.. DotnetRoots().Select(root => Path.Combine(root, "packs")).Where(Directory.Exists).Select(NewestPacks)
            .FirstOrDefault(packs => packs.Count > 0) ?? []];
        if (_packs.Count == 0)
        {
            throw new ValidationException("corpus dotnet-docs: no reference packs found: install the .NET SDK, set DOTNET_ROOT, or choose another corpus");
        }
    }

    public override IEnumerable<Document> Documents()
    {
        HashSet<string> seen = [];
        foreach (string file in XmlFiles())
        {
            List<string> paragraphs = [];
            string? type = null;
            foreach ((string member, string text) in Members(file, seen))
            {
                string owner = TypeOf(member);
                if (owner != type)
                {
                    if (paragraphs.Count > 0)
                    {
                        yield return new Document($"{type}\n\n{string.Join("\n\n", paragraphs)}\n");
                        paragraphs.Clear();
                    }

                    type = owner;
                }

                if (text.Length > 0)
                {
                    paragraphs.Add(member.StartsWith("T:", StringComparison.Ordinal) ? text : $"{Tail(member)}. {text}");
                }
            }

            if (paragraphs.Count > 0)
            {
                yield return new Document($"{type}\n\n{string.Join("\n\n", paragraphs)}\n");
            }
        }
    }

    public override string Fingerprint() =>
        "dotnet-docs 1 " + string.Join(' ', _packs.Select(pack => $"{Path.GetFileName(Path.GetDirectoryName(pack))}/{Path.GetFileName(pack)}"));

    private IEnumerable<string> XmlFiles() => _packs.Select(pack => Path.Combine(pack, "ref")).Where(Directory.Exists)
        .SelectMany(Directory.GetDirectories).Order(StringComparer.Ordinal)
        .SelectMany(folder => Directory.GetFiles(folder, "*.xml").Order(StringComparer.Ordinal));

    private static IEnumerable<string> DotnetRoots()
    {
        string?[] candidates =
        [
            Environment.GetEnvironmentVariable("DOTNET_ROOT"),
            Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."),
            Path.GetDirectoryName(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH")),
        ];
        return candidates.OfType<string>().Where(root => root.Length > 0);
    }

    private static List<string> NewestPacks(string folder) =>
        [.. Directory.GetDirectories(folder, "*.Ref").Order(StringComparer.Ordinal).Select(NewestVersion).OfType<string>()];

    private static string? NewestVersion(string pack) => Directory.GetDirectories(pack)
        .MaxBy(folder => Version.TryParse(Path.GetFileName(folder).Split('-')[0], out Version? version) ? version : new Version());

    private static IEnumerable<(string Member, string Text)> Members(string file, HashSet<string> seen)
    {
        XmlReaderSettings settings = new() { DtdProcessing = DtdProcessing.Prohibit, IgnoreComments = true, IgnoreProcessingInstructions = true };
        using XmlReader reader = XmlReader.Create(file, settings);
        while (Advance(reader, file))
        {
            if (reader is { NodeType: XmlNodeType.Element, Name: "member" } && reader.GetAttribute("name") is { Length: > 2 } member)
            {
                yield return (member, Prose(reader, file, seen));
            }
        }
    }

    /// <summary>Reads a member element to its end and returns the passages not seen before, joined by spaces.</summary>
    private static string Prose(XmlReader reader, string file, HashSet<string> seen)
    {
        StringBuilder member = new(), passage = new();
        int depth = reader.Depth;
        if (reader.IsEmptyElement)
        {
            return "";
        }

        string label = "";
        while (Advance(reader, file) && reader.Depth > depth)
        {
            bool block = reader.Depth == depth + 1;
            switch (reader.NodeType)
            {
                case XmlNodeType.Element when block:
                    label = reader.Name switch
                    {
                        "param" or "typeparam" => reader.GetAttribute("name") + ": ",
                        "exception" => Tail(reader.GetAttribute("cref") ?? "") + ": ",
                        "returns" or "value" => "Returns: ",
                        _ => "",
                    };
                    break;
                case XmlNodeType.Element when reader.Name == "code" && reader.AttributeCount == 0:
                    Skip(reader, file);
                    break;
                case XmlNodeType.Element:
                    passage.Append(Replacement(reader));
                    break;
                case XmlNodeType.Text or XmlNodeType.CDATA or XmlNodeType.SignificantWhitespace or XmlNodeType.Whitespace when !block:
                    passage.Append(reader.Value);
                    break;
                case XmlNodeType.EndElement when block:
                    string text = Normalise(passage);
                    passage.Clear();
                    if (text.Length > 0 && seen.Add(text))
                    {
                        member.Append(member.Length > 0 ? " " : "").Append(label).Append(text);
                    }

                    break;
                case XmlNodeType.EndElement when reader.Name is "para" or "item" or "p" or "li" or "term":
                    passage.Append(' ');
                    break;
            }
        }

        return member.ToString();
    }

    /// <summary>What an inline element reads as: a reference's name, or nothing where its own text follows.</summary>
    private static string Replacement(XmlReader reader) => reader.Name switch
    {
        "see" or "seealso" or "paramref" or "typeparamref" or "xref" or "c" or "code" when reader.IsEmptyElement =>
            reader.GetAttribute("langword") ?? reader.GetAttribute("name")
            ?? Tail(reader.GetAttribute("cref") ?? reader.GetAttribute("uid") ?? reader.GetAttribute("href") ?? ""),
        "para" or "item" or "description" or "br" or "p" or "li" => " ",
        _ => "",
    };

    /// <summary>The name a reader would write: <c>Int32</c>, <c>List.Add</c>; the type of a constructor.</summary>
    private static string Tail(string cref)
    {
        bool isMember = cref.Length > 2 && cref[1] == ':' && cref[0] is 'M' or 'P' or 'F' or 'E';
        string name = cref.Length > 2 && cref[1] == ':' ? cref[2..] : cref;
        int arguments = name.IndexOf('(');
        string[] parts = (arguments >= 0 ? name[..arguments] : name).Split('.');
        string last = WithoutArity(parts[^1]);
        if (parts.Length == 1 || cref.Contains("://", StringComparison.Ordinal))
        {
            return WithoutArity(name);
        }

        return !isMember ? last : last.StartsWith('#') ? WithoutArity(parts[^2]) : $"{WithoutArity(parts[^2])}.{last}";
    }

    private static string TypeOf(string member)
    {
        string name = member[2..];
        int arguments = name.IndexOf('(');
        name = arguments >= 0 ? name[..arguments] : name;
        return WithoutArity(member[0] == 'T' || !name.Contains('.') ? name : name[..name.LastIndexOf('.')]);
    }

    private static string WithoutArity(string name)
    {
        int tick = name.IndexOf('`');
        return tick >= 0 ? name[..tick] : name;
    }

    /// <summary>Collapses white space, and removes it before punctuation, where markup left it.</summary>
    private static string Normalise(StringBuilder passage)
    {
        StringBuilder text = new(passage.Length);
        foreach (ReadOnlyMemory<char> chunk in passage.GetChunks())
        {
            foreach (char c in chunk.Span)
            {
                if (char.IsWhiteSpace(c))
                {
                    if (text.Length > 0 && text[^1] != ' ')
                    {
                        text.Append(' ');
                    }
                }
                else
                {
                    if (c is '.' or ',' or ';' && text.Length > 0 && text[^1] == ' ')
                    {
                        text.Length--;
                    }

                    text.Append(c);
                }
            }
        }

        return text.ToString().TrimEnd();
    }

    private static void Skip(XmlReader reader, string file)
    {
        int depth = reader.Depth;
        if (!reader.IsEmptyElement)
        {
            while (Advance(reader, file) && reader.Depth > depth)
            {
            }
        }
    }

    private static bool Advance(XmlReader reader, string file)
    {
        try
        {
            return reader.Read();
        }
        catch (XmlException e)
        {
            throw new InvalidDataException($"{file}, line {e.LineNumber}: not valid XML documentation: repair the .NET SDK", e);
        }
    }
}
