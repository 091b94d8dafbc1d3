using System.Runtime.Intrinsics;

namespace Windtunnel.Tests.Training;

public sealed class DeterminismTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("adamw")]
    [InlineData("muon")]
    public void Fifty_steps_give_the_same_bytes_on_one_and_two_threads_and_again(string optimizer)
    {
        ChildRun child = new(_folder.Path);
        Compare(child, child.Config(optimizer, steps: 50, saveEvery: 50), [("one", "1", "1"), ("again", "1", "1"), ("two", "2", "1")]);
    }

    [Theory]
    [InlineData("adamw")]
    [InlineData("muon")]
    public void Fifty_steps_give_the_same_bytes_with_avx512_and_avx2(string optimizer)
    {
        Assert.SkipUnless(Vector512.IsHardwareAccelerated, "this machine has no AVX-512 to compare with AVX2");
        ChildRun child = new(_folder.Path);
        Compare(child, child.Config(optimizer, steps: 50, saveEvery: 50), [("avx512", "1", "1"), ("avx2", "1", "0"), ("avx2-two", "2", "0")]);
    }

    // More than one block of everything that is cut into blocks: key tiles (T > 256), k of a product (F > 768), rows of logits.
    [Fact]
    public void Shapes_of_several_blocks_give_the_same_bytes_on_any_threads_with_avx512_or_avx2()
    {
        ChildRun child = new(_folder.Path);
        string config = child.Config("muon", steps: 4, saveEvery: 4);
        string[] wide =
        [
            "--model.width=64", "--model.layers=1", "--model.feedForward=800", "--model.vocabulary=100000", "--training.sequenceLength=300",
            "--training.batchSize=2", "--schedule.warmup=1",
        ];
        Compare(child, config, [("one", "1", "1"), ("two", "2", "1"), ("avx2", "2", "0")], wide);
    }

    private static void Compare(ChildRun child, string config, (string Id, string Threads, string Avx512)[] runs, params string[] overrides)
    {
        Dictionary<string, string> fingerprints = [];
        foreach ((string id, string threads, string avx512) in runs)
        {
            child.Run(new Dictionary<string, string> { ["DOTNET_EnableAVX512"] = avx512 }, ["train", config, "--id", id, $"--threads={threads}", .. overrides]);
            fingerprints[id] = TinyRun.Fingerprint(child.Folder(id));
        }

        Assert.All(fingerprints, pair => Assert.Equal(fingerprints[runs[0].Id], pair.Value));
    }
}
