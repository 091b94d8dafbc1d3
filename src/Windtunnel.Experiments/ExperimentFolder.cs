using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Experiments.Ladders;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;

namespace Windtunnel.Experiments;

/// <summary>The folder <c>experiments/&lt;name&gt;</c>; its layout is in docs/formats.md. The runs are not in it: experiments share them.</summary>
public sealed class ExperimentFolder
{
    private ExperimentFolder(string path)
    {
        Path = path;
        Queue = new RunQueue(path);
    }

    /// <summary>The absolute path of the folder.</summary>
    public string Path { get; }

    /// <summary>The experiment's name.</summary>
    public string Name => System.IO.Path.GetFileName(Path);

    /// <summary>The experiment's file with every setting spelled out, and its run's file in it.</summary>
    public string ExperimentPath => At("experiment.yaml");

    /// <summary>One flat row a run.</summary>
    public string ResultsPath => At("results.csv");

    /// <summary>The page that shows it.</summary>
    public string ReportPath => At("report.html");

    /// <summary>Who trains which run.</summary>
    public RunQueue Queue { get; }

    /// <summary>Makes the folder of an experiment, or gives the one there is the file as it is now.</summary>
    /// <param name="root">The folder of experiments; made where absent.</param>
    /// <param name="options">The experiment.</param>
    /// <param name="source">Its file, which a path in it is relative to.</param>
    /// <exception cref="ValidationException">The folder is of an experiment of another type, or of a ladder whose prediction is sealed and is not of these runs.</exception>
    public static ExperimentFolder Create(string root, ExperimentOptions options, string source)
    {
        ExperimentFolder folder = new(System.IO.Path.GetFullPath(System.IO.Path.Combine(root, Valid(options.Name))));
        folder.RequireReplaceable(options, source);
        Directory.CreateDirectory(folder.Path);
        JsonObject settings = JsonSerializer.SerializeToNode(options, ConfigFile.JsonOptions)!.AsObject();
        if (settings["run"] is JsonValue run && run.TryGetValue(out string? file))
        {
            settings["run"] = ConfigFile.Read(System.IO.Path.Combine(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(source))!, file));
        }

        AtomicFile.WriteText(folder.ExperimentPath, ConfigFile.ToYaml(settings));
        return folder;
    }

    /// <summary>Opens the folder of an experiment.</summary>
    /// <param name="root">The folder of experiments.</param>
    /// <param name="name">The experiment's name, or its file.</param>
    /// <exception cref="ValidationException">There is no such experiment.</exception>
    public static ExperimentFolder Open(string root, string name)
    {
        name = File.Exists(name) ? ConfigFile.Load<ExperimentOptions>(name).Name : name;
        ExperimentFolder folder = new(System.IO.Path.GetFullPath(System.IO.Path.Combine(root, Valid(name))));
        return File.Exists(folder.ExperimentPath) ? folder : throw new ValidationException($"{folder.Path}: no such experiment");
    }

    /// <summary>The experiment.</summary>
    public IExperiment Load() => ConfigFile.Load<ExperimentOptions>(ExperimentPath).Build(ExperimentPath);

    /// <summary>Where a worker writes what becomes of its runs.</summary>
    public string LogPath(string worker) => System.IO.Path.Combine(At("logs"), $"{worker}.log");

    private void RequireReplaceable(ExperimentOptions options, string source)
    {
        if (!File.Exists(ExperimentPath))
        {
            return;
        }

        string type = TypeOf(options), known = ConfigFile.Read(ExperimentPath)["type"]?.ToString() ?? type;
        if (known != type)
        {
            throw new ValidationException($"{ExperimentPath}: is a {known} of the same name; give the {type} of {source} another name");
        }

        string prediction = TunnelPrediction.Beside(ExperimentPath);
        if (TunnelPrediction.IsSealed(prediction) && Load() is Ladder sealedLadder && options.Build(source) is Ladder ladder && !sealedLadder.IsSame(ladder))
        {
            throw new ValidationException($"{prediction}: is not of what {source} asks now; give the changed ladder another name");
        }

        static string TypeOf(ExperimentOptions options) => JsonSerializer.SerializeToNode(options, ConfigFile.JsonOptions)!["type"]!.GetValue<string>();
    }

    private string At(string name) => System.IO.Path.Combine(Path, name);

    private static string Valid(string name) =>
        RunFolder.IsValidId(name) ? name : throw new ValidationException($"'{name}' is neither a file nor the name of an experiment; a name is letters, digits, '.', '_' and '-'");
}
