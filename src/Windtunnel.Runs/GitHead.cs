namespace Windtunnel.Runs;

/// <summary>Which commit a working folder stands at, read from the files of git, which need not be installed.</summary>
public static class GitHead
{
    /// <summary>The commit hash checked out around <paramref name="folder"/>; null outside a repository or before its first commit.</summary>
    public static string? Read(string folder)
    {
        try
        {
            for (DirectoryInfo? at = new(folder); at is not null; at = at.Parent)
            {
                string git = Path.Combine(at.FullName, ".git");
                if (Directory.Exists(git))
                {
                    return Resolve(git);
                }

                // In a linked worktree .git is a file that says "gitdir: <folder>".
                if (File.Exists(git) && File.ReadAllText(git) is var link && link.StartsWith("gitdir: ", StringComparison.Ordinal))
                {
                    return Resolve(Path.Combine(at.FullName, link["gitdir: ".Length..].Trim()));
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }

        return null;
    }

    private static string? Resolve(string git)
    {
        string head = File.ReadAllText(Path.Combine(git, "HEAD")).Trim();
        if (!head.StartsWith("ref: ", StringComparison.Ordinal))
        {
            return Hash(head);
        }

        string reference = head["ref: ".Length..];
        string commonLink = Path.Combine(git, "commondir");
        string shared = File.Exists(commonLink) ? Path.Combine(git, File.ReadAllText(commonLink).Trim()) : git;
        string loose = Path.Combine(shared, reference);
        if (File.Exists(loose))
        {
            return Hash(File.ReadAllText(loose).Trim());
        }

        string packed = Path.Combine(shared, "packed-refs");
        return File.Exists(packed)
            ? File.ReadLines(packed).Where(line => line.EndsWith(" " + reference, StringComparison.Ordinal)).Select(line => Hash(line.Split(' ')[0])).FirstOrDefault()
            : null;
    }

    private static string? Hash(string text) => text.Length is 40 or 64 && text.All(char.IsAsciiHexDigit) ? text : null;
}
