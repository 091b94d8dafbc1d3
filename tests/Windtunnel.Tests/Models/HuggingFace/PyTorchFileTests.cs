using System.Diagnostics;
using System.IO.Compression;
using System.Runtime.InteropServices;
using Windtunnel.Models.HuggingFace;

namespace Windtunnel.Tests.Models.HuggingFace;

public sealed class PyTorchFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Path => _folder.File("model.bin");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("test.pt")]
    [InlineData("test_with_key.pt")]
    public void Files_of_torch_itself_are_read_at_the_top_or_one_level_down(string fixture)
    {
        using PyTorchFile file = PyTorchFile.Open(SharedData.Require($"data/fixtures/candle_pt/{fixture}"));

        TensorInfo info = Assert.Single(file.Tensors);
        Assert.Equal(("test", SafetensorsType.I64), (info.Name, info.Type));
        Assert.Equal([2L, 4], info.Shape);
        long[] values = new long[8];
        file.ReadBytes("test", MemoryMarshal.AsBytes(values.AsSpan()));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], values);
        Assert.Contains("is I64", Assert.Throws<InvalidDataException>(() => file.ReadSingles("test", new float[8])).Message);
    }

    [Fact]
    public void Every_width_of_number_is_read()
    {
        float[] values = [1.5f, -0.25f, 3, 0];
        TorchArchive.Dictionary()
            .Add("f32", "FloatStorage", Bytes(values), [4])
            .Add("f64", "DoubleStorage", Bytes(values.Select(value => (double)value)), [2, 2])
            .Add("f16", "HalfStorage", Bytes(values.Select(value => (Half)value)), [4, 1])
            .Add("bf16", "BFloat16Storage", Bytes(values.Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))), [1, 4])
            .Add("scalar", "FloatStorage", Bytes([7f]), [])
            .Save(Path);

        using PyTorchFile file = PyTorchFile.Open(Path);
        foreach (string name in (string[])["f32", "f64", "f16", "bf16"])
        {
            float[] read = new float[4];
            file.ReadSingles(name, read);
            Assert.Equal(values, read);
        }

        float[] scalar = new float[1];
        file.ReadSingles("scalar", scalar);
        Assert.Equal(7, scalar[0]);
        Assert.Equal([SafetensorsType.F32, SafetensorsType.F64, SafetensorsType.F16, SafetensorsType.BF16, SafetensorsType.F32], file.Tensors.Select(info => info.Type));
    }

    [Theory]
    [InlineData("FloatStorage", 4)]
    [InlineData("HalfStorage", 2)]
    public void Views_of_a_storage_are_the_tensors_that_they_show(string storage, int size)
    {
        // Larger than what is read at once, so that windows and chunks end within rows.
        const int Rows = 700, Columns = 300, Offset = 1234;
        float[] stored = [.. Enumerable.Range(0, (Rows * Columns) + Offset).Select(i => (float)(i % 2039))];
        byte[] elements = size == 4 ? Bytes(stored) : Bytes(stored.Select(value => (Half)value));
        TorchArchive.Dictionary()
            .Add("transposed", storage, elements, [Columns, Rows], [1, Columns], Offset, key: "shared")
            .Add("stepped", storage, elements, [70, 3, 10], [10 * Columns, 100, 2], 5, key: "shared")
            .Add("plain", storage, elements, [2, Columns], null, Offset, key: "shared")
            .Save(Path);

        using PyTorchFile file = PyTorchFile.Open(Path);
        float[] transposed = new float[Rows * Columns], stepped = new float[70 * 3 * 10], plain = new float[2 * Columns];
        file.ReadSingles("transposed", transposed);
        file.ReadSingles("stepped", stepped);
        file.ReadSingles("plain", plain);
        Assert.Equal([.. from column in Enumerable.Range(0, Columns) from row in Enumerable.Range(0, Rows) select stored[Offset + (row * Columns) + column]], transposed);
        Assert.Equal([.. from i in Enumerable.Range(0, 70) from j in Enumerable.Range(0, 3) from k in Enumerable.Range(0, 10) select stored[5 + (i * 10 * Columns) + (j * 100) + (k * 2)]], stepped);
        Assert.Equal(stored[Offset..(Offset + plain.Length)], plain);
    }

    [Fact]
    public void A_state_dictionary_with_attributes_and_parameters_is_read()
    {
        TorchArchive archive = new TorchArchive().Global("collections", "OrderedDict").Raw(")R(");
        archive.Add("a", "FloatStorage", Bytes([1f, 2f]), [2]);

        // What state_dict() carries along: the versions of its modules, as an attribute.
        archive.Raw("u}");
        archive.Text("_metadata").Global("collections", "OrderedDict").Raw(")Rsb.");
        archive.Save(Path, end: "");

        using PyTorchFile file = PyTorchFile.Open(Path);
        Assert.Equal("a", Assert.Single(file.Tensors).Name);
    }

    [Fact]
    public void Weights_beside_other_tensors_are_found_as_nanoGPT_saves_them()
    {
        TorchArchive archive = TorchArchive.Dictionary();
        archive.Text("model").Raw("}(");
        archive.Add("a", "FloatStorage", Bytes([1f]), [1]).Add("b", "FloatStorage", Bytes([2f]), [1]).Raw("u");
        archive.Add("best_val_loss", "FloatStorage", Bytes([3f]), []).Save(Path);

        using PyTorchFile file = PyTorchFile.Open(Path);
        Assert.Equal(["a", "b"], file.Tensors.Select(info => info.Name));
    }

    [Fact]
    public void A_dictionary_that_holds_another_a_hundred_thousand_times_is_read_once()
    {
        TorchArchive archive = TorchArchive.Dictionary().Raw("K\0}q\0(");
        for (int i = 0; i < 400_000; i++)
        {
            archive.Raw("K\0K\0");
        }

        archive.Raw("u");
        for (int i = 0; i < 100_000; i++)
        {
            archive.Raw("h\0h\0");
        }

        archive.Save(Path);
        Stopwatch time = Stopwatch.StartNew();
        AssertRefused("holds no dictionary of tensors");
        Assert.True(time.Elapsed < TimeSpan.FromSeconds(20), $"{time.Elapsed}");
    }

    [Theory]
    [InlineData("os", "system")]
    [InlineData("builtins", "eval")]
    [InlineData("torch", "load")]
    [InlineData("torch._utils", "_rebuild_tensor")]
    [InlineData("numpy.core.multiarray", "scalar")]
    public void What_is_not_known_is_refused_by_name_before_anything_is_called(string module, string name)
    {
        TorchArchive archive = TorchArchive.Dictionary();
        archive.Text("x").Global(module, name).Raw("(");
        archive.Text("echo").Raw("tR").Save(Path);
        AssertRefused($"refers to {module}.{name}, which is not allowed");

        // By the opcode of protocol 4, which takes the name from the stack.
        archive = TorchArchive.Dictionary();
        archive.Text("x").Text(module).Text(name).Raw("\x93").Save(Path);
        AssertRefused($"refers to {module}.{name}, which is not allowed");
    }

    [Theory]
    [InlineData("(i__main__\nX\n.", "opcode 0x69")]
    [InlineData("\x81.", "opcode 0x81")]
    [InlineData("\x82\x01.", "opcode 0x82")]
    [InlineData("P1\n.", "opcode 0x50")]
    [InlineData("N.", "is no dictionary")]
    [InlineData("}.", "holds no dictionary of tensors")]
    [InlineData("", "is cut off")]
    [InlineData(".", "expected on the stack")]
    [InlineData("}(NNNu.", "sets items")]
    [InlineData("t.", "no mark")]
    [InlineData("(\x85.", "too short")]
    [InlineData("h\x07.", "no memo 7")]
    [InlineData("X\xff\xff\xff\x7f", "is cut off")]
    [InlineData("NQ.", "expected on the stack")]
    [InlineData(")Q.", "no storage")]
    [InlineData("]}b.", "no dictionary")]
    [InlineData("ccollections\nOrderedDict\n]R(NNe.", "no list")]
    [InlineData("ctorch\nFloatStorage\n)R.", "calls torch.FloatStorage")]
    public void Pickles_that_are_none_are_refused(string pickle, string problem)
    {
        TorchArchive.Save(Path, [0x80, 2, .. System.Text.Encoding.Latin1.GetBytes(pickle)], new Dictionary<string, byte[]>());
        AssertRefused(problem);
    }

    [Fact]
    public void Tensors_that_leave_their_storage_or_show_elements_twice_are_refused()
    {
        byte[] six = Bytes(Enumerable.Range(0, 6).Select(i => (float)i));
        Refuse("reaches element", [7]);
        Refuse("reaches element", [2], offset: 5);
        Refuse("reaches element", [1], offset: -1);
        Refuse("reaches element", [1], offset: long.MaxValue);
        Refuse("twice or leave", [2, 4], [4, 4]);
        Refuse("twice or leave", [3, 2], [1, 1]);
        Refuse("twice or leave", [1 << 20], [0]);
        Refuse("twice or leave", [2], [long.MaxValue]);
        Refuse("twice or leave", [1L << 40], [1]);
        Refuse("do not fit", [long.MaxValue], [1]);
        Refuse("do not fit", [2], [1, 1]);
        Refuse("do not fit", [1L << 62, 1L << 62]);
        Refuse("axes", [1, 1, 1, 1, 1, 1, 1, 1, 1]);
        Refuse("is no list of sizes", [-1]);
        Refuse("claims 7 elements", [6], count: 7);
        Refuse("claims -1 elements", [6], count: -1);
        Refuse("claims 4611686018427387904 elements", [6], count: 1L << 62);

        void Refuse(string problem, long[] shape, long[]? strides = null, long offset = 0, long? count = null)
        {
            TorchArchive.Dictionary().Add("a", "FloatStorage", six, shape, strides, offset, count: count).Save(Path);
            AssertRefused(problem);
        }
    }

    [Fact]
    public void Archives_that_are_damaged_packed_or_old_are_refused()
    {
        TorchArchive archive = TorchArchive.Dictionary().Add("a", "FloatStorage", Bytes([1f, 2f]), [2]);
        archive.Save(Path, compression: CompressionLevel.Optimal);
        AssertRefused("compressed");

        TorchArchive.Save(Path, archive.Pickle(""), new Dictionary<string, byte[]>());
        AssertRefused("there is no entry model/data/0");

        File.WriteAllBytes(Path, [0x80, 2, 0x8a, 10, .. new byte[100]]);
        AssertRefused("no zip archive");

        TorchArchive.Dictionary().Add("a", "FloatStorage", Bytes([1f, 2f]), [2]).Save(Path);
        byte[] whole = File.ReadAllBytes(Path);
        File.WriteAllBytes(Path, whole[..^30]);
        AssertRefused("cut off");

        TorchArchive.Dictionary().Add("a", "FloatStorage", Bytes([1f]), [1]).Add("a", "FloatStorage", Bytes([1f]), [1]).Save(Path);
        AssertRefused("a appears twice");
    }

    [Fact]
    public void A_file_without_end_of_opcodes_ends()
    {
        TorchArchive.Save(Path, [0x80, 2, .. Enumerable.Repeat((byte)'}', 3_000_000)], new Dictionary<string, byte[]>());
        AssertRefused("more than 2000000 opcodes");
    }

    private void AssertRefused(string problem)
    {
        string message = Assert.Throws<InvalidDataException>(() => PyTorchFile.Open(Path)).Message;
        Assert.StartsWith(Path, message);
        Assert.Contains(problem, message);
        Assert.DoesNotContain('\n', message);
    }

    private static byte[] Bytes<T>(IEnumerable<T> values)
        where T : unmanaged => MemoryMarshal.AsBytes<T>(values.ToArray()).ToArray();
}
