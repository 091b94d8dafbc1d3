using System.CommandLine;
using Windtunnel.Text;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Prepares a dataset ahead of training, and says what is in it.</summary>
internal static class DataVerb
{
    private static readonly Argument<string[]> s_words = ConfigWords.Argument();
    private static readonly Option<string> s_data = RunSession.DataOption();

    public static Command Command
    {
        get
        {
            Verb data = new("data", "prepare the dataset of a config, where it is not there yet, and say what is in it", """
                windtunnel data
                windtunnel data configs/runs/tiny.yaml
                windtunnel data --data.corpus='{type: files, paths: [books/*.txt]}' --data.tokenizer.vocabularySize=8192
                """)
            { s_words, s_data };
            data.SetAction(Run);
            return data;
        }
    }

    private static int Run(ParseResult parsed)
    {
        RunConfig config = ConfigWords.Parse(parsed, s_words).Load();
        using Dataset dataset = Dataset.Prepare(config.Data, parsed.GetValue(s_data)!, Console.WriteLine);
        TextTable table = new("<source", "<split", "documents", "bytes", "tokens", "bytes/token");
        foreach (SourceManifest source in dataset.Manifest.Sources)
        {
            foreach ((string name, SplitManifest split) in new[] { ("train", source.Train), ("validation", source.Validation) })
            {
                table.Add(
                    source.Name, name, $"{split.Documents:N0}", $"{split.Bytes:N0}", $"{split.Tokens:N0}",
                    split.Tokens > 0 ? $"{(double)split.Bytes / split.Tokens:F3}" : null);
            }
        }

        table.Write();
        Console.WriteLine($"vocabulary {dataset.Tokenizer.VocabularySize:N0}, in {Path.GetFullPath(dataset.Folder)}");
        return 0;
    }
}
