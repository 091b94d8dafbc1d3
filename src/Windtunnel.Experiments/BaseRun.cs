using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Experiments;

/// <summary>What the runs of an experiment have in common, and what is laid over it.</summary>
/// <param name="Settings">Of a run.</param>
/// <param name="Source">What errors call them.</param>
/// <param name="Overrides">As on a command line, in order.</param>
internal sealed record BaseRun(JsonObject Settings, string Source, IReadOnlyList<string> Overrides)
{
    /// <summary>Reads the <c>run</c> of an experiment's file.</summary>
    /// <param name="run">Settings of a run, or the path of a run's config file, relative to the experiment's.</param>
    /// <param name="overrides">Laid over them.</param>
    /// <param name="path">The experiment's file.</param>
    /// <exception cref="ValidationException">There is no such file, or it is something else.</exception>
    public static BaseRun Of(JsonNode? run, IReadOnlyList<string>? overrides, string path)
    {
        switch (run)
        {
            case null:
                return new BaseRun([], path, overrides ?? []);
            case JsonObject settings:
                return new BaseRun(settings, $"{path}: run", overrides ?? []);
            case JsonValue value when value.TryGetValue(out string? file):
                string source = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, file);
                return new BaseRun(ConfigFile.Read(source), source, overrides ?? []);
            default:
                throw new ValidationException($"{path}: run must be settings of a run, or the path of a run's config file");
        }
    }

    /// <summary>With settings laid over it, whole types replaced as on a command line.</summary>
    public BaseRun With(JsonObject? settings) =>
        this with { Overrides = [.. Overrides, .. (settings ?? []).Select(setting => $"{setting.Key}={setting.Value?.ToJsonString() ?? "null"}")] };

    /// <summary>The run with more laid over it; not yet resolved.</summary>
    /// <exception cref="ValidationException">A setting is unknown or has the wrong type.</exception>
    public RunConfig Bind(IEnumerable<string> more, ulong seed) =>
        ConfigFile.Bind<RunConfig>(ConfigFile.Apply<RunConfig>(Settings, Source, [.. Overrides, .. more]), Source) with { Seed = seed };

    /// <summary>A run as it would be with the largest vocabulary that its tokenizer may get.</summary>
    /// <exception cref="ValidationException">A setting is impossible.</exception>
    public static RunConfig Resolve(RunConfig config)
    {
        config.Data.Validate();
        return config.Data.ValidationFraction > 0
            ? config.Resolve(config.Data.Tokenizer.VocabularySizeMax())
            : throw new ValidationException("data.validationFraction must be above 0: results are validation losses");
    }
}
