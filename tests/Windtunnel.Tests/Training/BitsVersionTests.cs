using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Windtunnel.Models;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Training.Optimizers;
using Windtunnel.Text;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training;

/// <summary>The bits that runs end with are those that their ids promise (Golden/bits.json, which this writes itself).</summary>
public sealed class BitsVersionTests
{
    private const string WriteVariable = "WINDTUNNEL_TEST_BITS";

    // The instruction set is no matter (DeterminismTests); what schedules and rotary tables take from the system's mathematics library may be.
    [Fact]
    public void Every_model_and_every_optimizer_ends_with_the_bits_of_this_version()
    {
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64, "the golden bits are of Linux on x86-64: another mathematics library may round otherwise");
        using TemporaryFolder folder = new();
        using Dataset data = Dataset.Prepare(TinyRun.Data, folder.Path);
        Dictionary<string, string> bits = Configs().ToDictionary(config => config.Name, config => Bits(config, data));
        Golden now = new(TrainingRun.BitsVersion, bits);
        if (Environment.GetEnvironmentVariable(WriteVariable) is { Length: > 0 } path)
        {
            File.WriteAllText(path, JsonSerializer.Serialize(now, ConfigFile.JsonOptions) + "\n");
        }

        Golden golden = JsonSerializer.Deserialize<Golden>(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Golden", "bits.json")), ConfigFile.JsonOptions)!;
        string[] changed = [.. golden.Bits.Keys.Union(bits.Keys).Where(name => golden.Bits.GetValueOrDefault(name) != bits.GetValueOrDefault(name))];
        Assert.True(
            golden.Version == now.Version && changed.Length == 0,
            $"{string.Join(", ", changed)}: ends with other bits than at version {golden.Version}. Where that is meant, raise TrainingRun.BitsVersion, for results of before are found by it; "
            + $"for a new model or optimizer leave it. Then write the golden again: run this test with {WriteVariable}=<repository>/tests/Windtunnel.Tests/Golden/bits.json");
    }

    private static IEnumerable<RunConfig> Configs()
    {
        RunConfig small = TinyRun.Config(steps: 12);
        small = small with { Training = small.Training with { SequenceLength = 32, BatchSize = 1 } };
        foreach (JsonDerivedTypeAttribute type in typeof(ModelOptions).GetCustomAttributes<JsonDerivedTypeAttribute>())
        {
            ModelOptions model = (ModelOptions)Activator.CreateInstance(
                type.DerivedType, BindingFlags.CreateInstance | BindingFlags.Public | BindingFlags.Instance | BindingFlags.OptionalParamBinding, null, [], null)!;
            yield return small with { Name = $"model {type.TypeDiscriminator}", Model = model with { Size = "20k", Layers = 2, Width = 32, Heads = 2 } };
        }

        foreach ((string name, OptimizerOptions optimizer) in OptimizerConformanceTests.Cases)
        {
            yield return small with { Name = $"optimizer {name}", Optimizer = optimizer };
        }
    }

    /// <summary>The weights and the validation loss at the end, hashed.</summary>
    private static string Bits(RunConfig config, Dataset data)
    {
        config = config.Resolve(data.Tokenizer.VocabularySize);
        using CpuBackend backend = new(threads: 1);
        using Trainer trainer = new(config, data, backend);
        using Validator validator = new(trainer.Model, data, config.Validation, batchSize: 4, config.Training.SequenceLength, trainer.Pool);
        trainer.Initialize();
        for (long step = 0; step < config.TotalSteps; step++)
        {
            trainer.Step();
        }

        using IDisposable evaluation = trainer.Evaluate();
        float[] weights = new float[trainer.Model.Parameters.Length];
        backend.Read(trainer.Model.Parameters.Values, weights);
        return Convert.ToHexStringLower(SHA256.HashData([.. MemoryMarshal.AsBytes<float>(weights), .. BitConverter.GetBytes(validator.Score()[0].LossNats)]))[..16];
    }

    private sealed record Golden(string Version, Dictionary<string, string> Bits);
}
