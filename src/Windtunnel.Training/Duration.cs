using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Windtunnel.Training;

/// <summary>
/// A length of training: <c>500</c> or <c>"500 steps"</c>, <c>"20m tokens"</c>, or a fraction of the run, <c>0.1</c> or <c>"10%"</c>.
/// Plain numbers below 1 are fractions, others are steps.
/// </summary>
/// <param name="Value">The number.</param>
/// <param name="Unit">What it counts.</param>
[JsonConverter(typeof(Converter))]
public sealed record Duration(double Value, DurationUnit Unit)
{
    /// <summary>No time at all.</summary>
    public static Duration Zero { get; } = new(0, DurationUnit.Steps);

    /// <summary>A number of steps.</summary>
    public static Duration OfSteps(long steps) => new(steps, DurationUnit.Steps);

    /// <summary>A share of the run.</summary>
    public static Duration OfRun(double fraction) => new(fraction, DurationUnit.Fraction);

    /// <summary>In optimizer steps, rounded to the nearest; at least one unless the duration is zero.</summary>
    /// <param name="tokensAStep">Tokens of one optimizer step.</param>
    /// <param name="totalSteps">The length of the run.</param>
    public long Steps(long tokensAStep, long totalSteps)
    {
        double steps = Unit switch
        {
            DurationUnit.Steps => Value,
            DurationUnit.Tokens => Value / tokensAStep,
            _ => Value * totalSteps,
        };
        return Value == 0 ? 0 : Math.Max(1, (long)Math.Round(steps));
    }

    /// <summary>Reads a duration.</summary>
    /// <exception cref="ValidationException">It is none.</exception>
    public static Duration Parse(string text)
    {
        string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (words is [var number, .. var rest] && rest.Length < 2)
        {
            bool percent = number.EndsWith('%');
            (string digits, double unit) = char.ToLowerInvariant(number[^1]) switch
            {
                'k' => (number[..^1], 1e3),
                'm' => (number[..^1], 1e6),
                'b' => (number[..^1], 1e9),
                '%' => (number[..^1], 0.01),
                _ => (number, 1),
            };
            if (double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value >= 0 && value * unit < 1e18)
            {
                value *= unit;
                DurationUnit? kind = rest is [var word]
                    ? word.TrimEnd('s') switch { "step" when !percent => DurationUnit.Steps, "token" when !percent => DurationUnit.Tokens, _ => null }
                    : percent || (value < 1 && value > 0) ? DurationUnit.Fraction : DurationUnit.Steps;
                if (kind is { } found && (found != DurationUnit.Fraction || value <= 1) && (found == DurationUnit.Fraction || value == Math.Floor(value)))
                {
                    return new Duration(value, found);
                }
            }
        }

        throw new ValidationException($"'{text}' is not a duration such as 500, 500 steps, 20m tokens, 0.1 or 10%");
    }

    /// <inheritdoc/>
    public override string ToString() => Unit switch
    {
        DurationUnit.Steps => Value.ToString(CultureInfo.InvariantCulture),
        DurationUnit.Tokens => $"{Value.ToString(CultureInfo.InvariantCulture)} tokens",
        _ => Value == 1 ? "100%" : Value.ToString(CultureInfo.InvariantCulture),
    };

    private sealed class Converter : JsonConverter<Duration>
    {
        public override Duration Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            string text = reader.TokenType switch
            {
                JsonTokenType.String => reader.GetString() ?? "",
                JsonTokenType.Number => reader.GetDouble().ToString(CultureInfo.InvariantCulture),
                _ => throw new JsonException("expected a duration such as 500, 20m tokens or 10%"),
            };
            try
            {
                return Parse(text);
            }
            catch (ValidationException error)
            {
                throw new JsonException(error.Message, error);
            }
        }

        public override void Write(Utf8JsonWriter writer, Duration value, JsonSerializerOptions options)
        {
            if (value.Unit == DurationUnit.Tokens || value is { Unit: DurationUnit.Fraction, Value: 1 })
            {
                writer.WriteStringValue(value.ToString());
            }
            else
            {
                writer.WriteNumberValue(value.Value);
            }
        }
    }
}

/// <summary>What a <see cref="Duration"/> counts.</summary>
public enum DurationUnit
{
    /// <summary>Optimizer steps.</summary>
    Steps,

    /// <summary>Training tokens.</summary>
    Tokens,

    /// <summary>A share of the whole run.</summary>
    Fraction,
}
