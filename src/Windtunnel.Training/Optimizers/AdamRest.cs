namespace Windtunnel.Training.Optimizers;

/// <summary>AdamW for the parameters that a rule on matrices leaves: embeddings, the head, norms and biases.</summary>
/// <param name="Ratio">Its rate, as a share of the optimizer's learning rate.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root of the mean square, after bias correction.</param>
public sealed record AdamRestOptions(double Ratio = 0.3, double Beta1 = 0.8, double Beta2 = 0.98, double Epsilon = 1e-10)
{
    internal Rule Rule(double learningRate) => new AdamSettings(Beta1, Beta2, Epsilon).Rule(learningRate * Ratio);

    internal void Validate(string name)
    {
        OptimizerOptions.Require(Ratio > 0, $"{name}.ratio", Ratio, "positive");
        OptimizerOptions.RequireBeta(Beta1, $"{name}.beta1");
        OptimizerOptions.RequireBeta(Beta2, $"{name}.beta2");
        OptimizerOptions.RequireEpsilon(Epsilon, $"{name}.epsilon");
    }
}
