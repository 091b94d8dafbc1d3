using System.ComponentModel.DataAnnotations;
using Windtunnel.Runs;

namespace Windtunnel.Experiments;

/// <summary>The file that an experiment is built from, as its errors name it.</summary>
internal sealed record ExperimentFile(string Path)
{
    /// <summary>Throws unless a setting makes sense.</summary>
    /// <exception cref="ValidationException">It does not: file, setting and problem in one line.</exception>
    public void Require(bool holds, string setting, string problem)
    {
        if (!holds)
        {
            throw new ValidationException($"{Path}: {setting} {problem}");
        }
    }

    /// <summary>Throws unless an experiment's name can be that of its folder.</summary>
    /// <exception cref="ValidationException">It can't.</exception>
    public void RequireName(string name) => Require(RunFolder.IsValidId(name), "name", $"'{name}' must be letters, digits, '.', '_' and '-'");

    /// <summary>Builds a part of the experiment; what is wrong in it is said of the file and that part.</summary>
    /// <param name="part">What the file calls it; empty where it is the file itself.</param>
    /// <exception cref="ValidationException">A setting of the part is wrong.</exception>
    public T Build<T>(string part, Func<T> build)
    {
        try
        {
            return build();
        }
        catch (ValidationException error)
        {
            throw new ValidationException($"{Path}: {(part.Length > 0 ? $"{part}: " : "")}{error.Message}", error);
        }
    }

    /// <summary>The same for a part that is only checked.</summary>
    public void Build(string part, Action check) => Build(part, () =>
    {
        check();
        return true;
    });
}
