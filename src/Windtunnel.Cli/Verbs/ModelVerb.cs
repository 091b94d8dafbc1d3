using System.CommandLine;
using Windtunnel.Models;
using Windtunnel.Tensors.Backends;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Says what a model is made of, without building it.</summary>
internal static class ModelVerb
{
    private static readonly string[] s_dial =
        ["20k", "50k", "100k", "200k", "500k", "1m", "2m", "5m", "10m", "20m", "50m", "100m", "200m", "500m", "1b", "1.2b"];

    private static readonly Argument<string[]> s_words = ConfigWords.Argument();
    private static readonly Option<bool> s_sizes = new("--sizes") { Description = "a table of the sizes of the dial and of the published models, instead" };

    public static Command Command
    {
        get
        {
            Verb model = new("model", "say what a model is made of: dimensions, parameters by part, operations a token", """
                windtunnel model --model.size=1m
                windtunnel model model=gpt2 --model.size=gpt2 --data.tokenizer.vocabularySize=50257 --training.sequenceLength=1024
                windtunnel model --sizes
                """)
            { s_words, s_sizes };
            model.SetAction(Run);
            return model;
        }
    }

    private static int Run(ParseResult parsed)
    {
        RunConfig config = ConfigWords.Parse(parsed, s_words).Load();
        int vocabulary = config.Data.Tokenizer.VocabularySizeMax(), length = config.Training.SequenceLength;
        if (parsed.GetValue(s_sizes))
        {
            Sizes(config.Model, vocabulary, length);
        }
        else
        {
            Describe(config.Model.Resolve(vocabulary, length), length);
        }

        return 0;
    }

    private static void Describe(ModelOptions options, int length)
    {
        (ModelDimensions d, ModelCounts counts) = (options.Dimensions, options.Count());
        Console.WriteLine($"{Family(options)}: {d.Layers} layers, width {d.Width}, {d.Heads} heads of {d.HeadWidth} ({d.KeyValueHeads} for keys and values), feed-forward {d.FeedForward}");
        Console.WriteLine($"vocabulary {d.Vocabulary:N0}, context {d.Context:N0}, output projection {(options.Tied ? "tied to the token embedding" : "of its own")}");
        Console.WriteLine();

        using CountingBackend backend = new();
        using Model model = options.Build(backend, gradients: false);
        TextTable table = new("<part", "tensors", "parameters", "share", "without embeddings");
        foreach (IGrouping<string, Parameter> part in model.Parameters.Parameters.GroupBy(Part).OrderBy(part => part.Key))
        {
            long count = part.Sum(parameter => parameter.Shape.Count);
            bool embedding = part.First().Role is ParameterRole.Embedding or ParameterRole.Head;
            table.Add(
                part.Key[2..], $"{part.Count()}", $"{count:N0}", $"{(double)count / counts.Total:P1}",
                embedding ? null : $"{(double)count / counts.NonEmbedding:P1}");
        }

        table.Add("total", $"{model.Parameters.Parameters.Count}", $"{counts.Total:N0}", "", $"{counts.NonEmbedding:N0}");
        table.Write();
        Console.WriteLine();
        Console.WriteLine($"{Quantity.Flops(counts.TrainingFlopsAToken(length))} a training token at sequence length {length:N0} (6 a weight in a matrix product, 12 L H K T for attention)");
        Console.WriteLine($"{Quantity.Bytes(4.0 * counts.Total)} of weights in fp32");
        Console.WriteLine($"presets of {Family(options)}: {string.Join(", ", ModelSize.PresetsOf(Family(options)))}");
    }

    private static void Sizes(ModelOptions options, int vocabulary, int length)
    {
        TextTable table = new("<size", "layers", "width", "heads", "feed-forward", "non-embedding", "parameters", "a training token");
        foreach (string size in s_dial.Concat(ModelSize.PresetsOf(Family(options))))
        {
            ModelOptions sized = (options with { Size = size }).Resolve(vocabulary, length);
            (ModelDimensions d, ModelCounts counts) = (sized.Dimensions, sized.Count());
            table.Add(
                size, $"{d.Layers}", $"{d.Width}", $"{d.Heads}", $"{d.FeedForward}", $"{counts.NonEmbedding:N0}", $"{counts.Total:N0}",
                Quantity.Flops(counts.TrainingFlopsAToken(length)));
        }

        table.Write();
    }

    private static string Family(ModelOptions options) => options is Gpt2Options ? "gpt2" : "llama";

    // The leading digit orders the parts as a token meets them.
    private static string Part(Parameter parameter) => parameter.Role switch
    {
        ParameterRole.Embedding => "0 embedding",
        ParameterRole.Norm => "3 norms",
        ParameterRole.Head => "4 head",
        _ => parameter.Name.Contains("attn", StringComparison.Ordinal) ? "1 attention" : "2 feed-forward",
    };
}
