using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Says what a model is made of, without building it, and how its activations follow its width.</summary>
internal static class ModelVerb
{
    private static readonly string[] s_dial =
        ["20k", "50k", "100k", "200k", "500k", "1m", "2m", "5m", "10m", "20m", "50m", "100m", "200m", "500m", "1b", "1.2b"];

    private static readonly Argument<string[]> s_words = ConfigWords.Argument();
    private static readonly Option<bool> s_sizes = new("--sizes") { Description = "a table of the sizes of the dial and of the published models, instead" };
    private static readonly Option<string> s_widths = new("--widths") { Description = "the widths, multiples of the head width", DefaultValueFactory = _ => "32,64,128,256", HelpName = "N,N,..." };
    private static readonly Option<int> s_steps = new("--steps") { Description = "optimizer steps at each width", DefaultValueFactory = _ => 10 };
    private static readonly Option<string> s_data = RunSession.DataOption();
    private static readonly Option<string> s_out = new("--out") { Description = "where coordinates.svg and coordinates.csv are written", DefaultValueFactory = _ => "coordinates", HelpName = "DIR" };

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
            Verb coordinates = new("coordinates", "say whether activations keep their size as the model gets wider, so that one learning rate serves every width", """
                windtunnel model coordinates model=minicpm --model.size=100k --model.baseWidth=32 --optimizer.learningRate=0.01
                windtunnel model coordinates configs/runs/tiny.yaml --widths 32,64,128 --steps 5 --out llama
                """)
            { s_words, s_widths, s_steps, s_data, s_out };
            coordinates.SetAction(Coordinates);
            model.Add(coordinates);
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
            Describe(config.ResolveModel(vocabulary).Model, length);
        }

        return 0;
    }

    private static int Coordinates(ParseResult parsed)
    {
        RunConfig config = ConfigWords.Parse(parsed, s_words).Load();
        int[] widths = [.. parsed.GetValue(s_widths)!.Split(',').Select(word => int.TryParse(word, out int width)
            ? width
            : throw new ValidationException($"--widths {parsed.GetValue(s_widths)}: '{word}' is not a whole number"))];
        config.Data.Validate();
        config.Resolve(config.Data.Tokenizer.VocabularySizeMax());
        using Dataset data = Dataset.Prepare(config.Data, parsed.GetValue(s_data)!, Console.WriteLine);
        using CpuBackend backend = new(config.Threads);
        CoordinateCheck check = CoordinateCheck.Run(config, widths, parsed.GetValue(s_steps), data, backend);
        CoordinateReport.Write(check);
        string folder = parsed.GetValue(s_out)!;
        Directory.CreateDirectory(folder);
        AtomicFile.WriteText(Path.Combine(folder, "coordinates.svg"), CoordinateReport.Draw(check, config.Model.Family).ToSvg());
        AtomicFile.WriteText(Path.Combine(folder, "coordinates.csv"), CoordinateReport.ToCsv(check));
        Console.WriteLine($"written: {Path.Combine(folder, "coordinates.svg")}, coordinates.csv");
        return 0;
    }

    private static void Describe(ModelOptions options, int length)
    {
        (ModelDimensions d, ModelCounts counts) = (options.Dimensions, options.Count());
        Console.WriteLine($"{options.Family}: {d.Layers} layers, width {d.Width}, {d.Heads} heads of {d.HeadWidth} ({d.KeyValueHeads} for keys and values), feed-forward {d.FeedForward}");
        Console.WriteLine($"vocabulary {d.Vocabulary:N0}, context {d.Context:N0}, output projection {(options.Tied ? "tied to the token embedding" : "of its own")}");
        if (options is MiniCpmOptions miniCpm)
        {
            LlamaScales scales = miniCpm.Scales;
            Console.WriteLine(
                $"scales: embedding {scales.Embedding:G4}, residual {scales.Residual:G4}, logits {scales.Logits:G4}; hidden matrices: "
                + $"initial deviation {miniCpm.InitializerRange * scales.Deviation:G4}, learning rate x {scales.Rate:G4}");
        }

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
        Console.WriteLine($"presets of {options.Family}: {string.Join(", ", ModelSize.PresetsOf(options.Family))}");
    }

    private static void Sizes(ModelOptions options, int vocabulary, int length)
    {
        TextTable table = new("<size", "layers", "width", "heads", "feed-forward", "non-embedding", "parameters", "a training token");
        foreach (string size in s_dial.Concat(ModelSize.PresetsOf(options.Family)))
        {
            ModelOptions sized = (options with { Size = size }).Resolve(vocabulary, length);
            (ModelDimensions d, ModelCounts counts) = (sized.Dimensions, sized.Count());
            table.Add(
                size, $"{d.Layers}", $"{d.Width}", $"{d.Heads}", $"{d.FeedForward}", $"{counts.NonEmbedding:N0}", $"{counts.Total:N0}",
                Quantity.Flops(counts.TrainingFlopsAToken(length)));
        }

        table.Write();
    }

    // The leading digit orders the parts as a token meets them.
    private static string Part(Parameter parameter) => parameter.Role switch
    {
        ParameterRole.Embedding => "0 embedding",
        ParameterRole.Norm => "3 norms",
        ParameterRole.Head => "4 head",
        _ => parameter.Name.Contains("attn", StringComparison.Ordinal) ? "1 attention" : "2 feed-forward",
    };
}
