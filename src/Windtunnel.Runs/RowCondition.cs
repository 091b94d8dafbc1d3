using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;

namespace Windtunnel.Runs;

/// <summary>A condition on one column of a table, such as <c>status=completed</c>, <c>val_loss&lt;3.2</c> or <c>name~llama</c> (contains).</summary>
public sealed partial class RowCondition
{
    private readonly string _condition, _relation, _text;

    private RowCondition(string condition, string column, string relation, string text) =>
        (_condition, Column, _relation, _text) = (condition, column, relation, text);

    /// <summary>The column that is compared.</summary>
    public string Column { get; }

    /// <summary>Reads <c>column=value</c>, with one of <c>= != &lt; &lt;= &gt; &gt;= ~</c>.</summary>
    /// <exception cref="ValidationException">It cannot be read.</exception>
    public static RowCondition Parse(string condition)
    {
        Match match = Condition().Match(condition);
        return match.Success
            ? new RowCondition(condition, match.Groups[1].Value, match.Groups[2].Value, match.Groups[3].Value)
            : throw new ValidationException($"'{condition}' is not a condition; write column=value, with one of = != < <= > >= ~");
    }

    /// <summary>Whether a value of the column meets the condition; no value meets none.</summary>
    /// <exception cref="ValidationException">A number is compared with text.</exception>
    public bool Holds(IComparable? value) => value is not null && (_relation == "~"
        ? value.ToString()!.Contains(_text, StringComparison.OrdinalIgnoreCase)
        : Holds(Compare(value)));

    private int Compare(IComparable value)
    {
        return value switch
        {
            string name => string.CompareOrdinal(name, _text),
            DateTimeOffset time when DateTimeOffset.TryParse(_text, null, System.Globalization.DateTimeStyles.AssumeUniversal, out DateTimeOffset other) => time.CompareTo(other),
            long or double when double.TryParse(_text, out double number) => Convert.ToDouble(value).CompareTo(number),
            _ => throw new ValidationException($"'{_condition}': '{_text}' cannot be compared with {value}"),
        };
    }

    private bool Holds(int order) => _relation switch
    {
        "=" => order == 0,
        "!=" => order != 0,
        "<" => order < 0,
        "<=" => order <= 0,
        ">" => order > 0,
        _ => order >= 0,
    };

    [GeneratedRegex(@"\A\s*([A-Za-z_][A-Za-z0-9_./-]*)\s*(=|!=|<=|>=|<|>|~)\s*([^=].*?)\s*\z")]
    private static partial Regex Condition();
}
