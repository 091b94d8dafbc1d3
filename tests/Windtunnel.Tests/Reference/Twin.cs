namespace Windtunnel.Tests.Reference;

/// <summary>
/// Double-precision twins of the engine's operations: the formula of each as plain loops, for tests to compare with.
/// Arrays are row-major. A qkv row holds [heads query heads | kvHeads key heads | kvHeads value heads] of headDim each.
/// </summary>
public static class Twin
{
    /// <summary>a [m, k] times b [k, n]: [m, n].</summary>
    public static double[] MatmulNN(double[] a, double[] b, int m, int n, int k)
    {
        double[] c = new double[m * n];
        for (int i = 0; i < m; i++)
        {
            for (int l = 0; l < k; l++)
            {
                for (int j = 0; j < n; j++)
                {
                    c[i * n + j] += a[i * k + l] * b[l * n + j];
                }
            }
        }

        return c;
    }

    /// <summary>a [m, k] times the transpose of b [n, k]: [m, n].</summary>
    public static double[] MatmulNT(double[] a, double[] b, int m, int n, int k) => MatmulNN(a, Transpose(b, n, k), m, n, k);

    /// <summary>The transpose of a [k, m] times b [k, n]: [m, n].</summary>
    public static double[] MatmulTN(double[] a, double[] b, int m, int n, int k) => MatmulNN(Transpose(a, k, m), b, m, n, k);

