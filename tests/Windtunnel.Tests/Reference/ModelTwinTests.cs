namespace Windtunnel.Tests.Reference;

public sealed class ModelTwinTests
{
    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    [InlineData("llama_qknorm")]
    [InlineData("llama_scaled")]
    public void Logits_and_loss_agree_with_torch(string name)
    {
        GoldenCase golden = new(name);
        ModelTwin model = golden.Model();
        Dictionary<string, double[]> weights = golden.Group("weights");

        Assert.InRange(MaxDifference(golden["logits"], model.Logits(weights, golden.Tokens)), 0, 1e-12);
        Assert.Equal(golden["loss"][0], model.Loss(weights, golden.Tokens, golden.Targets), 1e-12);
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    [InlineData("llama_qknorm")]
    [InlineData("llama_scaled")]
    public void Finite_differences_agree_with_the_gradients_of_torch(string name)
    {
        GoldenCase golden = new(name);
        ModelTwin model = golden.Model();
        Dictionary<string, double[]> weights = golden.Group("weights"), grads = golden.Group("grads");
        string[] names = [.. weights.Keys.Order(StringComparer.Ordinal)];
        double[][] inputs = [.. names.Select(key => weights[key])];
        int[] tokens = golden.Tokens, targets = golden.Targets;
        Random random = new(7);

        for (int sample = 0; sample < 200; sample++)
        {
            int input = sample % inputs.Length, element = random.Next(inputs[input].Length);
            double derivative = FiniteDifference.Derivative(_ => model.Loss(weights, tokens, targets), inputs, input, element);
            double expected = grads[names[input]][element];
            Assert.True(Math.Abs(derivative - expected) < 1e-9, $"{names[input]}[{element}]: {derivative} is not {expected}");
        }
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    [InlineData("llama_qknorm")]
    [InlineData("llama_scaled")]
    public void Global_norm_agrees_with_torch(string name)
    {
        GoldenCase golden = new(name);
        Assert.Equal(golden["grad_norm"][0], Twin.GlobalNorm(golden.Group("grads").Values), 1e-12);
    }

    [Theory]
    [InlineData("gpt2", "adamw")]
    [InlineData("gpt2", "muon")]
    [InlineData("llama", "adamw")]
    [InlineData("llama", "muon")]
    public void One_step_along_the_golden_gradient_leads_to_the_second_golden_loss(string name, string optimizer)
    {
        GoldenCase golden = new(name);
        Dictionary<string, double[]> weights = golden.Group("weights"), grads = golden.Group("grads");
        double clip = Math.Min(1, golden.Option<double>("clip_global_norm") / golden["grad_norm"][0]);
        Dictionary<string, double> muon = golden.Option<Dictionary<string, double>>("muon");
        Dictionary<string, double> adamw = golden.Option<Dictionary<string, double>>(optimizer == "muon" ? "muon_adamw" : "adamw");

        foreach ((string key, double[] weight) in weights)
        {
            double[] grad = [.. grads[key].Select(g => clip * g)], first = new double[weight.Length], second = new double[weight.Length];
            int[] shape = golden.Shape("weights." + key);
            bool vector = shape.Length == 1;
            bool hidden = !vector && (key.Contains(".h.") || key.Contains(".layers."));
            if (optimizer == "muon" && hidden)
            {
                OptimizerTwin.Muon(
                    weight, grad, first, shape[0], shape[1], muon["lr"], muon["momentum"], muon["weight_decay"],
                    parts: key.Contains("c_attn") ? 3 : 1);
            }
            else
            {
                OptimizerTwin.AdamW(
                    weight, grad, first, second, 1, adamw["lr"], adamw["beta1"], adamw["beta2"], adamw["eps"],
                    vector ? 0 : adamw["weight_decay"]);
            }
        }

        double[] losses = golden[optimizer + ".losses"];
        Assert.Equal(golden["loss"][0], losses[0], 1e-15);
        Assert.Equal(losses[1], golden.Model().Loss(weights, golden.Tokens, golden.Targets), 1e-12);
    }

    [Theory]
    [InlineData("gpt2", "adamw")]
    [InlineData("gpt2", "muon")]
    [InlineData("llama", "adamw")]
    [InlineData("llama", "muon")]
    public void The_weights_after_ten_steps_continue_the_golden_losses(string name, string optimizer)
    {
        GoldenCase golden = new(name);
        double[] losses = golden[optimizer + ".losses"];
        double next = golden.Model().Loss(golden.Group(optimizer), golden.Tokens, golden.Targets);

        Assert.Equal(10, losses.Length);
        Assert.All(losses.Zip(losses.Skip(1)), pair => Assert.True(pair.Second < pair.First));
        Assert.InRange(losses[^1] - next, 0.5 * (losses[^2] - losses[^1]), losses[^2] - losses[^1]);
    }

    private static double MaxDifference(double[] expected, double[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        return expected.Zip(actual, (x, y) => Math.Abs(x - y)).Max();
    }
}
