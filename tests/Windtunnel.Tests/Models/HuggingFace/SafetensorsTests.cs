using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using Windtunnel.Models.HuggingFace;

namespace Windtunnel.Tests.Models.HuggingFace;

public sealed class SafetensorsTests
{
    private static byte[] Assemble(string header, int dataBytes) => Assemble(Encoding.UTF8.GetBytes(header), dataBytes);

    private static byte[] Assemble(byte[] header, int dataBytes)
    {
        byte[] file = new byte[8 + header.Length + dataBytes];
        BinaryPrimitives.WriteInt64LittleEndian(file, header.Length);
        header.CopyTo(file, 8);
        return file;
    }

    private static void AssertRefused(TemporaryFolder folder, byte[] file, string rule)
    {
        string path = folder.File("bad.safetensors");
        File.WriteAllBytes(path, file);
        string message = Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(path)).Message;
        Assert.StartsWith(path, message);
        Assert.Contains(rule, message);
        Assert.DoesNotContain('\n', message);
    }

    private static byte[] Written(TensorInfo[] tensors, Action<TensorInfo, Stream> write, IReadOnlyDictionary<string, string>? metadata = null)
    {
        using MemoryStream stream = new();
        SafetensorsWriter.Write(stream, tensors, write, metadata);
        return stream.ToArray();
    }

    [Fact]
    public void Every_type_round_trips()
    {
        using TemporaryFolder folder = new();
        TensorInfo[] tensors = [.. Enum.GetValues<SafetensorsType>().Select((type, i) => new TensorInfo($"layer.{i}.\"é\"", type, [4, i % 3, 2])),
            new("scalar", SafetensorsType.F32, []), new("empty", SafetensorsType.I64, [0])];
        Dictionary<TensorInfo, byte[]> data = [];
        Random random = new(1);
        byte[] bytes = Written(
            tensors,
            (tensor, stream) =>
            {
                long bits = tensor.Shape.Aggregate(1L, (a, b) => a * b) * tensor.Type switch
                {
                    SafetensorsType.F4 => 4,
                    SafetensorsType.F6_E2M3 or SafetensorsType.F6_E3M2 => 6,
                    SafetensorsType.C64 or SafetensorsType.F64 or SafetensorsType.I64 or SafetensorsType.U64 => 64,
                    SafetensorsType.I32 or SafetensorsType.U32 or SafetensorsType.F32 => 32,
                    SafetensorsType.I16 or SafetensorsType.U16 or SafetensorsType.F16 or SafetensorsType.BF16 => 16,
                    _ => 8,
                };
                byte[] content = new byte[bits / 8];
                random.NextBytes(content);
                data[tensor] = content;
                foreach (byte[] piece in content.Chunk(3))
                {
                    stream.Write(piece);
                }
            },
            new Dictionary<string, string> { ["format"] = "pt", ["a"] = "b" });
        File.WriteAllBytes(folder.File("all.safetensors"), bytes);
        using SafetensorsFile file = SafetensorsFile.Open(folder.File("all.safetensors"));
        Assert.Equal(tensors.Length, file.Tensors.Count);
        Assert.Equal(("pt", "b"), (file.Metadata["format"], file.Metadata["a"]));
        foreach ((TensorInfo tensor, byte[] content) in data)
        {
            TensorInfo info = file.Info(tensor.Name);
            Assert.Equal(tensor.Type, info.Type);
            Assert.Equal(tensor.Shape, info.Shape);
            byte[] read = new byte[info.Bytes];
            file.ReadBytes(tensor.Name, read);
            Assert.Equal(content, read);
        }

        Assert.Throws<ArgumentException>(() => file.ReadBytes("scalar", new byte[3]));
        Assert.Throws<ArgumentException>(() => file.ReadSingles("scalar", new float[2]));
        Assert.Contains("none", Assert.Throws<InvalidDataException>(() => file.Info("none")).Message);
        Assert.Contains("is I64", Assert.Throws<InvalidDataException>(() => file.ReadSingles("empty", [])).Message);
    }

    [Fact]
    public void Numbers_convert_between_widths()
    {
        using TemporaryFolder folder = new();
        float[] values = [0, -0f, 1, -2.5f, 1.00390625f, 1.01171875f, 65504, 1e-8f, 3.39e38f, 3.4e38f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, .. Enumerable.Range(0, 200_000).Select(i => i * 0.37f)];
        SafetensorsType[] types = [SafetensorsType.F32, SafetensorsType.F16, SafetensorsType.BF16, SafetensorsType.F64];
        using (FileStream stream = File.Create(folder.File("a.safetensors")))
        {
            SafetensorsWriter.Write(stream, types.Select(type => new TensorInfo(type.ToString(), type, [values.Length])), (tensor, data) => SafetensorsWriter.WriteSingles(data, values, tensor.Type));
        }

        using SafetensorsFile file = SafetensorsFile.Open(folder.File("a.safetensors"));
        float[] singles = new float[values.Length];
        double[] doubles = new double[values.Length];
        foreach (SafetensorsType type in types)
        {
            file.ReadSingles(type.ToString(), singles);
            file.ReadDoubles(type.ToString(), doubles);
            for (int i = 0; i < values.Length; i++)
            {
                float expected = type switch { SafetensorsType.F16 => (float)(Half)values[i], SafetensorsType.BF16 => NearestBFloat16(values[i]), _ => values[i] };
                Assert.Equal(expected, singles[i]);
                Assert.Equal(expected, doubles[i]);
            }
        }

        double[] precise = [Math.PI, 1e300, -0.1];
        File.WriteAllBytes(folder.File("b.safetensors"), Written([new("x", SafetensorsType.F64, [3])], (_, data) => SafetensorsWriter.WriteDoubles(data, precise)));
        using SafetensorsFile exact = SafetensorsFile.Open(folder.File("b.safetensors"));
        double[] back = new double[3];
        exact.ReadDoubles("x", back);
        Assert.Equal(precise, back);

        // The nearer of the two neighbours that 16 bits can hold; on a tie the one whose last bit is 0.
        static float NearestBFloat16(float value)
        {
            if (!float.IsFinite(value))
            {
                return value;
            }

            uint low = BitConverter.SingleToUInt32Bits(value) & 0xffff0000;
            (float toZero, float away) = (BitConverter.UInt32BitsToSingle(low), BitConverter.UInt32BitsToSingle(low + 0x10000));
            double down = Math.Abs((double)value - toZero);
            double up = Math.Abs((float.IsFinite(away) ? away : Math.CopySign(Math.Pow(2, 128), value)) - value);
            return down < up || (down == up && (low & 0x10000) == 0) ? toZero : away;
        }
    }

    [Fact]
    public void Bytes_do_not_depend_on_the_order_given()
    {
        TensorInfo[] tensors = [new("b", SafetensorsType.F16, [2]), new("a", SafetensorsType.F16, [2]), new("z", SafetensorsType.F64, [1]), new("c", SafetensorsType.U8, [3])];
        static void Fill(TensorInfo tensor, Stream data) => data.Write(new byte[tensor.Type switch { SafetensorsType.F64 => 8, SafetensorsType.F16 => 4, _ => 3 }]);
        byte[] bytes = Written(tensors, Fill);
        Assert.Equal(bytes, Written([.. tensors.Reverse()], Fill));
        string header = Encoding.UTF8.GetString(bytes.AsSpan(8, (int)BinaryPrimitives.ReadInt64LittleEndian(bytes)));
        Assert.Equal(0, header.Length % 8);
        Assert.Equal(["z", "a", "b", "c"], JsonNode.Parse(header)!.AsObject().Select(pair => pair.Key));
    }

    [Fact]
    public void What_cannot_be_written_is_refused()
    {
        static void Nothing(TensorInfo tensor, Stream data)
        {
        }

        Assert.Throws<ArgumentException>(() => Written([new("a", SafetensorsType.F32, [1]), new("a", SafetensorsType.F16, [1])], Nothing));
        Assert.Throws<ArgumentException>(() => Written([new("__metadata__", SafetensorsType.F32, [1])], Nothing));
        Assert.Throws<ArgumentException>(() => Written([new("a", SafetensorsType.F32, [-1])], Nothing));
        Assert.Throws<ArgumentException>(() => Written([new("a", SafetensorsType.F4, [3])], Nothing));
        Assert.Throws<ArgumentException>(() => Written([new("a", SafetensorsType.F32, [1L << 40, 1L << 40])], Nothing));
        Assert.Throws<InvalidOperationException>(() => Written([new("a", SafetensorsType.F32, [1])], Nothing));
        Assert.Throws<InvalidOperationException>(() => Written([new("a", SafetensorsType.F32, [1])], (_, data) => data.Write(new byte[5])));
    }

    [Theory]
    [InlineData("data/fixtures/stories260K/hf/model.safetensors")]
    [InlineData("data/fixtures/stories260K/hf_bf16/model.safetensors")]
    [InlineData("data/fixtures/gpt2_nano_shakespeare/model.safetensors")]
    public void Files_of_the_reference_writer_are_rewritten_byte_for_byte(string fixture)
    {
        string path = SharedData.Require(fixture);
        using SafetensorsFile file = SafetensorsFile.Open(path);
        Assert.NotEmpty(file.Tensors);
        byte[] rewritten = Written(
            [.. file.Tensors.Select(info => new TensorInfo(info.Name, info.Type, info.Shape))],
            (tensor, data) =>
            {
                byte[] bytes = new byte[file.Info(tensor.Name).Bytes];
                file.ReadBytes(tensor.Name, bytes);
                data.Write(bytes);
            },
            file.Metadata);
        Assert.Equal(File.ReadAllBytes(path), rewritten);
    }

    [Fact]
    public void A_bfloat16_export_reads_as_its_float32_twin_rounded()
    {
        using SafetensorsFile single = SafetensorsFile.Open(SharedData.Require("data/fixtures/stories260K/hf/model.safetensors"));
        using SafetensorsFile brain = SafetensorsFile.Open(SharedData.Require("data/fixtures/stories260K/hf_bf16/model.safetensors"));
        foreach (SafetensorsInfo info in brain.Tensors)
        {
            Assert.Equal(SafetensorsType.BF16, info.Type);
            float[] values = new float[info.Elements];
            single.ReadSingles(info.Name, values);
            using MemoryStream rounded = new();
            SafetensorsWriter.WriteSingles(rounded, values, SafetensorsType.BF16);
            byte[] expected = new byte[info.Bytes];
            brain.ReadBytes(info.Name, expected);
            Assert.Equal(expected, rounded.ToArray());
        }
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}""", 8, "a appears twice")]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8, "a.dtype appears twice")]
    [InlineData("""{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}""", 8, "no known type")]
    [InlineData("""{"a":{"dtype":"f32","shape":[2],"data_offsets":[0,8]}}""", 8, "no known type")]
    [InlineData("""{"a":{"dtype":17,"shape":[2],"data_offsets":[0,8]}}""", 8, "not valid JSON")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", 8, "does not fill")]
    [InlineData("""{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}""", 1, "does not fill")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}""", 0, "does not fill")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", 8, "not a list of at most 8 sizes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}""", 8, "not a list of at most 8 sizes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}""", 8, "not a list of at most 8 sizes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", 8, "needs a dtype")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2]}}""", 8, "needs a dtype")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}""", 8, "no field")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "begins at 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "begins at 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}""", 16, "begins at 12")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 7, "the file holds 7")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 9, "the file holds 9")]
    [InlineData("""{"__metadata__":{"a":1}}""", 0, "not a string")]
    [InlineData("""{"__metadata__":{},"__metadata__":{}}""", 0, "appears twice")]
    [InlineData("""{"a":[]}""", 0, "is not an object")]
    [InlineData(" {}", 0, "does not start")]
    [InlineData("[]", 0, "does not start")]
    [InlineData("{}x", 0, "not valid JSON")]
    [InlineData("{\"\\ud800\":{}}", 0, "not valid JSON")]
    public void Each_rule_is_checked(string header, int dataBytes, string rule)
    {
        using TemporaryFolder folder = new();
        AssertRefused(folder, Assemble(header, dataBytes), rule);
    }

    [Fact]
    public void Header_lengths_are_checked_before_anything_is_allocated()
    {
        using TemporaryFolder folder = new();
        foreach (ulong length in new ulong[] { 3, 100_000_001, uint.MaxValue, long.MaxValue, ulong.MaxValue })
        {
            byte[] file = Assemble("{}", 0);
            BinaryPrimitives.WriteUInt64LittleEndian(file, length);
            long before = GC.GetAllocatedBytesForCurrentThread();
            AssertRefused(folder, file, "claims");
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);
        }

        AssertRefused(folder, new byte[8], "too few");
        AssertRefused(folder, [], "too few");
        AssertRefused(folder, new byte[9], "does not start");
        AssertRefused(folder, Assemble([(byte)'{', (byte)'"', 0xff, (byte)'"', (byte)':', (byte)'{', (byte)'}', (byte)'}'], 0), "not valid JSON");
        AssertRefused(folder, Assemble("{\"" + new string('a', 1001) + "\":{}}", 0), "longer than");
        File.WriteAllBytes(folder.File("empty.safetensors"), Assemble("{}   ", 0));
        using SafetensorsFile empty = SafetensorsFile.Open(folder.File("empty.safetensors"));
        Assert.Empty(empty.Tensors);
    }

    [Fact]
    public void Twenty_thousand_hostile_headers_give_typed_errors_and_little_memory()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("hostile.safetensors");
        Random random = new(11);
        string[] numbers = ["0", "1", "-1", "8", "1e3", "0.5", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551615", "null", "\"8\"", "[]", "{}", "true"];
        string[] types = [.. Enum.GetNames<SafetensorsType>(), "F128", "", "\\u0000", "\\ud800"];
        int refused = 0;
        long most = 0;
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = Assemble(Header(out int dataBytes), Rarely() ? random.Next(64) : dataBytes);
            for (int flips = random.Next(4) == 0 ? random.Next(1, 4) : 0; flips > 0; flips--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            File.WriteAllBytes(path, bytes);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using SafetensorsFile file = SafetensorsFile.Open(path);
                foreach (SafetensorsInfo info in file.Tensors)
                {
                    file.ReadBytes(info.Name, new byte[info.Bytes]);
                }
            }
            catch (InvalidDataException)
            {
                refused++;
            }

            most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.InRange(refused, 10_000, 19_000);
        Assert.True(most < 1 << 20, $"{most} bytes");

        string Header(out int dataBytes)
        {
            StringBuilder json = new("{");
            int at = 0;
            for (int count = random.Next(4); count > 0; count--)
            {
                int bytes = 4 * random.Next(4);
                json.Append($"\"{(random.Next(9) == 0 ? "__metadata__" : $"t{random.Next(6)}")}\":{{");
                json.Append($"\"{(Rarely() ? "type" : "dtype")}\":\"{(Rarely() ? Pick(types) : "F32")}\",");
                json.Append($"\"shape\":[{(Rarely() ? Pick(numbers) + "," + Pick(numbers) : $"{bytes / 4}")}],");
                json.Append($"\"data_offsets\":[{(Rarely() ? Pick(numbers) : $"{at}")},{(Rarely() ? Pick(numbers) : $"{at + bytes}")}]}}");
                json.Append(count > 1 ? Rarely() ? ",," : "," : "");
                at += bytes;
            }

            dataBytes = at;
            return json.Append(Rarely() ? "" : "}").Append(' ', random.Next(9)).ToString();
        }

        bool Rarely() => random.Next(12) == 0;

        string Pick(string[] from) => from[random.Next(from.Length)];
    }

    [Fact]
    public void A_file_truncated_while_open_is_a_typed_error()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("a.safetensors");
        File.WriteAllBytes(path, Assemble("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8));
        using SafetensorsFile file = SafetensorsFile.Open(path);
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows refuses to truncate an open file");
        using (FileStream other = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            other.SetLength(20);
        }

        Assert.Contains("truncated", Assert.Throws<InvalidDataException>(() => file.ReadSingles("a", new float[2])).Message);
    }
}
