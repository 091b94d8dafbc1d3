namespace Windtunnel.Tests;

/// <summary>Finds the data that is shared between checkouts and never committed: published curves, golden values, fixtures.</summary>
public static class SharedData
{
    /// <summary>The folder named by WINDTUNNEL_SHARED, else <c>../shared</c> beside the checkout, else null.</summary>
    public static string? Root { get; } = Find();

    /// <summary>The full path of a shared file; skips the running test, saying why, where it is absent.</summary>
    public static string Require(string relativePath)
    {
        Assert.SkipWhen(Root is null, "shared data is absent: set WINDTUNNEL_SHARED or place it at ../shared");
        string path = Path.Combine(Root!, relativePath);
        Assert.SkipUnless(File.Exists(path) || Directory.Exists(path), $"shared data has no {relativePath}");
        return path;
    }

    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable("WINDTUNNEL_SHARED") is { Length: > 0 } named)
        {
            return Directory.Exists(named) ? named : null;
        }

        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Windtunnel.slnx")))
            {
                string beside = Path.Combine(at.Parent?.FullName ?? at.FullName, "shared");
                return Directory.Exists(beside) ? beside : null;
            }
        }

        return null;
    }
}
