using System.Diagnostics;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Training;

/// <summary>The tool as a process of its own, on a tiny run: for tests that kill it or change what the hardware offers.</summary>
public sealed class ChildRun(string folder)
{
    /// <summary>Starts a verb; its output goes nowhere.</summary>
    public Process Start(IReadOnlyDictionary<string, string>? environment, params string[] words)
    {
        ProcessStartInfo start = new("dotnet", [Path.Combine(AppContext.BaseDirectory, "windtunnel.dll"), .. words, "--runs", Path.Combine(folder, "runs"), "--data", Path.Combine(folder, "data")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        Process process = Process.Start(start)!;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    /// <summary>Runs a verb to its end and asserts that it succeeds.</summary>
    public void Run(IReadOnlyDictionary<string, string>? environment, params string[] words)
    {
        using Process process = Start(environment, words);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    /// <summary>A run's folder.</summary>
    public RunFolder Folder(string id) => RunFolder.Open(Path.Combine(folder, "runs"), id);

    /// <summary>A config file of <paramref name="steps"/> steps that saves every <paramref name="saveEvery"/>.</summary>
    public string Config(string optimizer, int steps, int saveEvery)
    {
        string path = Path.Combine(folder, $"{optimizer}-{steps}.yaml");
        File.WriteAllText(path, $$"""
            data: {corpus: {type: synthetic, documents: 200, sentencesPerDocument: 5, vocabularySize: 50}, tokenizer: bytes}
            model: {type: llama, size: 20k, layers: 2, width: 32, heads: 4, keyValueHeads: 2, feedForward: 80, qkNorm: true}
            optimizer: {{optimizer}}
            schedule: {type: wsd, warmup: 5, decay: 20%}
            training: {length: {{steps}}, sequenceLength: 48, batchSize: 4}
            validation: {every: 25, tokens: 1000}
            checkpoints: {every: {{saveEvery}}}
            """);
        return path;
    }
}
