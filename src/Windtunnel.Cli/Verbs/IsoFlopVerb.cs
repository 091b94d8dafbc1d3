using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;
using Windtunnel.Laws.IsoFlop;

namespace Windtunnel.Cli.Verbs;

/// <summary>Finds the best size for each compute, and how it grows.</summary>
internal static class IsoFlopVerb
{
    private static readonly Argument<string> s_table = new("table") { Description = "a CSV file, or a folder of runs" };
    private static readonly Option<string?> s_n = new("--n") { Description = "the column of parameters", HelpName = "COLUMN" };
    private static readonly Option<string?> s_d = new("--d") { Description = "the column of tokens, where there is none of operations: they are then 6 N D", HelpName = "COLUMN" };
    private static readonly Option<string?> s_flops = new("--flops") { Description = "the column of operations", HelpName = "COLUMN" };
    private static readonly Option<string?> s_loss = new("--loss") { Description = "the column of losses", HelpName = "COLUMN" };
    private static readonly Option<string[]> s_where = new("--where") { Description = "only rows that meet a condition, such as dataset=C4", HelpName = "CONDITION" };
    private static readonly Option<double> s_noise = new("--noise") { Description = "how much losses differ from seed to seed, in nats", DefaultValueFactory = _ => 0.002, HelpName = "NATS" };
    private static readonly Option<double> s_tolerance = new("--tolerance") { Description = "runs whose operations, or parameters, differ by no more than this share count as equal", DefaultValueFactory = _ => 0.05, HelpName = "SHARE" };
    private static readonly Option<double[]> s_at = new("--at") { Description = "also say the best size for so many operations", HelpName = "FLOPS" };

    public static Command Command
    {
        get
        {
            Verb isoFlop = new("isoflop", "find the best size for each compute, by parabola, Akima's curve, envelope and surface, and how it grows", """
                windtunnel isoflop runs.csv --n params --flops flops --loss val_loss --at 1e22
                windtunnel isoflop runs.csv --where dataset=C4 --noise 0.005
                """)
            { s_table, s_n, s_d, s_flops, s_loss, s_where, s_noise, s_tolerance, s_at };
            isoFlop.SetAction(Run);
            return isoFlop;
        }
    }

    private static int Run(ParseResult parsed)
    {
        PointTable table = (parsed.GetValue(s_where) ?? []).Aggregate(PointTable.Read(parsed.GetValue(s_table)!), (rows, condition) => rows.Where(condition));
        double noise = parsed.GetValue(s_noise) is > 0 and < 10 and double nats ? nats : throw new ValidationException("--noise: must be positive, a few thousandths of a nat");
        double tolerance = parsed.GetValue(s_tolerance) is >= 0 and < 1 and double share ? share : throw new ValidationException("--tolerance: must be a share below 1");
        IsoFlopAnalysis analysis = IsoFlopAnalysis.Of(Runs(parsed, table), noise, tolerance);
        TextTable budgets = new("operations", "sizes", "parabola", "Akima", "noise", "tokens/parameter", "loss");
        foreach (IsoFlopBudget budget in analysis.Budgets.Where(budget => budget.Sizes > 2))
        {
            budgets.Add(
                $"{budget.Flops:0.00e+00}", $"{budget.Sizes}", Size(budget.Parabola?.Size), Size(budget.Akima?.Size),
                budget.LogDeviation is { } deviation ? $"{Math.Exp(deviation) - 1:P0}" : null, $"{budget.Flops / 6 / (budget.Akima?.Size * budget.Akima?.Size):F1}", $"{budget.Akima?.Loss:F4}");
        }

        budgets.Write();
        int thin = analysis.Budgets.Count(budget => budget.Sizes < 3);
        Console.WriteLine(thin > 0 ? $"{Quantity.Of(thin, "compute")} with fewer than three sizes not shown; --tolerance joins computes that are nearly equal\n" : "");
        double[] at = [.. (parsed.GetValue(s_at) ?? []).Select(flops => flops > 0 && double.IsFinite(flops) ? flops : throw new ValidationException($"--at {flops}: must be a positive number of operations"))];
        TextTable lines = new(["<N = k C^a", "a", "95 % from", "to", "R2", "optima", .. at.Select(flops => $"N at {flops:0.##e+0}")]);
        Add("1: envelope", analysis.Envelope, errors: false);
        Add("2: parabola", analysis.Parabola);
        Add("2: Akima", analysis.Akima);
        Add("2: Akima, weighted by noise", analysis.Weighted);
        lines.Add(["3: surface", $"{analysis.SurfaceExponent:F4}", null, null, null, null, .. at.Select(flops => Size(ProfileBias.OptimalSize(analysis.Surface, flops)))]);
        lines.Write();
        Console.WriteLine();
        Console.WriteLine($"On the surface itself, without noise and at these sizes, approach 2 finds {analysis.ParabolaBias.Exponent:F4} by parabola "
            + $"(bias {analysis.ParabolaBias.OfExponent:+0.0000;-0.0000}) and {analysis.AkimaBias.Exponent:F4} by Akima (bias {analysis.AkimaBias.OfExponent:+0.0000;-0.0000}).");
        return 0;

        void Add(string approach, LogLogLine? line, bool errors = true)
        {
            Interval? interval = errors ? line?.ExponentInterval() : null;
            lines.Add([approach, $"{line?.Exponent:F4}", $"{interval?.Low:F4}", $"{interval?.High:F4}", $"{line?.RSquared:F4}", $"{line?.Points}", .. at.Select(flops => Size(line?.At(flops)))]);
        }
    }

    private static string? Size(double? size) => size is { } known ? Quantity.Count(known) : null;

    private static List<ComputeRun> Runs(ParseResult parsed, PointTable table)
    {
        IReadOnlyList<double> n = Column("n", s_n), loss = Column("loss", s_loss);
        bool counted = parsed.GetValue(s_flops) is not null || (parsed.GetValue(s_d) is null && table.Columns.Contains("flops"));
        IReadOnlyList<double> work = counted ? Column("flops", s_flops) : Column("d", s_d);
        return [.. n.Select((size, i) => new ComputeRun(counted ? work[i] : 6 * size * work[i], size, loss[i]))];

        IReadOnlyList<double> Column(string quantity, Option<string?> option)
        {
            string column = table.ColumnFor(quantity, parsed.GetValue(option) is { } named ? new Dictionary<string, string> { [quantity] = named } : []);
            IReadOnlyList<double> values = table.Numbers(column);
            int bad = values.ToList().FindIndex(value => !(double.IsFinite(value) && value > 0));
            return bad < 0 ? values : throw new InvalidDataException($"{table.Source}: {column}: {PointTable.Quote(table.Texts(column)[bad])} is not a positive number; --where leaves rows out");
        }
    }
}
