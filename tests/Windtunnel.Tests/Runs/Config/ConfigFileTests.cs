using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Windtunnel.Runs.Config;

namespace Windtunnel.Tests.Runs.Config;

public sealed class ConfigFileTests
{
    public enum Precision
    {
        Float32,
        BFloat16,
    }

    [JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
    [JsonDerivedType(typeof(AdamOptions), "adam")]
    [JsonDerivedType(typeof(MuonOptions), "muon")]
    public abstract record OptimizerOptions;

    public sealed record AdamOptions(double Beta1 = 0.9, double Beta2 = 0.95, float Eps = 1e-8f) : OptimizerOptions;

    public sealed record MuonOptions(double Beta = 0.95, OptimizerOptions? Rest = null) : OptimizerOptions
    {
        public OptimizerOptions Rest { get; init; } = Rest ?? new AdamOptions();
    }

    public sealed record TrainingOptions(
        int BatchSize = 8, long Steps = 100, double LearningRateMax = 1e-3, Precision Precision = Precision.Float32, OptimizerOptions? Optimizer = null)
    {
        public OptimizerOptions Optimizer { get; init; } = Optimizer ?? new AdamOptions();

        public long Samples => BatchSize * Steps;
    }

    public sealed record RunOptions(
        string Name = "run",
        string? Note = null,
        ulong Seed = 1,
        bool Compile = false,
        TrainingOptions? Training = null,
        IReadOnlyList<string>? Tags = null,
        IReadOnlyList<OptimizerOptions>? Candidates = null,
        IReadOnlyDictionary<string, double>? Weights = null)
    {
        public TrainingOptions Training { get; init; } = Training ?? new TrainingOptions();
    }

    public sealed record Needs(string Name, OptimizerOptions? Optimizer = null)
    {
        public OptimizerOptions Optimizer { get; init; } = Optimizer ?? new AdamOptions();
    }

    public sealed record Positive(int Width)
    {
        public int Width { get; init; } = Width > 0 ? Width : throw new ValidationException("width must be positive");
    }

    private static T Bind<T>(string yaml, params string[] overrides)
        where T : notnull
    {
        return ConfigFile.Bind<T>(ConfigFile.Apply<T>(ConfigFile.Parse(yaml, "x.yaml"), "x.yaml", overrides), "x.yaml");
    }

    private static string Error<T>(string yaml, params string[] overrides)
        where T : notnull
    {
        string message = Assert.Throws<ValidationException>(() => Bind<T>(yaml, overrides)).Message;
        Assert.DoesNotContain('\n', message);
        return message;
    }

    [Fact]
    public void Settings_are_flat_by_their_paths_and_of_two_with_one_path_the_last_counts()
    {
        IReadOnlyDictionary<string, string> flat = ConfigFile.Flat(ConfigFile.Parse("a.b: 1\na: {b: 2, c: [1, x], d: null}\ne: \"two words\"", "test"));

        Assert.Equal(["a.b 2", "a.c [1,\"x\"]", "a.d null", "e two words"], flat.Select(setting => $"{setting.Key} {setting.Value}"));
    }

    [Fact]
    public void An_empty_file_gives_every_default()
    {
        Assert.Equal(new RunOptions(), Bind<RunOptions>(""));
        Assert.Equal(new RunOptions(), Bind<RunOptions>("# only a comment\n---\n"));
    }

    [Fact]
    public void Yaml_and_json_give_the_same_record()
    {
        using TemporaryFolder folder = new();
        string yaml = folder.Write("a.yaml", "name: tiny\ntraining:\n  batchSize: 0x10\n  precision: bFloat16\n  optimizer: {type: muon, beta: 0.9}\n");
        string json = folder.Write("a.json", """{"name":"tiny","training":{"optimizer":{"beta":0.9,"type":"muon"},"batchSize":16,"precision":"bFloat16"}}""");
        RunOptions expected = new("tiny", Training: new(16, Precision: Precision.BFloat16, Optimizer: new MuonOptions(0.9)));
        Assert.Equal(expected, ConfigFile.Load<RunOptions>(yaml));
        Assert.Equal(expected, ConfigFile.Load<RunOptions>(json));
    }

    [Theory]
    [InlineData("~", "null")]
    [InlineData("null", "null")]
    [InlineData("True", "true")]
    [InlineData("no", "\"no\"")]
    [InlineData("-12", "-12")]
    [InlineData("0o17", "15")]
    [InlineData("0xFF", "255")]
    [InlineData("1_000", "\"1_000\"")]
    [InlineData("1e-5", "1E-05")]
    [InlineData(".5", "0.5")]
    [InlineData("18446744073709551615", "18446744073709551615")]
    [InlineData("'12'", "\"12\"")]
    [InlineData("1.2.3", "\"1.2.3\"")]
    [InlineData("2026-01-01", "\"2026-01-01\"")]
    public void Plain_scalars_resolve_by_the_core_schema(string scalar, string json)
    {
        Assert.Equal(json, ConfigFile.Parse($"a: {scalar}", "x")["a"]?.ToJsonString() ?? "null");
    }

    [Theory]
    [InlineData("a: &x 1", "x:1: anchors")]
    [InlineData("a: 1\nb: *x", "x:2:")]
    [InlineData("a: 1\nb: !!int 2", "x:2: anchors and tags")]
    [InlineData("a: 1\nb:\n  c: 1\n  c: 2", "x:4: duplicate key 'c'")]
    [InlineData("a: [1, 2", "x:")]
    [InlineData("a: .nan", "x:1: .nan is not a finite number")]
    [InlineData("a: 1\nb: 1e999", "x:2: 1e999 is not a finite number")]
    [InlineData("- 1", "x: expected settings")]
    [InlineData("a: 1\n---\nb: 2", "x:2: more than one document")]
    [InlineData("? [1]\n: 2", "x:1: a key")]
    public void Refused_yaml_is_named_with_its_line(string yaml, string message)
    {
        Assert.StartsWith(message, Assert.Throws<ValidationException>(() => ConfigFile.Parse(yaml, "x")).Message);
    }

    [Theory]
    [InlineData("""{"a":1,"a":2}""")]
    [InlineData("{\"a\":1,}")]
    [InlineData("[1]")]
    [InlineData("""{"a":"\ud800"}""")]
    [InlineData("{\"a\": NaN}")]
    public void Refused_json_is_a_validation_error(string json)
    {
        Assert.Throws<ValidationException>(() => ConfigFile.Parse(json, "x", json: true));
    }

    [Fact]
    public void Deep_and_large_files_are_refused()
    {
        using TemporaryFolder folder = new();
        string open = new('[', 100_000);
        Assert.Contains("deep", Assert.Throws<ValidationException>(() => ConfigFile.Parse("a: " + open, "x")).Message);
        Assert.Throws<ValidationException>(() => ConfigFile.Parse("{\"a\":" + open, "x", json: true));
        string path = folder.Write("big.yaml", new string('#', ConfigFile.MaxBytes + 1));
        Assert.Contains(path, Assert.Throws<ValidationException>(() => ConfigFile.Read(path)).Message);
        File.WriteAllBytes(folder.File("latin.yaml"), [(byte)'a', (byte)':', (byte)' ', 0xe9]);
        Assert.Contains("UTF-8", Assert.Throws<ValidationException>(() => ConfigFile.Read(folder.File("latin.yaml"))).Message);
        Assert.Contains("no such file", Assert.Throws<ValidationException>(() => ConfigFile.Read(folder.File("none.yaml"))).Message);
    }

    [Fact]
    public void Mutated_files_give_a_tree_or_a_validation_error()
    {
        const string Seed = "name: 'a b'\nlist: [1, {x: 2}, \"q\\u0041\"]\ntraining:\n  optimizer: {type: muon, beta: 1e-3}\n  steps: 0x10\ntext: |\n  two\n  lines\n";
        Random random = new(7);
        const string Pieces = "{}[]:,-?&*!|>'\"%@`#~ \n\t\\0aA.eE\u0085\u2028\ud83d\ude00<";
        Stopwatch watch = Stopwatch.StartNew();
        int refused = 0;
        for (int i = 0; i < 20_000; i++)
        {
            StringBuilder text = new(Seed);
            for (int edits = random.Next(1, 6); edits > 0; edits--)
            {
                int at = random.Next(text.Length);
                _ = random.Next(3) switch
                {
                    0 => text.Remove(at, Math.Min(random.Next(1, 9), text.Length - at)),
                    1 => text.Insert(at, Pieces[random.Next(Pieces.Length)].ToString(), random.Next(1, 40)),
                    _ => text.Insert(at, Seed, 1),
                };
            }

            try
            {
                _ = ConfigFile.Parse(text.ToString(), "x", json: i % 4 == 0);
            }
            catch (ValidationException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 1_000, 19_999);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(60));
    }

    [Fact]
    public void Overrides_take_three_forms_and_the_last_wins()
    {
        RunOptions bound = Bind<RunOptions>(
            "training: {batchSize: 2, steps: 5}",
            "--training.batchSize=4", "--training.batchSize", "6", "name=later", "--tags=[a, \"1\"]", "--weights", "{web: 0.5}", "--weights.code=2", "--note", "-5 is low");
        Assert.Equal((6, 5L, "later", "-5 is low"), (bound.Training.BatchSize, bound.Training.Steps, bound.Name, bound.Note));
        Assert.Equal(["a", "1"], bound.Tags!);
        Assert.Equal([("code", 2.0), ("web", 0.5)], bound.Weights!.OrderBy(w => w.Key).Select(w => (w.Key, w.Value)));
    }

    [Theory]
    [InlineData("--training.steps", "has no value")]
    [InlineData("word", "not a setting")]
    [InlineData("--a..b=1", "not a setting")]
    [InlineData("--training.batchsize=3", "--training.batchsize=3: training.batchsize is not a setting; did you mean training.batchSize?")]
    public void A_bad_override_names_itself(string text, string message) => Assert.Contains(message, Error<RunOptions>("", text));

    [Fact]
    public void A_bare_name_is_a_registered_type_with_its_defaults()
    {
        Assert.Equal(new TrainingOptions(Optimizer: new MuonOptions()), Bind<TrainingOptions>("optimizer: muon"));
        Assert.Equal([new MuonOptions(), new AdamOptions(0.5)], Bind<RunOptions>("candidates: [muon, {type: adam, beta1: 0.5}]").Candidates!);
        Assert.Equal(new MuonOptions(0.5), Bind<TrainingOptions>("", "--optimizer", "muon", "--optimizer.beta=0.5").Optimizer);
        Assert.Equal(new MuonOptions(0.5), Bind<TrainingOptions>("optimizer: muon", "--optimizer.beta=0.5").Optimizer);
    }

    [Fact]
    public void Changing_the_type_drops_the_other_keys_and_naming_it_again_keeps_them()
    {
        const string Yaml = "optimizer: {type: adam, beta1: 0.5}";
        Assert.Equal(new MuonOptions(), Bind<TrainingOptions>(Yaml, "--optimizer=muon").Optimizer);
        Assert.Equal(new MuonOptions(), Bind<TrainingOptions>(Yaml, "--optimizer.type=muon").Optimizer);
        Assert.Equal(new AdamOptions(0.5, 0.9), Bind<TrainingOptions>(Yaml, "--optimizer=adam", "--optimizer.beta2=0.9").Optimizer);
    }

    [Fact]
    public void Without_a_type_the_default_of_the_enclosing_record_is_assumed()
    {
        Assert.Equal(new AdamOptions(Beta2: 0.9), Bind<TrainingOptions>("optimizer: {beta2: 0.9}").Optimizer);
        Assert.Equal(new AdamOptions(Beta2: 0.9), Bind<RunOptions>("", "--training.optimizer.beta2=0.9").Training.Optimizer);
        Assert.Equal(new MuonOptions(Rest: new AdamOptions(0.1)), Bind<TrainingOptions>("optimizer: {type: muon, rest: {beta1: 0.1}}").Optimizer);
        Assert.Contains("candidates[0].type is missing; choose one of adam, muon", Error<RunOptions>("candidates: [{beta1: 1}]"));
    }

    [Theory]
    [InlineData("training: {batchsize: 1}", "x.yaml: training.batchsize is not a setting; did you mean training.batchSize?")]
    [InlineData("training: {batch_size: 1}", "did you mean training.batchSize?")]
    [InlineData("training: {optimizer: {type: muon, beta1: 1}}", "training.optimizer.beta1 is not a setting; did you mean training.optimizer.beta?")]
    [InlineData("training: {samples: 1}", "training.samples is not a setting")]
    [InlineData("zzzzzzzz: 1", "the settings here are name, note, seed")]
    [InlineData("training: {optimizer: moun}", "training.optimizer.type 'moun' is not registered; choose one of adam, muon")]
    [InlineData("training: {optimizer: 3}", "training.optimizer is 3; expected one of adam, muon, or a map")]
    [InlineData("training: {batchSize: many}", "training.batchSize is \"many\"; expected a whole number")]
    [InlineData("training: {batchSize: 1.5}", "training.batchSize is 1.5; expected a whole number")]
    [InlineData("training: {batchSize: 3e9}", "expected a whole number that fits Int32")]
    [InlineData("training: {batchSize: '4'}", "training.batchSize is \"4\"")]
    [InlineData("training: {batchSize: null}", "training.batchSize is null")]
    [InlineData("training: {precision: bfloat16}", "training.precision is \"bfloat16\"; expected one of float32, bFloat16")]
    [InlineData("training: {precision: 1}", "training.precision is 1")]
    [InlineData("training: 3", "training is 3; expected a map")]
    [InlineData("name: 12", "name is 12; expected text")]
    [InlineData("name: null", "name is null; expected text")]
    [InlineData("tags: [a, null]", "tags[1] is null; expected text")]
    [InlineData("compile: yes", "compile is \"yes\"; expected true or false")]
    [InlineData("training: {optimizer: {eps: 1e39}}", "training.optimizer.eps is 1E+39; expected a finite number")]
    [InlineData("weights: {a: x}", "weights.a is \"x\"; expected a finite number")]
    public void Errors_name_the_source_the_setting_and_what_is_expected(string yaml, string message)
    {
        string actual = Error<RunOptions>(yaml);
        Assert.StartsWith("x.yaml: ", actual);
        Assert.Contains(message, actual);
    }

    [Theory]
    [InlineData("{0}: 1")]
    [InlineData("training: {{optimizer: {{type: {0}}}}}")]
    [InlineData("seed: {0}")]
    [InlineData("name: [{0}]")]
    [InlineData("\"a\\nb{0}\": 1")]
    public void Errors_stay_short_whatever_the_file_holds(string yaml)
    {
        Assert.InRange(Error<RunOptions>(string.Format(yaml, new string('9', 100_000))).Length, 20, 300);
        Assert.InRange(Error<RunOptions>(string.Format(yaml, new string('x', 900))).Length, 20, 300);
    }

    [Fact]
    public void Whole_numbers_may_be_written_as_floats()
    {
        Assert.Equal(1_000_000, Bind<TrainingOptions>("steps: 1e6").Steps);
        Assert.Equal(2_000_000_000_000_000_000, Bind<TrainingOptions>("steps: 2e18").Steps);
        Assert.Equal(8, ConfigFile.Bind<TrainingOptions>(ConfigFile.Parse("""{"batchSize": 8.0}""", "x", json: true), "x").BatchSize);
        Assert.Equal(ulong.MaxValue, Bind<RunOptions>("seed: 18446744073709551615").Seed);
    }

    [Fact]
    public void Required_settings_may_come_from_an_override_but_must_come()
    {
        Assert.Equal(new Needs("n", new AdamOptions(0.5)), Bind<Needs>("optimizer: {beta1: 0.5}", "--name=n"));
        Assert.Equal("x.yaml: name is required", Error<Needs>("optimizer: {beta1: 0.5}"));
        Assert.Equal("x.yaml: width must be positive", Error<Positive>("width: -1"));
    }

    [Fact]
    public void A_resolved_configuration_round_trips()
    {
        RunOptions options = new(
            Name: "1e5",
            Note: " tricky: \"quotes\" \\ # é 😀\n\tnew\u2028line ",
            Seed: ulong.MaxValue,
            Training: new(3, long.MaxValue, 0.1 + 0.2, Precision.BFloat16, new MuonOptions(1e-300, new AdamOptions(Eps: 1e-8f))),
            Tags: ["null", "~", "true", "0x1", "-", "", "plain text", "a: b", "[x]", "'", ".nan", "no"],
            Candidates: [new MuonOptions(0.3), new AdamOptions()],
            Weights: new Dictionary<string, double> { ["a.b/c"] = 1e22, ["12"] = -0.0625, ["null"] = 3 });
        string yaml = ConfigFile.ToYaml(options);
        RunOptions back = ConfigFile.Bind<RunOptions>(ConfigFile.Parse(yaml, "y"), "y");
        Assert.Equal(options with { Tags = null, Candidates = null, Weights = null }, back with { Tags = null, Candidates = null, Weights = null });
        Assert.Equal(options.Tags!, back.Tags!);
        Assert.Equal(options.Candidates!, back.Candidates!);
        Assert.Equal(options.Weights!.ToArray(), back.Weights!.ToArray());
        Assert.Equal(yaml, ConfigFile.ToYaml(back));
        Assert.Equal(new RunOptions(), Bind<RunOptions>(ConfigFile.ToYaml(new RunOptions())));
        Assert.DoesNotContain("samples", yaml);
    }

    [Fact]
    public void Any_text_round_trips_through_yaml()
    {
        Random random = new(3);
        for (int i = 0; i < 2_000; i++)
        {
            StringBuilder text = new();
            for (int length = random.Next(12); length > 0; length--)
            {
                int rune = random.Next(3) switch { 0 => random.Next(0x20, 0x7f), 1 => random.Next(0x300), _ => random.Next(0xe000, 0x110000) };
                text.Append(new Rune(rune));
            }

            JsonObject settings = new() { [text.ToString()] = text.ToString() };
            Assert.Equal(settings.ToJsonString(), ConfigFile.Parse(ConfigFile.ToYaml(settings), "y").ToJsonString());
        }
    }
}
