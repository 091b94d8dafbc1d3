using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Windtunnel.Runs.Config;

namespace Windtunnel.Tests.Runs.Config;

/// <summary>What holds for every options type that any assembly of the product registers, without naming one.</summary>
public sealed class OptionsTests
{
    /// <summary>Each registered type, as (base type, name, type).</summary>
    public static IEnumerable<(Type Base, string Name, Type Options)> Registered()
    {
        return Directory.EnumerateFiles(AppContext.BaseDirectory, "*.dll")
            .Where(path => Path.GetFileName(path).StartsWith("windtunnel", StringComparison.OrdinalIgnoreCase))
            .Select(Assembly.LoadFrom)
            .SelectMany(assembly => assembly.GetTypes())
            .Where(type => type.IsDefined(typeof(JsonPolymorphicAttribute), inherit: false))
            .SelectMany(type => type.GetCustomAttributes<JsonDerivedTypeAttribute>(inherit: false)
                .Select(derived => (type, (string)derived.TypeDiscriminator!, derived.DerivedType)));
    }

    [Fact]
    public void Each_registered_type_parsed_from_its_bare_name_equals_a_new_one()
    {
        MethodInfo check = GetType().GetMethod(nameof(AssertBareNameGivesDefaults), BindingFlags.Static | BindingFlags.NonPublic)!;
        (Type Base, string Name, Type Options)[] registered = [.. Registered()];
        Assert.Contains(registered, r => r.Options == typeof(ConfigFileTests.MuonOptions));
        foreach ((Type @base, string name, Type options) in registered)
        {
            check.MakeGenericMethod(@base).Invoke(null, [name, options]);
        }
    }

    [Fact]
    public void Each_registered_type_is_a_sealed_record_whose_settings_all_have_defaults()
    {
        foreach ((_, string name, Type options) in Registered())
        {
            Assert.True(options.IsSealed, $"{options} is not sealed");
            Assert.True(
                options.GetConstructors().Single().GetParameters().All(p => p.HasDefaultValue),
                $"{options} ({name}) has a setting without a default");
        }
    }

    private sealed record Holder<T>(T? Value = null)
        where T : class;

    private static void AssertBareNameGivesDefaults<T>(string name, Type options)
        where T : class
    {
        T parsed = ConfigFile.Bind<Holder<T>>(new JsonObject { ["value"] = name }, name).Value!;
        ParameterInfo[] parameters = options.GetConstructors().Single().GetParameters();
        object made = Activator.CreateInstance(options, BindingFlags.OptionalParamBinding | BindingFlags.CreateInstance, null,
            [.. parameters.Select(_ => Type.Missing)], null)!;
        Assert.IsType(options, parsed);

        // Compared as text, for a list in a record is equal only to itself.
        Assert.Equal(JsonSerializer.Serialize((T)made, ConfigFile.JsonOptions), JsonSerializer.Serialize(parsed, ConfigFile.JsonOptions));
    }
}
