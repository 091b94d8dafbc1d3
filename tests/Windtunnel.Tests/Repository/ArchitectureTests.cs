using System.Runtime.CompilerServices;
using System.Xml.Linq;

namespace Windtunnel.Tests.Repository;

/// <summary>The project files against the drawing in the architecture document: references go one way.</summary>
public sealed class ArchitectureTests
{
    private const string Prefix = "Windtunnel.";

    private static readonly Dictionary<string, string[]> References = new()
    {
        ["Tensors"] = [],
        ["Text"] = [],
        ["Runs"] = [],
        ["Models"] = ["Tensors"],
        ["Training"] = ["Models", "Runs", "Text"],
    };

    [Fact]
    public void Every_project_references_exactly_what_the_architecture_says()
    {
        Dictionary<string, string[]> projects = Directory.GetFiles(Source, "*.csproj", SearchOption.AllDirectories)
            .ToDictionary(ShortName, path => Items(path, "ProjectReference").Select(ShortName).Order(StringComparer.Ordinal).ToArray());
        Dictionary<string, string[]> expected = new(References)
        {
            ["Cli"] = [.. References.Keys.Order(StringComparer.Ordinal)],
        };

        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), projects.Keys.Order(StringComparer.Ordinal));
        Assert.All(expected, project => Assert.Equal(project.Value, projects[project.Key]));
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
