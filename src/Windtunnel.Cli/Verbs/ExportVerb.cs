using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Writes a trained model for other tools.</summary>
internal static class ExportVerb
{
    private static readonly ExportOptions s_defaults = new();

    private static readonly Argument<string> s_model = SampleVerb.ModelArgument();
    private static readonly Option<string> s_out = new("--out") { Description = "a new folder", Required = true, HelpName = "DIR" };
    private static readonly Option<string> s_type = new("--dtype") { Description = "f32, which keeps every bit, f16 or bf16", DefaultValueFactory = _ => "f32", HelpName = "TYPE" };
    private static readonly Option<long> s_shard = new("--shard-bytes")
    {
        Description = "weights of a file at most; more are spread over several",
        DefaultValueFactory = _ => s_defaults.ShardBytes,
        HelpName = "N",
    };

    private static readonly Option<bool> s_average = SampleVerb.AverageOption();
    private static readonly Option<string?> s_tokenizer = SampleVerb.TokenizerOption();
    private static readonly Option<string> s_runs = RunSession.RunsOption();

    public static Command Command
    {
        get
        {
            Verb export = new("export", "write a trained model as a folder that Hugging Face's transformers loads; a MiniCPM becomes a LLaMA with the same logits", """
                windtunnel export tiny-20260101-120000 --out tiny
                windtunnel export tiny-20260101-120000@80 --out tiny-bf16 --dtype bf16 --ema
                """)
            { s_model, s_out, s_type, s_shard, s_average, s_tokenizer, s_runs };
            export.SetAction(Run);
            return export;
        }
    }

    private static int Run(ParseResult parsed)
    {
        ExportOptions options = new(
            parsed.GetValue(s_type)! switch
            {
                "f32" => SafetensorsType.F32,
                "f16" => SafetensorsType.F16,
                "bf16" => SafetensorsType.BF16,
                string type => throw new ValidationException($"--dtype {type}: must be f32, f16 or bf16"),
            },
            parsed.GetValue(s_shard));
        using CpuBackend backend = new();
        using TrainedModel trained = TrainedModel.Open(
            parsed.GetValue(s_model)!, parsed.GetValue(s_runs)!, parsed.GetValue(s_average), backend, parsed.GetValue(s_tokenizer));
        string folder = parsed.GetValue(s_out)!;
        IReadOnlyList<string> files = HuggingFaceExport.Write(trained, folder, options);
        Console.WriteLine($"written: {Path.Combine(folder, files[0])}, {string.Join(", ", files.Skip(1))}{(trained.Run is (_, long step) ? $" (step {step:N0})" : "")}");
        return 0;
    }
}
