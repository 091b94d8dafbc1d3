using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;

namespace Windtunnel.Experiments.Ladders;

/// <summary>A size of a ladder, and how long it is trained.</summary>
/// <param name="Size">A value of <c>model.size</c>, or settings of the model; of the run itself when null.</param>
/// <param name="Lengths">From the shortest; tokens, or multiples of the non-embedding parameters. None for a target.</param>
/// <param name="ByTokens">Which of both.</param>
internal sealed record Rung(JsonNode? Size, IReadOnlyList<double> Lengths, bool ByTokens)
{
    /// <summary>A size as a ladder's file has it: with lengths of its own, or with the ladder's.</summary>
    /// <exception cref="ValidationException">It has no lengths, or such that are none.</exception>
    public static Rung Of(JsonNode size, LadderOptions options)
    {
        if (size is not JsonObject shape || shape["tokens"] is not { } own)
        {
            return options.Tokens is { } tokens ? new Rung(size, Checked(tokens, "tokens"), true) : new Rung(size, Checked(options.Multipliers ?? [], "multipliers"), false);
        }

        JsonObject rest = shape.DeepClone().AsObject();
        rest.Remove("tokens");
        return own is JsonArray array && array.All(each => each is JsonValue value && value.TryGetValue(out double _))
            ? new Rung(rest, Checked([.. array.Select(each => each!.GetValue<double>())], "tokens"), true)
            : throw new ValidationException("tokens must be a list of numbers, such as [1e6, 2e6, 4e6]");
    }

    /// <summary>The tokens of a length.</summary>
    public double TokensOf(double length, long parameters) => ByTokens ? length : length * parameters;

    private static double[] Checked(IReadOnlyList<double> lengths, string name)
    {
        Require(lengths.Count > 0, "names none; such as multipliers: [5, 10, 20], tokens for each non-embedding parameter");
        Require(lengths.All(length => length > 0 && double.IsFinite(length)), "must be positive numbers");
        Require(lengths.Distinct().Count() == lengths.Count, "must be different ones");
        return [.. lengths.Order()];

        void Require(bool holds, string problem)
        {
            if (!holds)
            {
                throw new ValidationException($"{name} {problem}");
            }
        }
    }
}
