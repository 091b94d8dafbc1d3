using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Laws.Planning;

/// <summary>Accelerators of one kind that train one model together.</summary>
/// <param name="Count">How many.</param>
/// <param name="Utilisation">The share of their peak that the model's operations reach (MFU); 0.3 to 0.5 is usual.</param>
public sealed record Cluster(Accelerator Accelerator, Precision Precision, int Count = 1, double Utilisation = 0.4)
{
    /// <summary>Model operations a second, all together.</summary>
    public double FlopsPerSecond => Count * Accelerator.Peak(Precision) * Utilisation;

    /// <summary>How long so many model operations take, in seconds.</summary>
    public double Seconds(double flops) => flops / FlopsPerSecond;

    /// <summary>What they cost in hours of one accelerator.</summary>
    public double AcceleratorHours(double flops) => Seconds(flops) * Count / 3600;

    internal void Validate()
    {
        if (Count is < 1 or > 1_000_000 || Utilisation is not (> 0 and <= 1))
        {
            throw new ValidationException(Utilisation is > 0 and <= 1
                ? $"{Count} accelerators: give 1 to 1000000"
                : $"a utilisation (MFU) of {Utilisation} must lie above 0 and not above 1; 0.4 is usual");
        }
    }
}

/// <summary>How much training a plan may spend.</summary>
/// <param name="Flops">Model operations.</param>
/// <param name="Cluster">Where they run, where that is known.</param>
/// <param name="Price">Of an hour of one accelerator, in the user's currency; null where unknown.</param>
public sealed record Budget(double Flops, Cluster? Cluster = null, double? Price = null)
{
    // From a model that a pocket calculator could train to all that has ever been computed.
    private const double FlopsMin = 1e6, FlopsMax = 1e32;

    /// <summary>A number of model operations.</summary>
    /// <exception cref="ValidationException">A figure is out of range.</exception>
    public static Budget OfFlops(double flops, Cluster? cluster = null, double? price = null) => Checked(new Budget(flops, cluster, price));

    /// <summary>Hours of one accelerator: 8 of them for a day are 192.</summary>
    /// <exception cref="ValidationException">A figure is out of range.</exception>
    public static Budget OfHours(double hours, Cluster cluster, double? price = null) =>
        hours > 0 ? OfFlops(hours * 3600 * cluster.FlopsPerSecond / cluster.Count, cluster, price) : throw new ValidationException($"{hours} accelerator-hours: must be more than none");

    /// <summary>Money, at the price of an hour of one accelerator.</summary>
    /// <exception cref="ValidationException">A figure is out of range.</exception>
    public static Budget OfMoney(double money, double price, Cluster cluster) =>
        money > 0 && price > 0 ? OfHours(money / price, cluster, price) : throw new ValidationException($"{money} at {price} an hour: both must be positive");

    private static Budget Checked(Budget budget)
    {
        budget.Cluster?.Validate();
        return budget.Flops is not (>= FlopsMin and <= FlopsMax)
            ? throw new ValidationException($"a budget of {budget.Flops:G3} operations must lie between {FlopsMin:G3} and {FlopsMax:G3}")
            : budget.Price is not (null or > 0)
                ? throw new ValidationException($"a price of {budget.Price} an hour must be positive")
                : budget;
    }
}
