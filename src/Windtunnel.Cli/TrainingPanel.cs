using System.Diagnostics;
using Spectre.Console;
using Windtunnel.Training;
using Windtunnel.Training.Checkpoints;
using Progress = Windtunnel.Runs.Progress;

namespace Windtunnel.Cli;

/// <summary>A panel on the terminal, redrawn in place a few times a second.</summary>
internal sealed class TrainingPanel : TrainingDisplay
{
    private const int WidthMax = 100;
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(200);

    private readonly RunConfig _config;
    private readonly StringWriter _text = new();
    private readonly IAnsiConsole _console;
    private readonly LossCurve _curve = new();
    private StepReport _last;
    private (long Step, double BitsPerByte)? _validated;
    private long _drawnAt, _savedStep;
    private int _lines;

    public TrainingPanel(RunConfig config)
    {
        _config = config;
        _console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.Yes, Out = new AnsiConsoleOutput(_text) });
    }

    public override void Validated(Progress at, IReadOnlyList<ValidationScore> scores)
    {
        _validated = scores.Count > 0 ? (at.Step, scores[0].BitsPerByte) : null;
        Draw();
    }

    public override void Saved(Checkpoint checkpoint)
    {
        _savedStep = checkpoint.Step;
        Draw();
    }

    public override void Noticed(string message)
    {
        _console.MarkupLineInterpolated($"[grey]{message.ReplaceLineEndings(" ")}[/]");
        int drawn = _lines;
        _lines = 0;
        Flush(drawn);
        Draw();
    }

    protected override void Show(in StepReport step)
    {
        if (step.At.Step <= _last.At.Step)
        {
            _curve.Clear(); // The run went back to a checkpoint.
        }

        _last = step;
        _curve.Add(step.LossNats);
        if (_drawnAt == 0 || Stopwatch.GetElapsedTime(_drawnAt) >= s_interval)
        {
            Draw();
        }
    }

    protected override void Close()
    {
        if (_lines > 0)
        {
            Draw();
            _lines = 0;
        }
    }

    private void Draw()
    {
        if (_last.TotalSteps == 0)
        {
            return;
        }

        _console.Profile.Width = AnsiConsole.Profile.Width;
        int width = Math.Min(AnsiConsole.Profile.Width, WidthMax), inside = Math.Max(8, width - 4);
        _console.Write(new Panel(new Rows(Bar(inside), Figures(), new Markup($"[blue]{_curve.Draw(inside)}[/]")))
        {
            Header = new PanelHeader($"[bold]{Markup.Escape(_config.Name)}[/]"),
            BorderStyle = new Style(Color.Grey),
            Border = BoxBorder.Rounded,
            Width = width,
        });
        int drawn = _lines;
        _lines = _text.GetStringBuilder().ToString().Count(c => c == '\n');
        Flush(drawn);
        _drawnAt = Stopwatch.GetTimestamp();
    }

    // One write, so that the terminal never shows half a panel.
    private void Flush(int linesAbove)
    {
        Console.Write((linesAbove > 0 ? $"\e[{linesAbove}F\e[J" : "") + _text);
        _text.GetStringBuilder().Clear();
    }

    private Markup Bar(int width)
    {
        double share = (double)_last.At.Step / _last.TotalSteps;
        string text = $" {_last.At.Step:N0} of {_last.TotalSteps:N0} steps {share,5:P0}";
        int length = Math.Max(0, width - text.Length), done = (int)(length * share);
        return new Markup($"[green]{new string('━', done)}[/][grey]{new string('━', length - done)}[/]{text}");
    }

    private Markup Figures()
    {
        double speed = _last.StepSeconds / StepSeconds;
        return new Markup(
            Cell("loss", $"{_last.LossNats:F4}") + Cell("learning rate", $"{_last.LearningRate:0.00e+00}") + Cell("tokens/s", $"{_last.TokensPerSecond * speed:N0}") + "\n"
            + Cell("smoothed", $"{_last.LossEma:F4}") + Cell("gradient norm", $"{_last.GradNorm:F3}") + Cell("of peak", $"{_last.ModelFlopUtilisation * speed:P0}") + "\n"
            + Cell("bits/byte", _validated is { } validated ? $"{validated.BitsPerByte:F4}" : "-")
            + Cell("last saved", _savedStep > 0 ? $"{_savedStep:N0}" : "-") + Cell("remaining", Remaining(_last)));

        static string Cell(string label, string value) => $"[grey]{label,-14}[/]{value,-11}";
    }

    /// <summary>A loss curve of a line's height: each point the mean of as many steps as make all of them fit.</summary>
    private sealed class LossCurve
    {
        private const int PointsMax = 2 * WidthMax;
        private const string Levels = "▁▂▃▄▅▆▇█";
        private readonly List<double> _points = [];
        private double _sum;
        private int _count, _stride = 1;

        public void Add(double loss)
        {
            _sum += loss;
            if (++_count < _stride)
            {
                return;
            }

            _points.Add(_sum / _count);
            (_sum, _count) = (0, 0);
            if (_points.Count == PointsMax)
            {
                double[] halved = [.. _points.Chunk(2).Select(pair => (pair[0] + pair[1]) / 2)];
                _points.Clear();
                _points.AddRange(halved);
                _stride *= 2;
            }
        }

        public void Clear()
        {
            _points.Clear();
            (_sum, _count, _stride) = (0, 0, 1);
        }

        public string Draw(int width)
        {
            double[] finite = [.. _points.Where(double.IsFinite).Order()];
            if (finite.Length == 0)
            {
                return "";
            }

            // The first steps tower over all others: they are cut at the height of the tenth largest percent.
            double low = finite[0], high = finite[Math.Max(0, (finite.Length * 9 / 10) - 1)];
            int columns = Math.Min(width, _points.Count);
            return string.Concat(Enumerable.Range(0, columns).Select(column =>
            {
                double loss = _points[column * _points.Count / columns];
                double height = !double.IsFinite(loss) ? 1 : high > low ? (loss - low) / (high - low) : 0;
                return Levels[(int)Math.Round(Math.Clamp(height, 0, 1) * (Levels.Length - 1))];
            }));
        }
    }
}
