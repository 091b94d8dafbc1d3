using System.Text;

namespace Windtunnel.Laws.Figures;

/// <summary>
/// Colours and type. Every figure carries the same style sheet, so that many can stand in one page; colours are said plainly and
/// not by custom properties, which programs other than browsers ignore.
/// </summary>
internal static class Theme
{
    public const double TitleSize = 14, LabelSize = 12, TickSize = 11;

    /// <summary>How many categories and steps of the ramp there are.</summary>
    public const int Categories = 7, Steps = 9;

    // Okabe and Ito's colours that stand out from white; lighter ones of the same hues on black.
    private static readonly string[] s_light = ["#0072b2", "#d55e00", "#00875f", "#b3528c", "#a67100", "#2f8fc4", "#5b5f66"];
    private static readonly string[] s_dark = ["#5cb8ee", "#ff8f4f", "#2fd0a0", "#e9a3cb", "#f0bd45", "#a5d8f7", "#b9bfc7"];

    // Matplotlib's plasma (van der Walt and Smith), without the end that vanishes in the background.
    private static readonly string[] s_lightRamp = ["#0d0887", "#3d049b", "#6600a7", "#8a0da5", "#aa2395", "#c43e7f", "#d8576b", "#e76f5a", "#ee7b51"];
    private static readonly string[] s_darkRamp = ["#b93db0", "#cc4f9c", "#dc5e88", "#ea7076", "#f58463", "#fb9b51", "#feb43f", "#fbd02f", "#f0f04a"];

    public static string StyleSheet { get; } = Build();

    private static string Build()
    {
        StringBuilder css = new("""

            .wt{max-width:100%;height:auto;font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Liberation Sans",sans-serif}
            .wt-title{font-size:14px;font-weight:600}.wt-head{font-size:12px;font-weight:600}.wt-label{font-size:12px}
            .wt-tick,.wt-legend,.wt-note{font-size:11px}.wt-up{font-size:8.5px}
            .wt-note{paint-order:stroke;stroke-width:3px;stroke-linejoin:round}
            .wt-mark{fill:currentColor;stroke:currentColor}.wt-line{fill:none;stroke:currentColor;stroke-linejoin:round;stroke-linecap:round}

            """);
        Colours(css, "#fff", "#1f2328", "#59636e", "#e4e7eb", "#8b949e", s_light, s_lightRamp);
        css.Append("@media screen and (prefers-color-scheme:dark){\n");
        Colours(css, "#14171c", "#e8eaed", "#a3acb7", "#2b3037", "#6b7480", s_dark, s_darkRamp);
        return css.Append("}\n").ToString();
    }

    private static void Colours(StringBuilder css, string paper, string ink, string muted, string grid, string frame, string[] categories, string[] ramp)
    {
        css.Append($".wt-paper{{fill:{paper}}}.wt-box{{fill:{paper};stroke:{grid}}}.wt-title,.wt-head,.wt-note,.wt-legend{{fill:{ink}}}\n");
        css.Append($".wt-tick,.wt-label{{fill:{muted}}}.wt-grid{{stroke:{grid}}}.wt-frame{{stroke:{frame}}}.wt-note{{stroke:{paper}}}.wt-hollow{{fill:{paper};stroke:currentColor}}\n");
        css.Append($".wt-ink{{color:{ink}}}.wt-muted{{color:{muted}}}\n");
        css.Append(string.Concat(categories.Select((colour, i) => $".wt-c{i}{{color:{colour}}}"))).Append('\n');
        css.Append(string.Concat(ramp.Select((colour, i) => $".wt-r{i}{{color:{colour}}}"))).Append('\n');
    }
}

/// <summary>The colour of a mark, readable on light and dark ground. It is never the only thing that tells two marks apart.</summary>
public readonly record struct Tone
{
    private readonly string? _style;

    private Tone(string style) => _style = style;

    /// <summary>That of the text; the default.</summary>
    public static Tone Ink => default;

    /// <summary>Of what stands back.</summary>
    public static Tone Muted => new("wt-muted");

    /// <summary>The style class.</summary>
    internal string Style => _style ?? "wt-ink";

    /// <summary>One of seven colours that the colour-blind tell apart, for things without an order.</summary>
    public static Tone Category(int index) => new($"wt-c{(uint)index % Theme.Categories}");

    /// <summary>A colour for things with an order, such as sizes.</summary>
    /// <param name="index">The place of the thing.</param>
    /// <param name="count">How many things there are.</param>
    public static Tone Ordered(int index, int count) =>
        new($"wt-r{(count < 2 ? 2 : Math.Clamp((int)Math.Round((Theme.Steps - 1.0) * index / (count - 1)), 0, Theme.Steps - 1))}");
}
