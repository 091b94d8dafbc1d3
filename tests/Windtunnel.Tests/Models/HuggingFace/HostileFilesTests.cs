using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Tensors.Backends.Cpu;

namespace Windtunnel.Tests.Models.HuggingFace;

/// <summary>
/// Whatever is in a file of others, reading it ends with a model or with an <see cref="InvalidDataException"/>, soon and in little memory.
/// WINDTUNNEL_SOAK=1 tries 40,000 mutations of each of the five formats instead of 600.
/// </summary>
public sealed class HostileFilesTests : IDisposable
{
    private const long MemoryMax = 256_000_000;

    private static readonly TimeSpan s_timeMax = TimeSpan.FromSeconds(1);
    private static readonly bool s_soak = Environment.GetEnvironmentVariable("WINDTUNNEL_SOAK") == "1";
    private static readonly int s_mutations = s_soak ? 40_000 : 600;

    private readonly TemporaryFolder _folder = new();
    private readonly CpuBackend _backend = new(1);
    private readonly Dictionary<string, byte[]> _files = [];

    public HostileFilesTests()
    {
        using Model model = new LlamaOptions("20k", Layers: 1, Width: 16, Heads: 2, FeedForward: 16).Resolve(20, 8).Build(_backend, gradients: false);
        model.Parameters.Initialize(_backend, 5);
        using MemoryStream weights = new();
        ModelWeights.Write(weights, model);
        _files["model.safetensors"] = weights.ToArray();
        _files["config.json"] = Encoding.UTF8.GetBytes(model.Options.ToHuggingFace(19).ToJsonString());
        _files["stories.bin"] = Llama2CWriter.Write(model, _backend, legacy: true);

        File.WriteAllBytes(_folder.File("w"), _files["model.safetensors"]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder.File("w"));
        TorchArchive archive = TorchArchive.Dictionary();
        foreach (SafetensorsInfo info in file.Tensors)
        {
            byte[] bytes = new byte[info.Bytes];
            file.ReadBytes(info.Name, bytes);
            archive.Add(info.Name, "FloatStorage", bytes, [.. info.Shape]);
        }

        archive.Save(_folder.File("w.bin"));
        _files["pytorch_model.bin"] = File.ReadAllBytes(_folder.File("w.bin"));
        _files["model.safetensors.index.json"] = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = 1 },
            ["weight_map"] = new JsonObject(file.Tensors.Select(info => KeyValuePair.Create(info.Name, (JsonNode?)"part.safetensors"))),
        }.ToJsonString());
    }

    public void Dispose()
    {
        _backend.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("model.safetensors", 1)]
    [InlineData("config.json", 2)]
    [InlineData("model.safetensors.index.json", 3)]
    [InlineData("pytorch_model.bin", 4)]
    [InlineData("stories.bin", 5)]
    public void Mutated_files_end_in_a_model_or_a_typed_error(string mutated, int seed)
    {
        Random random = new(seed);
        string folder = Directory.CreateDirectory(_folder.File("model")).FullName;
        bool isFile = mutated == "stories.bin";
        if (!isFile)
        {
            Put("config.json", _files["config.json"]);
            Put(mutated.EndsWith(".index.json", StringComparison.Ordinal) ? "part.safetensors" : "model.safetensors", _files["model.safetensors"]);
            if (mutated == "pytorch_model.bin")
            {
                File.Delete(Path.Combine(folder, "model.safetensors"));
            }
        }

        string path = isFile ? Path.Combine(folder, mutated) : folder;
        int loaded = 0, refused = 0;
        long most = 0;
        TimeSpan longest = default;
        byte[] original = _files[mutated];
        Put(mutated, original);
        using (PretrainedModel whole = PretrainedModel.Open(path))
        {
            whole.Load(_backend).Dispose();
        }

        for (int i = 0; i < s_mutations; i++)
        {
            Put(mutated, Mutate(original, mutated, random));
            (bool isRefused, TimeSpan time, long bytes) = Try(path);
            for (int again = 0; again < 4 && time > s_timeMax; again++)
            {
                // Other work on the machine only ever adds time.
                time = TimeSpan.FromTicks(Math.Min(time.Ticks, Try(path).Time.Ticks));
            }

            (loaded, refused) = isRefused ? (loaded, refused + 1) : (loaded + 1, refused);
            longest = time > longest ? time : longest;
            most = Math.Max(most, bytes);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{mutated}: {loaded} loaded, {refused} refused; at most {most / 1e6:F1} MB and {longest.TotalMilliseconds:F0} ms");
        Assert.Equal(s_mutations, loaded + refused);
        Assert.True(refused > s_mutations / 4, $"{refused} refused");
        Assert.True(most < MemoryMax, $"{most} bytes");
        Assert.True(longest < s_timeMax, $"{longest}");

        void Put(string name, byte[] bytes) => File.WriteAllBytes(Path.Combine(folder, name), bytes);
    }

    // Managed memory and the backend's, which weights and tables are in.
    private (bool IsRefused, TimeSpan Time, long Bytes) Try(string path)
    {
        long before = GC.GetAllocatedBytesForCurrentThread(), native = 0;
        Stopwatch time = Stopwatch.StartNew();
        bool isRefused = false;
        try
        {
            using PretrainedModel pretrained = PretrainedModel.Open(path);
            using Model model = pretrained.Load(_backend);
            native = _backend.Ledger.LiveBytes;
        }
        catch (InvalidDataException e)
        {
            Assert.DoesNotContain('\n', e.Message);
            Assert.True(e.Message.Length < 2000);
            isRefused = true;
        }

        return (isRefused, time.Elapsed, GC.GetAllocatedBytesForCurrentThread() - before + native);
    }

    /// <summary>One to three changes: most where the format is described rather than in the numbers.</summary>
    private static byte[] Mutate(byte[] original, string name, Random random)
    {
        List<byte> bytes = [.. original];
        int described = name switch
        {
            "model.safetensors" => 8 + (int)BitConverter.ToInt64(original, 0),
            "stories.bin" => 28,
            _ => original.Length,
        };
        (int begin, int end) pickle = name == "pytorch_model.bin" ? (original.AsSpan().IndexOf((byte)0x80), original.AsSpan().IndexOf("u.PK"u8)) : default;
        for (int changes = random.Next(1, 4); changes > 0; changes--)
        {
            int at = Math.Min(bytes.Count - 1, pickle.end > 0 && random.Next(3) > 0 ? random.Next(pickle.begin, pickle.end) : random.Next(described));
            int count = Math.Min(random.Next(1, 9), bytes.Count - at);
            switch (random.Next(8))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes.RemoveRange(at, count);
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(random.Next(bytes.Count - count + 1), count));
                    break;
                case 4:
                    CollectionsMarshal.AsSpan(bytes).Slice(at, count).Fill((byte)(random.Next(2) * 255));
                    break;
                case 5:
                    // A digit becomes another number.
                    int digit = bytes.FindIndex(at, value => value is >= (byte)'0' and <= (byte)'9');
                    if (digit >= 0)
                    {
                        string[] numbers = ["-1", "0", "1", "3", "65536", "1048576", "4294967296", "9223372036854775807", "1e308", "0.5", "null", "\"x\"", "[]", "true"];
                        bytes.RemoveAt(digit);
                        bytes.InsertRange(digit, Encoding.ASCII.GetBytes(numbers[random.Next(numbers.Length)]));
                    }

                    break;
                case 6:
                    byte[] opcodes = [.. "}])(NJKMGXqrhjctaesuQRb."u8, 0x80, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x93, 0x94, 0x95];
                    bytes[at] = opcodes[random.Next(opcodes.Length)];
                    break;
                default:
                    if (random.Next(4) == 0)
                    {
                        bytes.RemoveRange(at, bytes.Count - at);
                        bytes.Add(0);
                    }

                    break;
            }
        }

        return [.. bytes];
    }
}
