using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Windtunnel.Laws.Curves;

namespace Windtunnel.Laws;

/// <summary>
/// The scaling law with learning-rate annealing, L(s) = L0 + A S1(s)^-alpha - C S2(s): S1 is the area under the learning rate, S2 the
/// annealing (<see cref="LearningRateSequence.Annealing"/>). With model size: L0 + A S1^-alpha + B N^-beta - C S2 N^gamma.
/// </summary>
/// <remarks>
/// Two relatives are special cases: with lambda = 0, S2 is the rate lost so far (the linear law of Luo et al. 2025); with C = 0 the
/// schedule matters through its area only. It predicts; it must not choose a schedule, since its best one holds the peak and drops to zero.
/// </remarks>
/// <param name="Lambda">How much of the annealing's momentum is left after one update; 1/(1 - lambda) updates is its reach.</param>
/// <param name="Warmup">How the warm-up counts. The paper counts it at the peak; where it is a large share of the run the ramp fits better.</param>
/// <param name="Size">Whether the number of parameters enters (equation 7).</param>
public sealed record AnnealingLaw(double Lambda = 0.999, WarmupHandling Warmup = WarmupHandling.Ramp, bool Size = false) : CurveLaw
{
    private static readonly Parameter[] s_plain =
    [
        Parameter.Coefficient("L0", "nats/token"), Parameter.Coefficient("A"), Parameter.Coefficient("C"),
        Parameter.Shape("alpha", 0.01, 3, 0.15, 0.5, 1),
    ];

    private static readonly Parameter[] s_sized =
    [
        Parameter.Coefficient("L0", "nats/token"), Parameter.Coefficient("A"), Parameter.Coefficient("B"), Parameter.Coefficient("C"),
        Parameter.Shape("alpha", 0.01, 3, 0.2, 0.5, 1), Parameter.Shape("beta", 0.01, 2, 0.1, 0.3, 0.7), Parameter.Shape("gamma", -0.5, 1, 0, 0.2),
    ];

    /// <summary>The values of lambda worth a scan (Luo et al. 2025): reaches of 20 to 2,000 updates.</summary>
    public static IReadOnlyList<double> LambdaGrid { get; } = [0.95, 0.99, 0.995, 0.999, 0.9995];

    /// <inheritdoc/>
    public override string Title => "loss curve under any learning-rate schedule";

    /// <inheritdoc/>
    public override string Formula => (Size ? "L = L0 + A S1^-alpha + B N^-beta - C S2 N^gamma (N in millions)" : "L = L0 + A S1^-alpha - C S2")
        + $", lambda = {Lambda}";

    /// <inheritdoc/>
    public override string Source => $"Tissue, Wang and Wang 2024, equation {(Size ? 7 : 1)}; N: non-embedding parameters";

    /// <inheritdoc/>
    public override bool NeedsParameters => Size;

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => Size ? s_sized : s_plain;

    /// <inheritdoc/>
    public override CurveColumns At(LearningRateSequence rates, IReadOnlyList<int> steps, double parameters)
    {
        if (Lambda is not (>= 0 and < 1))
        {
            throw new ValidationException($"law.lambda: {Lambda} must be at least 0 and below 1");
        }

        double[] areas = rates.Areas(steps, Warmup), annealing = rates.Annealing(steps, Lambda, Warmup);
        double millions = parameters / 1e6;
        return Size ? Sized : Plain;

        void Plain(ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
        {
            derivatives.Clear();
            for (int row = 0; row < areas.Length; row++)
            {
                Span<double> at = columns.Slice(row * 3, 3);
                at[0] = 1;
                at[1] = PowerColumn.Of(areas[row], shapes[0], out double byAlpha);
                at[2] = -annealing[row];
                if (!derivatives.IsEmpty)
                {
                    derivatives[(row * 3) + 1] = byAlpha;
                }
            }
        }

        void Sized(ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
        {
            double ofSize = PowerColumn.Of(millions, shapes[1], out double byBeta);
            double gain = PowerColumn.Of(millions, -shapes[2], out double byGamma);
            derivatives.Clear();
            for (int row = 0; row < areas.Length; row++)
            {
                Span<double> at = columns.Slice(row * 4, 4);
                at[0] = 1;
                at[1] = PowerColumn.Of(areas[row], shapes[0], out double byAlpha);
                at[2] = ofSize;
                at[3] = -annealing[row] * gain;
                if (!derivatives.IsEmpty)
                {
                    Span<double> slopes = derivatives.Slice(row * 12, 12);
                    slopes[1] = byAlpha;
                    slopes[4 + 2] = byBeta;
                    slopes[8 + 3] = annealing[row] * byGamma;
                }
            }
        }
    }
}
