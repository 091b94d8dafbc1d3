using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Models;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Lets a trained model write.</summary>
internal static class SampleVerb
{
    private static readonly SamplingOptions s_defaults = new();

    private static readonly Argument<string> s_model = ModelArgument();
    private static readonly Option<string> s_prompt = new("--prompt") { Description = "what the text begins with", DefaultValueFactory = _ => "" };
    private static readonly Option<double> s_temperature = new("--temperature")
    {
        Description = "divides the logits; 0 takes the likeliest token each time",
        DefaultValueFactory = _ => s_defaults.Temperature,
    };

    private static readonly Option<int> s_topK = new("--top-k") { Description = "draw from this many tokens; 0 for all", DefaultValueFactory = _ => s_defaults.TopK };
    private static readonly Option<double> s_topP = new("--top-p")
    {
        Description = "draw from the likeliest tokens that together have this probability",
        DefaultValueFactory = _ => s_defaults.TopP,
    };

    private static readonly Option<int> s_tokens = new("--max-tokens") { Description = "length of a sample", DefaultValueFactory = _ => s_defaults.TokensMax };
    private static readonly Option<ulong> s_seed = new("--seed") { Description = "equal seeds give equal text", DefaultValueFactory = _ => s_defaults.Seed };
    private static readonly Option<int> s_count = new("--count") { Description = "how many samples", DefaultValueFactory = _ => 1 };
    private static readonly Option<bool> s_average = AverageOption();
    private static readonly Option<string?> s_tokenizer = TokenizerOption();
    private static readonly Option<string> s_runs = RunSession.RunsOption();

    public static Command Command
    {
        get
        {
            Verb sample = new("sample", "let a trained model write; the run may still be training", """
                windtunnel sample tiny-20260101-120000
                windtunnel sample tiny-20260101-120000@80 --prompt "The exception that" --temperature 0.5 --count 3
                windtunnel sample llama --prompt "Once upon a time" --temperature 0 --max-tokens 60
                """)
            { s_model, s_prompt, s_temperature, s_topK, s_topP, s_tokens, s_seed, s_count, s_average, s_tokenizer, s_runs };
            sample.SetAction(Run);
            return sample;
        }
    }

    /// <summary>A model to use.</summary>
    internal static Argument<string> ModelArgument() => new("model")
    {
        Description = "a run or one of its checkpoints, a Hugging Face folder, or a checkpoint of llama2.c",
        HelpName = "RUN[@STEP]|PATH",
    };

    /// <summary>Which weights of a run.</summary>
    internal static Option<bool> AverageOption() => new("--ema") { Description = "use the moving average of a run's weights" };

    /// <summary>What a model reads and writes.</summary>
    internal static Option<string?> TokenizerOption() => new("--tokenizer") { Description = "the model's tokenizer; the one beside its weights where not given", HelpName = "PATH" };

    private static int Run(ParseResult parsed)
    {
        SamplingOptions options = new(
            parsed.GetValue(s_temperature), parsed.GetValue(s_topK), parsed.GetValue(s_topP), parsed.GetValue(s_tokens), parsed.GetValue(s_seed));
        options.Validate();
        int count = parsed.GetValue(s_count);
        if (count < 1)
        {
            throw new ValidationException($"count: {count} must be at least 1");
        }

        string prompt = parsed.GetValue(s_prompt)!;
        using CpuBackend backend = new();
        using TrainedModel trained = TrainedModel.Open(
            parsed.GetValue(s_model)!, parsed.GetValue(s_runs)!, parsed.GetValue(s_average), backend, parsed.GetValue(s_tokenizer));
        using Sampler sampler = new(trained.Model, trained.Tokenizer.VocabularySize);
        for (int i = 0; i < count; i++)
        {
            if (i > 0)
            {
                Console.WriteLine("\n---");
            }

            Console.Write(prompt);
            SampleWriter.Continue(Console.Out, sampler, trained.Tokenizer, trained.Ends, prompt, options, (ulong)i);
            Console.WriteLine();
        }

        return 0;
    }
}
