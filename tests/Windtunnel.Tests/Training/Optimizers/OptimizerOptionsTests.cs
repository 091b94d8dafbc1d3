using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

public sealed class OptimizerOptionsTests
{
    [Theory]
    [InlineData("optimizer.learningRate: -1 must be positive", "adamw", "learningRate=-1")]
    [InlineData("optimizer.beta1: 1 must be at least 0 and below 1", "adamw", "beta1=1")]
    [InlineData("optimizer.beta2: 1.5 must be at least 0 and below 1", "lion", "beta2=1.5")]
    [InlineData("optimizer.weightDecay: -0.1 must be at least 0", "signum", "weightDecay=-0.1")]
    [InlineData("optimizer.clipNorm: -1 must be at least 0", "sgd", "clipNorm=-1")]
    [InlineData("optimizer.momentum: 1 must be", "muon", "momentum=1")]
    [InlineData("optimizer.newtonSchulz.steps: 0 must be between 1 and 50", "muon", "newtonSchulz.steps=0")]
    [InlineData("optimizer.adam.beta2: 2 must be", "normuon", "adam.beta2=2")]
    [InlineData("optimizer.adam.ratio: 0 must be positive", "muonh", "adam.ratio=0")]
    [InlineData("optimizer.roles: norm must be one of hidden, embedding, head and router: norms and biases are vectors", "muon", "roles=[hidden, norm]")]
    [InlineData("optimizer.roles: bias must be one of", "adamh", "roles=[bias]")]
    [InlineData("optimizer.weightDecay: 0.1 must be 0: the norm is kept", "adamh", "weightDecay=0.1")]
    [InlineData("optimizer.beta3: 0.5 must be at least beta1", "ademamix", "beta3=0.5")]
    [InlineData("optimizer.interval: 0 must be at least 1", "sophia", "interval=0")]
    [InlineData("optimizer.gamma: -1 must be between 0 and 1", "mars", "gamma=-1")]
    [InlineData("optimizer.gamma: 1E+300 must be between 0 and 1", "mars", "gamma=1e300")]
    [InlineData("optimizer.beta1: 0.99999999 must be at least 0 and below 1, also as a single-precision number", "schedule-free", "beta1=0.99999999")]
    [InlineData("optimizer.beta3: 0.999999999 must be at least 0 and below 1, also as a single-precision number", "ademamix", "beta3=0.999999999")]
    [InlineData("optimizer.beta2: 0.99999999 must be at least 0 and below 1, also as a single-precision number", "adamw", "beta2=0.99999999")]
    [InlineData("optimizer.epsilon: 1E-50 must be positive and below 1, also as a single-precision number", "adamw", "epsilon=1e-50")]
    [InlineData("optimizer.weightDecay: 0.1 must be below 0.05 with decay: decoupled", "adamw", "decay=decoupled")]
    [InlineData("optimizer.roles: [] must be null for the hidden matrices, or name some", "muon", "roles=[]")]
    [InlineData("optimizer.caution: true must be false with form: original", "soap", "preset=original; caution=true")]
    [InlineData("optimizer.vectorDecay: -1 must be at least 0", "mars", "vectorDecay=-1")]
    [InlineData("optimizer.vectorDecay: 0.1 must be below 0.05 with decay: decoupled", "mars", "preset=original; decay=decoupled")]
    [InlineData("optimizer.weightDecay: 0.2 must be less than one over the rate, which is 10", "sgd", "learningRate=10; weightDecay=0.2")]
    [InlineData("optimizer.weightDecay: 0.1 must be less than one over the rate, which is 30", "scion", "radius=3000")]
    [InlineData("optimizer.learningRate: 1 must be below 1 where constrained", "scion", "preset=original; learningRate=1")]
    [InlineData("optimizer.initialScale: 1E-60 must be between", "kron", "initialScale=1e-60")]
    [InlineData("optimizer.constrained: true must be false unless", "scion", "constrained=true")]
    [InlineData("optimizer.constrained: true must be false unless", "scion", "preset=original; decayOn=matrices")]
    [InlineData("optimizer.constrained: true must be false unless", "scion", "preset=original; cautiousDecay=true")]
    [InlineData("optimizer.caution: true must be false", "schedule-free", "caution=true")]
    [InlineData("optimizer.preset is \"tuned\"; adamw has the presets study, original", "adamw", "preset=tuned")]
    [InlineData("optimizer.preset is \"study\"; sgd has no presets", "sgd", "preset=study")]
    [InlineData("optimizer.decay is \"never\"; expected one of scheduled, decoupled, corrected", "lion", "decay=never")]
    public void A_bad_setting_is_one_clear_line(string expected, string optimizer, string setting)
    {
        ValidationException error = Assert.Throws<ValidationException>(() => Bind([$"optimizer={optimizer}", .. setting.Split("; ").Select(each => $"optimizer.{each}")]).Resolve(257));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void State_is_gone_on_with_by_the_same_type_and_for_schedule_free_by_the_same_mix()
    {
        Assert.Null(new AdamWOptions(1e-3).UnlikeStateOf(new AdamWOptions(Beta1: 0.8)));
        Assert.Equal("type", new AdamWOptions().UnlikeStateOf(new NAdamWOptions()));
        Assert.Null(new ScheduleFreeOptions(1e-3).UnlikeStateOf(new ScheduleFreeOptions()));
        Assert.Equal("beta1", new ScheduleFreeOptions(Beta1: 0.95).UnlikeStateOf(new ScheduleFreeOptions()));
    }

    [Fact]
    public void A_preset_gives_what_is_not_given_whatever_the_order()
    {
        MuonOptions study = MuonOptions.Study;
        Assert.Equal(study, Bind("optimizer=muon", "optimizer.preset=study").Optimizer);
        MuonOptions expected = study with { LearningRate = 0.5, NewtonSchulz = study.NewtonSchulz with { Steps = 3 } };
        Assert.Equal(expected, Bind("optimizer=muon", "optimizer.preset=study", "optimizer.learningRate=0.5", "optimizer.newtonSchulz.steps=3").Optimizer);
        Assert.Equal(expected, Bind("optimizer=muon", "optimizer.learningRate=0.5", "optimizer.newtonSchulz.steps=3", "optimizer.preset=study").Optimizer);
        Assert.Equal(expected, Bind("optimizer={type: muon, preset: study, learningRate: 0.5, newtonSchulz: {steps: 3}}").Optimizer);
    }

    [Fact]
    public void The_last_preset_counts_and_another_type_forgets_it()
    {
        Assert.Equal(MuonOptions.Moonlight, Bind("optimizer=muon", "optimizer.preset=study", "optimizer.preset=moonlight").Optimizer);
        Assert.Equal(new LionOptions(), Bind("optimizer=muon", "optimizer.preset=study", "optimizer=lion").Optimizer);
        Assert.Equal(AdamWOptions.Study, Bind("optimizer.preset=study").Optimizer);
    }

    [Fact]
    public void A_recorded_config_spells_the_preset_out()
    {
        RunConfig config = Bind("optimizer=cautious", "optimizer.preset=original");
        string yaml = ConfigFile.ToYaml(config);

        Assert.DoesNotContain("preset", yaml, StringComparison.Ordinal);
        Assert.Contains("epsilonBeforeCorrection: true", yaml, StringComparison.Ordinal);
        Assert.Equal(config.Optimizer, ConfigFile.Bind<RunConfig>(ConfigFile.Parse(yaml, "yaml"), "yaml").Optimizer);
    }

    [Fact]
    public void Muon_may_take_the_head_too()
    {
        MuonOptions options = Assert.IsType<MuonOptions>(Bind("optimizer=muon", "optimizer.roles=[hidden, head]").Optimizer);
        Assert.Equal([ParameterRole.Hidden, ParameterRole.Head], options.Roles!);
    }

    [Fact]
    public void Where_all_but_the_matrices_share_a_ball_scion_clips_them_by_one_norm()
    {
        using CpuBackend backend = new();
        using OptimizerState state = new(backend);
        Assert.Equal(["spectral", "signum"], ScionOptions.Study.Rules(state).Select(rule => rule.Name));
        Assert.Equal(["spectral", "signum", "rms"], ScionOptions.Original.Rules(state).Select(rule => rule.Name));
    }

    [Fact]
    public void A_preset_that_clips_by_itself_raises_a_doubt_unless_training_does_not()
    {
        Assert.Contains("clipped twice", Assert.Single(Bind("optimizer=muon", "optimizer.preset=study").Doubts), StringComparison.Ordinal);
        Assert.Empty(Bind("optimizer=muon", "optimizer.preset=study", "training.clipNorm=0").Doubts);
        Assert.Empty(Bind("optimizer=muon").Doubts);
    }

    private static RunConfig Bind(params string[] overrides) =>
        ConfigFile.Bind<RunConfig>(ConfigFile.Apply<RunConfig>(new JsonObject(), "test", overrides), "test");
}
