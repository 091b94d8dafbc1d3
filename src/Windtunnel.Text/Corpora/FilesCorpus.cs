using System.ComponentModel.DataAnnotations;
using System.IO.Compression;
using System.IO.Enumeration;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Windtunnel.Text.Corpora;

/// <summary>Text files on disk.</summary>
/// <param name="Paths">Files or globs (<c>*</c>, <c>?</c> and <c>**</c>) relative to the current directory.</param>
/// <param name="Field">The string property of a .jsonl line that holds the text.</param>
public sealed record FilesCorpusOptions(string[]? Paths = null, string Field = "text") : CorpusOptions
{
    public override Corpus Build() => new FilesCorpus(this);

    public override void Validate(string path = "corpus")
    {
        if (Paths is not { Length: > 0 } || Paths.Any(string.IsNullOrEmpty))
        {
            throw new ValidationException($"{path}.paths: is empty or has an empty entry: name at least one file or glob, such as data/**/*.txt");
        }
    }
}

/// <summary>
/// Documents from .txt and .md files (one a file) and .jsonl files (one a line), each optionally compressed as .gz or .br,
/// as UTF-8, in ordinal order of path. Files a glob matches that have another extension are ignored.
/// </summary>
public sealed class FilesCorpus : Corpus
{
    /// <summary>The longest document or line, in UTF-16 units; a longer one, such as a decompression bomb, is an error.</summary>
    public const int DocumentCharsMax = 1 << 28;

    private static readonly string[] s_extensions = [".txt", ".md", ".jsonl"];

    private readonly string _field;

    /// <exception cref="ValidationException">No path is given, or one matches no text file.</exception>
    public FilesCorpus(FilesCorpusOptions options)
    {
        options.Validate();
        _field = options.Field;
        Files = [.. options.Paths!.SelectMany(Matches).Distinct().Order(StringComparer.Ordinal)];
    }

    /// <summary>The files read, in order.</summary>
    public IReadOnlyList<string> Files { get; }

    public override IEnumerable<Document> Documents()
    {
        foreach (string file in Files)
        {
            using TextReader reader = Open(file);
            if (Format(file) != ".jsonl")
            {
                if (Read(file, reader, untilNewline: false) is { } text)
                {
                    yield return new Document(text);
                }

                continue;
            }

            long line = 0;
            while (Read(file, reader, untilNewline: true) is { } json)
            {
                line++;
                if (!string.IsNullOrWhiteSpace(json))
                {
                    yield return new Document(TextOf(json, file, line));
                }
            }
        }
    }

    public override string Fingerprint()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in Files)
        {
            using FileStream stream = File.OpenRead(file);
            hash.AppendData(Encoding.UTF8.GetBytes($"{file}\n{stream.Length}\n"));
            hash.AppendData(SHA256.HashData(stream));
        }

        return $"files {_field} {Convert.ToHexStringLower(hash.GetHashAndReset())}";
    }

    private string TextOf(string json, string file, long line)
    {
        try
        {
            using JsonDocument parsed = JsonDocument.Parse(json);
            if (parsed.RootElement.ValueKind == JsonValueKind.Object && parsed.RootElement.TryGetProperty(_field, out JsonElement text)
                && text.ValueKind == JsonValueKind.String)
            {
                return text.GetString()!;
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{file}, line {line}: not a valid JSON object: correct or remove the line", e);
        }

        throw new InvalidDataException($"{file}, line {line}: no string property '{_field}': correct the line or set the corpus's field");
    }

    /// <summary>The next document or line; null at the end.</summary>
    private static string? Read(string file, TextReader reader, bool untilNewline)
    {
        StringBuilder text = new();
        try
        {
            int c = reader.Read();
            if (c < 0)
            {
                return null;
            }

            for (; c >= 0 && !(untilNewline && c == '\n'); c = reader.Read())
            {
                if (text.Length == DocumentCharsMax)
                {
                    throw new InvalidDataException($"a document is longer than {DocumentCharsMax} characters: split it");
                }

                text.Append((char)c);
            }
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException or IOException)
        {
            throw new InvalidDataException($"{file}: {e.Message}", e);
        }

        return text.ToString();
    }

    private static StreamReader Open(string file)
    {
        FileStream stream = File.OpenRead(file);
        Stream decoded = Path.GetExtension(file) switch
        {
            ".gz" => new GZipStream(stream, CompressionMode.Decompress),
            ".br" => new BrotliStream(stream, CompressionMode.Decompress),
            _ => stream,
        };
        return new StreamReader(decoded, Encoding.UTF8, detectEncodingFromByteOrderMarks: false, bufferSize: 1 << 16);
    }

    private static string Format(string file) =>
        Path.GetExtension(Path.GetExtension(file) is ".gz" or ".br" ? Path.ChangeExtension(file, null) : file);

    private static IEnumerable<string> Matches(string glob)
    {
        string path = glob.Replace('\\', '/');
        string root = Path.IsPathRooted(path) ? Path.GetPathRoot(path)! : "";
        string[] segments = path[root.Length..].Split('/', StringSplitOptions.RemoveEmptyEntries);
        IEnumerable<string> expanded = segments.Length > 0 ? Expand(root, segments) : [];
        List<string> files = [.. expanded.Where(file => s_extensions.Contains(Format(file)))];
        return files.Count > 0
            ? files
            : throw new ValidationException($"corpus files: '{glob}' matches no .txt, .md or .jsonl file (optionally .gz or .br): correct paths");
    }

    private static IEnumerable<string> Expand(string folder, ReadOnlyMemory<string> segments)
    {
        string segment = segments.Span[0];
        ReadOnlyMemory<string> rest = segments[1..];
        bool last = rest.IsEmpty;
        if (segment is "." or ".." || segment.AsSpan().IndexOfAny('*', '?') < 0)
        {
            string path = Path.Combine(folder, segment);
            return last ? (File.Exists(path) ? [path] : []) : Directory.Exists(path) ? Expand(path, rest) : [];
        }

        DirectoryInfo at = new(folder.Length == 0 ? "." : folder);
        // Links to folders are not followed by **: they can form a cycle.
        IEnumerable<string> folders = at.EnumerateDirectories()
            .Where(child => segment == "**" ? child.LinkTarget is null : Fits(child)).Select(child => Path.Combine(folder, child.Name));
        IEnumerable<string> files = at.EnumerateFiles().Where(Fits).Select(child => Path.Combine(folder, child.Name));
        return (segment == "**", last) switch
        {
            (true, true) => files.Concat(folders.SelectMany(child => Expand(child, segments))),
            (true, false) => Expand(folder, rest).Concat(folders.SelectMany(child => Expand(child, segments))),
            (false, true) => files,
            (false, false) => folders.SelectMany(child => Expand(child, rest)),
        };

        bool Fits(FileSystemInfo child) => FileSystemName.MatchesSimpleExpression(segment, child.Name, ignoreCase: false);
    }
}
