using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Windtunnel.Runs.Config;

namespace Windtunnel.Laws;

/// <summary>The laws that there are, by the names that files and command lines use.</summary>
public static class LawCatalog
{
    private static readonly JsonDerivedTypeAttribute[] s_registered = [.. typeof(Law).GetCustomAttributes<JsonDerivedTypeAttribute>()];

    /// <summary>Every name.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. s_registered.Select(law => (string)law.TypeDiscriminator!)];

    /// <summary>The name of a law.</summary>
    public static string NameOf(Law law) => (string)s_registered.Single(each => each.DerivedType == law.GetType()).TypeDiscriminator!;

    /// <summary>A law with its default options.</summary>
    /// <exception cref="ValidationException">There is none of that name.</exception>
    public static Law Default(string name) => Names.Contains(name)
        ? ConfigFile.Bind<Law>(new JsonObject { ["type"] = name }, name)
        : throw new ValidationException($"'{name}' is not a law; there are {string.Join(", ", Names)}");
}