    /// <summary>x [rows, columns]: [columns, rows].</summary>
    public static double[] Transpose(double[] x, int rows, int columns)
    {
        double[] y = new double[x.Length];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                y[j * rows + i] = x[i * columns + j];
            }
        }

        return y;
    }

    /// <summary>x [R, inputs] times the transpose of weight [outputs, inputs], plus bias [outputs]: [R, outputs].</summary>
    public static double[] Linear(double[] x, double[] weight, double[]? bias, int inputs)
    {
        int rows = x.Length / inputs, outputs = weight.Length / inputs;
        double[] y = MatmulNT(x, weight, rows, outputs, inputs);
        for (int i = 0; bias is not null && i < y.Length; i++)
        {
            y[i] += bias[i % outputs];
        }

        return y;
    }

    /// <summary>
    /// scale * table[token] + positions[t], where t is the place of the token in its sequence of <paramref name="length"/>.
    /// tokens [B * T], table [V, width], positions [at least T, width] or none: [B * T, width].
    /// </summary>
    public static double[] Embedding(int[] tokens, double[] table, double[]? positions, int width, int length, double scale = 1)
    {
        double[] y = new double[tokens.Length * width];
        for (int r = 0; r < tokens.Length; r++)
        {
            for (int d = 0; d < width; d++)
            {
                double position = positions is null ? 0 : positions[r % length * width + d];
                y[r * width + d] = scale * table[tokens[r] * width + d] + position;
            }
        }

        return y;
    }

    /// <summary>(x - mean) / sqrt(variance + eps) * gain + bias over rows of <paramref name="width"/>.</summary>
    public static double[] LayerNorm(double[] x, double[] gain, double[] bias, int width, double eps)
    {
        double[] y = new double[x.Length];
        for (int at = 0; at < x.Length; at += width)
        {
            double[] row = x[at..(at + width)];
            double mean = row.Average();
            double variance = row.Average(value => (value - mean) * (value - mean));
            for (int d = 0; d < width; d++)
            {
                y[at + d] = (row[d] - mean) / Math.Sqrt(variance + eps) * gain[d] + bias[d];
            }
        }

        return y;
    }

    /// <summary>x / sqrt(mean(x^2) + eps) * gain over rows of <paramref name="width"/>.</summary>
    public static double[] RmsNorm(double[] x, double[] gain, int width, double eps)
    {
        double[] y = new double[x.Length];
        for (int at = 0; at < x.Length; at += width)
        {
            double meanSquare = x[at..(at + width)].Average(value => value * value);
            for (int d = 0; d < width; d++)
            {
                y[at + d] = x[at + d] / Math.Sqrt(meanSquare + eps) * gain[d];
            }
        }

        return y;
    }

    /// <summary>QK-norm: RMSNorm of each query head with queryGain [headDim] and each key head with keyGain; values unchanged.</summary>
    public static double[] HeadNorm(
        double[] qkv, double[] queryGain, double[] keyGain, int heads, int kvHeads, int headDim, double eps)
    {
        return MapHeads(qkv, heads, kvHeads, headDim, (head, _, values) =>
            head < heads + kvHeads ? RmsNorm(values, head < heads ? queryGain : keyGain, headDim, eps) : values);
    }

    /// <summary>
    /// Rotate-half RoPE of query and key heads: elements i and i + headDim / 2 turn by position * theta^(-2 i / headDim),
    /// where row r stands at position offset + r modulo <paramref name="length"/>; values unchanged.
    /// </summary>
    public static double[] Rotary(
        double[] qkv, int length, int heads, int kvHeads, int headDim, double theta, int offset = 0)
    {
        int half = headDim / 2;
        return MapHeads(qkv, heads, kvHeads, headDim, (head, row, x) =>
        {
            if (head >= heads + kvHeads)
            {
                return x;
            }

            double[] y = new double[headDim];
            for (int i = 0; i < half; i++)
            {
                double angle = (offset + row % length) * Math.Pow(theta, -2.0 * i / headDim);
                y[i] = x[i] * Math.Cos(angle) - x[i + half] * Math.Sin(angle);
                y[i + half] = x[i + half] * Math.Cos(angle) + x[i] * Math.Sin(angle);
            }

            return y;
        });
    }

    /// <summary>
    /// Causal softmax(q k / sqrt(headDim)) v inside each sequence of <paramref name="length"/> rows; query head h reads
    /// key-value head h / (heads / kvHeads). qkv [B * T, (heads + 2 kvHeads) headDim]: [B * T, heads * headDim].
    /// </summary>
    public static double[] Attention(double[] qkv, int length, int heads, int kvHeads, int headDim)
    {
        int width = (heads + 2 * kvHeads) * headDim, rows = qkv.Length / width;
        double[] y = new double[rows * heads * headDim];
        for (int row = 0; row < rows; row++)
        {
            int first = row - row % length;
            for (int head = 0; head < heads; head++)
            {
                int kvHead = head / (heads / kvHeads);
                double[] q = Head(row, head);
                double[] scores = new double[row - first + 1];
                for (int s = 0; s < scores.Length; s++)
                {
                    scores[s] = Dot(q, Head(first + s, heads + kvHead)) / Math.Sqrt(headDim);
                }

                double logSumExp = LogSumExp(scores);
                for (int s = 0; s < scores.Length; s++)
                {
                    double[] v = Head(first + s, heads + kvHeads + kvHead);
                    for (int e = 0; e < headDim; e++)
                    {
                        y[(row * heads + head) * headDim + e] += Math.Exp(scores[s] - logSumExp) * v[e];
                    }
                }
            }
        }

        return y;

        double[] Head(int row, int head) => qkv[(row * width + head * headDim)..(row * width + (head + 1) * headDim)];
    }

    /// <summary>GELU in its tanh form: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).</summary>
    public static double[] Gelu(double[] x) =>
        [.. x.Select(v => 0.5 * v * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v))))];

    /// <summary>silu(gate) * up, where a row is [gate | up] of <paramref name="width"/> each: [R, 2 width] to [R, width].</summary>
    public static double[] SwiGlu(double[] gateUp, int width)
    {
        double[] y = new double[gateUp.Length / 2];
        for (int i = 0; i < y.Length; i++)
        {
            int at = i / width * 2 * width + i % width;
            y[i] = gateUp[at] / (1 + Math.Exp(-gateUp[at])) * gateUp[at + width];
        }

        return y;
    }

    /// <summary>a + scale * b.</summary>
    public static double[] AddScaled(double[] a, double[] b, double scale) => [.. a.Zip(b, (x, y) => x + scale * y)];

    /// <summary>
    /// Mean over the targets that are not -1 of [cross-entropy + zLoss * logsumexp^2] of logits = logitScale * hidden head^T.
    /// hidden [R, width], head [V, width], targets [R]: nats.
    /// </summary>
    public static double CrossEntropy(
        double[] hidden, double[] head, int[] targets, int width, double logitScale = 1, double zLoss = 0)
    {
        double[] logits = Logits(hidden, head, width, logitScale);
        int vocabulary = head.Length / width, counted = 0;
        double sum = 0;
        for (int r = 0; r < targets.Length; r++)
        {
            if (targets[r] == -1)
            {
                continue;
            }

            double logSumExp = LogSumExp(logits[(r * vocabulary)..((r + 1) * vocabulary)]);
            sum += logSumExp - logits[r * vocabulary + targets[r]] + zLoss * logSumExp * logSumExp;
            counted++;
        }

        return sum / counted;
    }

    /// <summary>logitScale * hidden [R, width] times the transpose of head [V, width]: [R, V].</summary>
    public static double[] Logits(double[] hidden, double[] head, int width, double logitScale = 1) =>
        [.. Linear(hidden, head, null, width).Select(logit => logitScale * logit)];

    /// <summary>Sum of a * b: with a fixed b, the scalar whose gradient by a's inputs is the backward pass of upstream b.</summary>
    public static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    /// <summary>Euclidean norm of all elements of all arrays.</summary>
    public static double GlobalNorm(IEnumerable<double[]> arrays) => Math.Sqrt(arrays.Sum(x => Dot(x, x)));

    private static double LogSumExp(double[] x)
    {
        double max = x.Max();
        return max + Math.Log(x.Sum(value => Math.Exp(value - max)));
    }

    private static double[] MapHeads(
        double[] qkv, int heads, int kvHeads, int headDim, Func<int, int, double[], double[]> map)
    {
        int headsInRow = heads + 2 * kvHeads;
        return [.. qkv.Chunk(headDim).SelectMany((values, i) => map(i % headsInRow, i / headsInRow, values))];
    }
}
