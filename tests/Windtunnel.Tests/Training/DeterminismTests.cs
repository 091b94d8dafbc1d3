namespace Windtunnel.Tests.Training;

public sealed class DeterminismTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("adamw")]
    [InlineData("muon")]
    public void Fifty_steps_give_the_same_bytes_on_any_threads_with_avx512_or_avx2_and_again(string optimizer)
    {
        ChildRun child = new(_folder.Path);
        string config = child.Config(optimizer, steps: 50, saveEvery: 50);
        Dictionary<string, string> fingerprints = [];
        foreach ((string id, string threads, string avx512) in new[] { ("one", "1", "1"), ("again", "1", "1"), ("two", "2", "1"), ("avx2", "1", "0"), ("avx2-two", "2", "0") })
        {
            child.Run(new Dictionary<string, string> { ["DOTNET_EnableAVX512"] = avx512 }, "train", config, "--id", id, $"--threads={threads}");
            fingerprints[id] = TinyRun.Fingerprint(child.Folder(id));
        }

        Assert.All(fingerprints, pair => Assert.Equal(fingerprints["one"], pair.Value));
    }
}
