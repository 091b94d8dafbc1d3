namespace Windtunnel.Tests.Reference;

/// <summary>Double-precision twins of the optimizers' update rules. Weights and moments are updated in place.</summary>
public static class OptimizerTwin
{
    /// <summary>AdamW (Loshchilov and Hutter 2019, algorithm 2), decay coupled to the learning rate; step counts from 1.</summary>
    public static void AdamW(
        double[] weight, double[] grad, double[] first, double[] second, int step,
        double learningRate, double beta1, double beta2, double eps, double weightDecay)
    {
        for (int i = 0; i < weight.Length; i++)
        {
            first[i] = beta1 * first[i] + (1 - beta1) * grad[i];
            second[i] = beta2 * second[i] + (1 - beta2) * grad[i] * grad[i];
            double m = first[i] / (1 - Math.Pow(beta1, step));
            double v = second[i] / (1 - Math.Pow(beta2, step));
            weight[i] -= learningRate * (m / (Math.Sqrt(v) + eps) + weightDecay * weight[i]);
        }
    }

    /// <summary>
    /// Muon with Nesterov momentum (Jordan et al. 2024) on weight [rows, columns], each of <paramref name="parts"/> equal
    /// blocks of rows orthogonalised by itself and scaled by sqrt(max(1, rows / columns)) of the block.
    /// </summary>
    public static void Muon(
        double[] weight, double[] grad, double[] momentum, int rows, int columns,
        double learningRate, double beta, double weightDecay, int parts = 1, double eps = 1e-7)
    {
        for (int i = 0; i < grad.Length; i++)
        {
            momentum[i] = beta * momentum[i] + grad[i];
        }

        double[] nesterov = Twin.AddScaled(grad, momentum, beta);
        double scale = Math.Sqrt(Math.Max(1, (double)rows / parts / columns));
        double[] update = [.. nesterov.Chunk(grad.Length / parts).SelectMany(part => NewtonSchulz(part, rows / parts, columns, eps: eps))];
        for (int i = 0; i < weight.Length; i++)
        {
            weight[i] -= learningRate * (scale * update[i] + weightDecay * weight[i]);
        }
    }

    /// <summary>
    /// X = g / (|g| + eps), then <paramref name="steps"/> times X = a X + (b A + c A A) X with A = X X^T, on the wide
    /// orientation of g [rows, columns]: near the closest orthogonal matrix, with singular values of about 0.7 to 1.2.
    /// </summary>
    public static double[] NewtonSchulz(
        double[] g, int rows, int columns, int steps = 5, double a = 3.4445, double b = -4.7750, double c = 2.0315, double eps = 1e-7)
    {
        if (rows > columns)
        {
            return Twin.Transpose(NewtonSchulz(Twin.Transpose(g, rows, columns), columns, rows, steps, a, b, c, eps), columns, rows);
        }

        double norm = Twin.GlobalNorm([g]) + eps;
        double[] x = [.. g.Select(value => value / norm)];
        for (int step = 0; step < steps; step++)
        {
            double[] gram = Twin.MatmulNT(x, x, rows, rows, columns);
            double[] square = Twin.MatmulNN(gram, gram, rows, rows, rows);
            double[] polynomial = [.. gram.Zip(square, (first, second) => b * first + c * second)];
            x = [.. Twin.MatmulNN(polynomial, x, rows, columns, rows).Zip(x, (product, value) => a * value + product)];
        }

        return x;
    }
}
