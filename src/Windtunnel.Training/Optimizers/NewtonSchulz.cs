using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// Orthogonalises a matrix by Newton-Schulz iterations: X = M / (scale |M| + epsilon), then X = a X + (b A + c A A) X with
/// A = X X^T on the smaller side. Each step maps every singular value s to a s + b s^3 + c s^5, which sends them to about 1.
/// A and A A are symmetric, so each costs half a product. Where one side is much the longer, several steps are carried out on A
/// alone and X = (p I + N) X at their end: the same in exact arithmetic at fewer operations (docs/numerics.md).
/// </summary>
/// <param name="backend">Where the matrices are.</param>
/// <param name="steps">How many iterations.</param>
/// <param name="epsilon">Added to the norm: what a zero matrix is divided by.</param>
/// <param name="coefficients">The published set of a, b, c.</param>
/// <param name="continuation">What follows the last of them; null for what their authors do.</param>
public sealed class NewtonSchulz(
    Backend backend, int steps = 5, double epsilon = 1e-7, NewtonSchulzCoefficients coefficients = NewtonSchulzCoefficients.Keller,
    NewtonSchulzContinuation? continuation = null) : IDisposable
{
    // Below, a product is too short to gain.
    private const int GramSideMin = 64;

    // N nearly cancels p on the largest singular values, so p is what rounding errors grow by: X is brought up to date before.
    private const float IdentityMax = 1000;

    private readonly Tape _scratch = new(backend, recording: false);
    private readonly double _normScale = coefficients switch
    {
        NewtonSchulzCoefficients.PolarExpress101 => 1.01,
        NewtonSchulzCoefficients.PolarExpress102 => 1.02,
        _ => 1,
    };

    /// <summary>The nearly orthogonal matrix of a matrix [rows, columns]; valid until the next call.</summary>
    public Tensor Orthogonalize(Tensor matrix)
    {
        _scratch.Reset();
        bool tall = matrix.Shape.Rows > matrix.Shape.Columns;
        int side = Math.Min(matrix.Shape.Rows, matrix.Shape.Columns);
        Tensor x = _scratch.New(matrix.Shape), next = _scratch.New(matrix.Shape);
        Tensor gram = _scratch.New(new Shape(side, side)), polynomial = _scratch.New(new Shape(side, side));
        double norm = (_normScale * Math.Sqrt(backend.SumOfSquares(matrix))) + epsilon;
        backend.Add(x, matrix, (float)(1 / norm), accumulate: false);
        bool stays = side >= GramSideMin && 2 * matrix.Shape.Count >= 3L * side * side;
        Tensor[] squares = [gram, polynomial, .. stays ? Enumerable.Range(0, 3).Select(_ => _scratch.New(gram.Shape)) : []];
        for (int step = 0; step < steps;)
        {
            backend.Gram(gram, x, tall);
            (Tensor symmetric, float identity) = Polynomial(squares, stays, ref step);
            backend.Add(next, x, identity, accumulate: false);
            backend.MatMul(next, tall ? x : symmetric, false, tall ? symmetric : x, false, accumulate: true);
            (x, next) = (next, x);
        }

        return x;
    }

    // N and p of one step, or of as many as p allows. With B = b A + c A A a step makes p I + N into (a I + B) (p I + N) and A into
    // A (a I + B)^2: polynomials of the first A, which commute, so that their products are symmetric.
    private (Tensor Symmetric, float Identity) Polynomial(Tensor[] squares, bool stays, ref int step)
    {
        (Tensor gram, Tensor polynomial) = (squares[0], squares[1]);
        Tensor? n = null;
        float p = 1;
        while (true)
        {
            (float a, float b, float c) = At(step++);
            backend.Add(polynomial, gram, b, accumulate: false);
            if (c != 0)
            {
                backend.Gram(polynomial, gram, transposeA: false, c, accumulate: true);
            }

            bool last = !stays || step == steps || Math.Abs(p * a * At(step).A) > IdentityMax;
            if (n is null && last)
            {
                return (polynomial, a);
            }

            (Tensor next, Tensor product) = (n == squares[2] ? squares[3] : squares[2], squares[4]);
            backend.Add(next, polynomial, p, accumulate: false);
            if (n is not null)
            {
                backend.Add(next, n, a, accumulate: true);
                backend.SymmetricProduct(next, polynomial, n, accumulate: true);
            }

            (n, p) = (next, a * p);
            if (last)
            {
                return (n, p);
            }

            backend.SymmetricProduct(product, gram, polynomial);
            backend.Add(gram, gram, a * a, accumulate: false);
            backend.Add(gram, product, 2 * a, accumulate: true);
            backend.SymmetricProduct(gram, product, polynomial, accumulate: true);
        }
    }

    /// <summary>The coefficients of a step, counted from 0.</summary>
    public (float A, float B, float C) At(int step)
    {
        ReadOnlySpan<double> set = Table(coefficients);
        int count = set.Length / 3;
        int row = (continuation ?? Default(coefficients)) == NewtonSchulzContinuation.Repeat ? Math.Min(step, count - 1) : step % count;
        return ((float)set[3 * row], (float)set[(3 * row) + 1], (float)set[(3 * row) + 2]);
    }

    /// <inheritdoc/>
    public void Dispose() => _scratch.Dispose();

    private static NewtonSchulzContinuation Default(NewtonSchulzCoefficients coefficients) => coefficients switch
    {
        NewtonSchulzCoefficients.PolarExpress101 or NewtonSchulzCoefficients.PolarExpress102 or NewtonSchulzCoefficients.Cans
            or NewtonSchulzCoefficients.DeepSeekV4 => NewtonSchulzContinuation.Repeat,
        _ => NewtonSchulzContinuation.Cycle,
    };

    private static ReadOnlySpan<double> Table(NewtonSchulzCoefficients coefficients) => coefficients switch
    {
        NewtonSchulzCoefficients.Keller => [3.4445, -4.7750, 2.0315],
        NewtonSchulzCoefficients.Quintic5 =>
        [
            4.0848, -6.8946, 2.9270,
            3.9505, -6.3029, 2.6377,
            3.7418, -5.5913, 2.3037,
            2.8769, -3.1427, 1.2046,
            2.8366, -3.0525, 1.2012,
        ],
        NewtonSchulzCoefficients.PolarExpress101 =>
        [
            8.205160414005574, -22.90193498705605, 16.460724910180314,
            4.066395159942775, -2.8611540867551426, 0.5183995226694741,
            3.9095949044379155, -2.823351735039516, 0.5250369769390025,
            3.2855640171986153, -2.415301959635945, 0.48529406552790866,
            2.277873287083977, -1.619821765265441, 0.39848078704168355,
            1.8725756512746514, -1.2307042574884297, 0.35851616209511666,
            1.856437109755889, -1.2132392819185351, 0.35679978941375945,
            1.875, -1.25, 0.375,
        ],
        NewtonSchulzCoefficients.PolarExpress102 =>
        [
            8.156554524902461, -22.48329292557795, 15.878769915207462,
            4.042929935166739, -2.808917465908714, 0.5000178451051316,
            3.8916678022926607, -2.772484153217685, 0.5060648178503393,
            3.285753657755655, -2.3681294933425376, 0.46449024233003106,
            2.3465413258596377, -1.7097828382687081, 0.42323551169305323,
        ],
        NewtonSchulzCoefficients.Cans =>
        [
            8.4703, -25.1081, 18.6293,
            4.1828, -3.1087, 0.5806,
            3.9619, -2.9541, 0.5630,
            3.2866, -2.4647, 0.5074,
            2.2737, -1.6447, 0.4162,
        ],
        NewtonSchulzCoefficients.Aol =>
        [
            4.0098, -7.0585, 2.4635,
            3.4585, -5.5479, 2.5959,
            2.7573, -3.2939, 1.4254,
            2.7215, -3.0494, 1.3169,
        ],
        NewtonSchulzCoefficients.DeepSeekV4 =>
        [
            3.4445, -4.7750, 2.0315,
            3.4445, -4.7750, 2.0315,
            3.4445, -4.7750, 2.0315,
            3.4445, -4.7750, 2.0315,
            3.4445, -4.7750, 2.0315,
            3.4445, -4.7750, 2.0315,
            3.4445, -4.7750, 2.0315,
            3.4445, -4.7750, 2.0315,
            2, -1.5, 0.5,
            2, -1.5, 0.5,
        ],
        NewtonSchulzCoefficients.Cubic5 =>
        [
            3.3656576, -3.3420992, 0,
            2.5744352, -1.4957376, 0,
            2.5368962, -1.4312570, 0,
            2.4418906, -1.2764040, 0,
            2.2230472, -0.9630650, 0,
        ],
        _ => throw new ArgumentOutOfRangeException(nameof(coefficients)),
    };
}

