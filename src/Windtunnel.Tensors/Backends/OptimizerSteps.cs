namespace Windtunnel.Tensors.Backends;

/// <summary>
/// Where a rule's direction u goes: y = Keep y + Scale u. Weights move with Keep = 1 - rate decay and Scale = -rate; with Keep 0
/// y is overwritten, and may be the gradients themselves.
/// </summary>
/// <param name="Keep">What remains of y.</param>
/// <param name="Scale">Multiplies the direction.</param>
/// <param name="GradScale">Multiplies the gradients as they are read (clipping).</param>
public readonly record struct Destination(float Keep, float Scale, float GradScale);

/// <summary>The numbers of <see cref="Backend.Momentum"/>: u = MomentumPart m + GradPart g of the old m, then m = Decay m + Gain g.</summary>
/// <param name="MomentumPart">Of the old momentum in the direction.</param>
/// <param name="GradPart">Of the gradient in the direction.</param>
/// <param name="Decay">Of the momentum.</param>
/// <param name="Gain">Of the gradient in the new momentum.</param>
/// <param name="Sign">Whether the direction is the sign of that sum, 0 for 0.</param>
public readonly record struct MomentumStep(float MomentumPart, float GradPart, float Decay, float Gain, bool Sign)
{
    /// <summary>Heavy-ball momentum m = mu m + g, or the average m = mu m + (1 - mu) g; the direction is m, or mu m + gain g beyond it (Nesterov).</summary>
    public static MomentumStep Of(double mu, bool average, bool nesterov, bool sign = false)
    {
        double gain = average ? 1 - mu : 1;
        return nesterov
            ? new((float)(mu * mu), (float)((mu * gain) + gain), (float)mu, (float)gain, sign)
            : new((float)mu, (float)gain, (float)mu, (float)gain, sign);
    }
}

/// <summary>
/// The numbers of <see cref="Backend.Adam"/>: m = Beta1 m + (1 - Beta1) g, v = Beta2 v + (1 - Beta2) g^2,
/// u = (MomentScale m + GradScale g) / (sqrt(SquareScale v) + Epsilon).
/// </summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="MomentScale">Bias correction of the first moment.</param>
/// <param name="GradPart">The gradient's own part, for Nesterov; else 0.</param>
/// <param name="SquareScale">Bias correction of the second moment.</param>
/// <param name="Epsilon">Added outside the root, after bias correction.</param>
public readonly record struct AdamStep(float Beta1, float Beta2, float MomentScale, float GradPart, float SquareScale, float Epsilon);

/// <summary>The numbers of <see cref="Backend.AdEMAMix"/>: u = (FastScale m1 + SlowScale m2) / (sqrt(SquareScale v) + Epsilon).</summary>
/// <param name="Beta1">Decay of the fast mean.</param>
/// <param name="Beta2">Decay of the mean square.</param>
/// <param name="Beta3">Decay of the slow mean.</param>
/// <param name="FastScale">Bias correction of the fast mean.</param>
/// <param name="SlowScale">Weight of the slow mean.</param>
/// <param name="SquareScale">Bias correction of the mean square.</param>
/// <param name="Epsilon">Added outside the root.</param>
public readonly record struct AdEMAMixStep(
    float Beta1, float Beta2, float Beta3, float FastScale, float SlowScale, float SquareScale, float Epsilon);

/// <summary>The numbers of <see cref="Backend.Sophia"/>: m = Beta m + (1 - Beta) g, u = clip(MomentScale m / max(HessianScale h, Epsilon), -1, 1).</summary>
/// <param name="Beta">Decay of the momentum.</param>
/// <param name="MomentScale">Bias correction of the momentum.</param>
/// <param name="HessianScale">Multiplies the diagonal of the Hessian.</param>
/// <param name="Epsilon">The smallest denominator.</param>
public readonly record struct SophiaStep(float Beta, float MomentScale, float HessianScale, float Epsilon);

/// <summary>The numbers of <see cref="Backend.ScheduleFree"/>.</summary>
/// <param name="Rate">The applied rate.</param>
/// <param name="Interpolation">How far the weights are from z towards the average.</param>
/// <param name="AverageWeight">The weight of the newest z in the average.</param>
/// <param name="Beta2">Decay of the mean square.</param>
/// <param name="SquareScale">Its bias correction.</param>
/// <param name="Epsilon">Added outside the root.</param>
/// <param name="WeightDecay">Decay of the weights, as a part of the gradient step.</param>
/// <param name="GradScale">Multiplies the gradients as they are read (clipping).</param>
public readonly record struct ScheduleFreeStep(
    float Rate, float Interpolation, float AverageWeight, float Beta2, float SquareScale, float Epsilon, float WeightDecay, float GradScale);
