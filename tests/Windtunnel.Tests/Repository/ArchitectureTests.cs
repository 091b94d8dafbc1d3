using System.Runtime.CompilerServices;
using System.Xml.Linq;

namespace Windtunnel.Tests.Repository;

/// <summary>The project files against the drawing in the architecture document: references go one way.</summary>
public sealed class ArchitectureTests
{
    private const string Prefix = "Windtunnel.";

    [Fact]
    public void Every_project_references_exactly_what_the_architecture_document_says()
    {
        Dictionary<string, string[]> projects = Directory.GetFiles(Source, "*.csproj", SearchOption.AllDirectories)
            .ToDictionary(ShortName, path => Items(path, "ProjectReference").Select(ShortName).Order(StringComparer.Ordinal).ToArray());
        Dictionary<string, string[]> documented = Table();

        Assert.Equal(documented.Keys.Order(StringComparer.Ordinal), projects.Keys.Order(StringComparer.Ordinal));
        Assert.All(documented, project => Assert.Equal(project.Value, projects[project.Key]));
    }

    // The rows "| `Windtunnel.X` | .. | .. | what it references |".
    private static Dictionary<string, string[]> Table()
    {
        string[][] rows = [.. File.ReadLines(Path.Combine(Source, "..", "ARCHITECTURE.md")).Where(line => line.StartsWith("| `Windtunnel.", StringComparison.Ordinal))
            .Select(line => line.Trim('|', ' ').Split('|', StringSplitOptions.TrimEntries))];
        string[] names = [.. rows.Select(row => row[0].Trim('`')[Prefix.Length..])];
        return rows.ToDictionary(row => row[0].Trim('`')[Prefix.Length..], row => row[3] switch
        {
            "nothing" => [],
            "all of them" => [.. names.Where(name => name != "Cli").Order(StringComparer.Ordinal)],
            string list => list.Split(", ").Order(StringComparer.Ordinal).ToArray(),
        });
    }

    [Fact]
    public void Only_the_engine_may_use_unsafe_code()
    {
        string[] unsafeProjects = [.. Directory.GetFiles(Source, "*.csproj", SearchOption.AllDirectories)
            .Where(path => XDocument.Load(path).Descendants("AllowUnsafeBlocks").Any(element => bool.Parse(element.Value)))
            .Select(ShortName)];

        Assert.Equal(["Tensors"], unsafeProjects);
    }

    private static string Source => Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", "..", "..", "src");

    private static string ThisFile([CallerFilePath] string path = "") => path;

    private static IEnumerable<string> Items(string project, string item) =>
        XDocument.Load(project).Descendants(item).Select(element => element.Attribute("Include")!.Value);

    private static string ShortName(string project) => Path.GetFileNameWithoutExtension(project.Replace('\\', '/'))[Prefix.Length..];
}