/// <summary>Published coefficients of <see cref="NewtonSchulz"/>, one triple a step.</summary>
public enum NewtonSchulzCoefficients
{
    /// <summary>One quintic for every step (Jordan et al. 2024): singular values of 0.7 to 1.2 that never settle.</summary>
    Keller,

    /// <summary>Five quintics found by search (Cesista et al. 2025).</summary>
    Quintic5,

    /// <summary>Polar Express (Amsel et al. 2025) as published: greedily optimal quintics, the norm times 1.01; converges.</summary>
    PolarExpress101,

    /// <summary>Polar Express for five steps, the norm times 1.02.</summary>
    PolarExpress102,

    /// <summary>Chebyshev-optimal quintics, CANS (Grishina et al. 2025).</summary>
    Cans,

    /// <summary>Quintics for matrices scaled by almost-orthogonal layers, AOL (Boissin et al. 2025).</summary>
    Aol,

    /// <summary>Eight steps of Keller's quintic, then two that converge to 1 (DeepSeek-V4).</summary>
    DeepSeekV4,

    /// <summary>Five cubics, which leave out the square of the Gram matrix.</summary>
    Cubic5,
}

/// <summary>What follows the last coefficients of a set.</summary>
public enum NewtonSchulzContinuation
{
    /// <summary>The last ones again.</summary>
    Repeat,

    /// <summary>The set from its start.</summary>
    Cycle,
}

/// <summary>Options of <see cref="NewtonSchulz"/>.</summary>
/// <param name="Steps">Iterations.</param>
/// <param name="Epsilon">Added to the Frobenius norm.</param>
/// <param name="Coefficients">The published set.</param>
/// <param name="Continuation">What follows its last coefficients; null for what the authors do.</param>
public sealed record NewtonSchulzOptions(
    int Steps = 5, double Epsilon = 1e-7, NewtonSchulzCoefficients Coefficients = NewtonSchulzCoefficients.Keller,
    NewtonSchulzContinuation? Continuation = null)
{
    internal NewtonSchulz Build(Backend backend) => new(backend, Steps, Epsilon, Coefficients, Continuation);

    internal void Validate(string name)
    {
        OptimizerOptions.Require(Steps is >= 1 and <= 50, $"{name}.steps", Steps, "between 1 and 50");
        OptimizerOptions.RequireEpsilon(Epsilon, $"{name}.epsilon");
    }
}
