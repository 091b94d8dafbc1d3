namespace Windtunnel.Laws.IsoFlop;

/// <summary>A run, or a point of its loss curve: so much compute spent on a model of so many parameters reached a loss.</summary>
/// <param name="Flops">C, by the same count as the size: tokens are C / 6N.</param>
/// <param name="Size">N.</param>
/// <param name="Loss">In nats a token.</param>
public readonly record struct ComputeRun(double Flops, double Size, double Loss);

/// <summary>The size that is best for a compute budget.</summary>
/// <param name="Flops">C.</param>
/// <param name="Size">N.</param>
/// <param name="Loss">The lowest loss, in nats a token.</param>
public readonly record struct ComputeOptimum(double Flops, double Size, double Loss);
