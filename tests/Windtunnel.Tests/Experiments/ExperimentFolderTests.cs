using System.ComponentModel.DataAnnotations;
using Windtunnel.Experiments;
using Windtunnel.Runs.Config;

namespace Windtunnel.Tests.Experiments;

/// <summary>What an experiment's folder takes in place of its file, and what it refuses.</summary>
public sealed class ExperimentFolderTests : IDisposable
{
    private const string Ladder = """
        type: ladder
        name: toy
        run: {data: {corpus: {type: synthetic, documents: 50}, tokenizer: bytes}, training: {sequenceLength: 32}}
        sizes: [20k, 50k]
        multipliers: [5, 10]
        targets: [{size: 100k, multiplier: 5}]
        """;

    private const string Comparison = """
        type: comparison
        name: toy
        run: {data: {corpus: synthetic, tokenizer: bytes}}
        variants: {adamw: {optimizer: adamw}, lion: {optimizer: lion}}
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_folder_of_another_type_is_refused_and_stays_as_it_was()
    {
        string path = Create(Comparison).ExperimentPath, before = File.ReadAllText(path);

        Assert.Contains("is a comparison of the same name; give the ladder of", Assert.Throws<ValidationException>(() => Create(Ladder)).Message, StringComparison.Ordinal);

        Assert.Equal(before, File.ReadAllText(path));
        Create(Comparison + "\nseeds: [4, 5]");
        Assert.NotEqual(before, File.ReadAllText(path));
    }

    [Fact]
    public void A_ladder_with_a_sealed_prediction_takes_only_what_changes_no_result()
    {
        ExperimentFolder folder = Create(Ladder);
        Create(Ladder + "\nseeds: [2]");
        Create(Ladder);
        string before = File.ReadAllText(folder.ExperimentPath);
        File.WriteAllText(Path.Combine(folder.Path, "prediction.json.sha256"), new string('a', 64));

        foreach (string changed in (string[])[Ladder + "\nseeds: [2]", Ladder + "\ncount: all", Ladder + "\nhold: {E: 1}", Ladder.Replace("100k", "110k", StringComparison.Ordinal), Ladder.Replace("[5, 10]", "[5, 11]", StringComparison.Ordinal)])
        {
            Assert.Contains("give the changed ladder another name", Assert.Throws<ValidationException>(() => Create(changed)).Message, StringComparison.Ordinal);
            Assert.Equal(before, File.ReadAllText(folder.ExperimentPath));
        }

        Create(Ladder.Replace("run: {", "run: {threads: 2, ", StringComparison.Ordinal));
        Assert.NotEqual(before, File.ReadAllText(folder.ExperimentPath));
    }

    private ExperimentFolder Create(string text)
    {
        string path = _folder.Write("toy.yaml", text);
        return ExperimentFolder.Create(_folder.File("experiments"), ConfigFile.Load<ExperimentOptions>(path), path);
    }
}
