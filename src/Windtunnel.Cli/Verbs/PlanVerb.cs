using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Laws.Planning;
using Windtunnel.Runs;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>From a fitted law and a budget to runs that can be started.</summary>
internal static class PlanVerb
{
    private const int NextMax = 50;

    private static readonly Argument<string> s_fit = new("fit") { Description = "the fit.json of a law of loss over n and d: chinchilla, over-training or minicpm", HelpName = "FIT.json" };
    private static readonly Argument<string[]> s_words = ConfigWords.Argument();
    private static readonly Option<double?> s_flops = new("--flops") { Description = "the budget in model operations", HelpName = "C" };
    private static readonly Option<double?> s_hours = new("--gpu-hours") { Description = "the budget in hours of one accelerator", HelpName = "HOURS" };
    private static readonly Option<double?> s_dollars = new("--dollars") { Description = "the budget in money, with --price", HelpName = "MONEY" };
    private static readonly Option<double?> s_price = new("--price") { Description = "of an hour of one accelerator", HelpName = "MONEY" };
    private static readonly Option<string?> s_gpu = new("--gpu") { Description = $"the accelerator: {string.Join(", ", Accelerator.All.Select(each => each.Name))}, or this for the machine at hand", HelpName = "NAME" };
    private static readonly Option<int> s_gpus = new("--gpus") { Description = "how many of them", DefaultValueFactory = _ => 1, HelpName = "N" };
    private static readonly Option<double> s_mfu = new("--mfu") { Description = "the share of their peak that training reaches", DefaultValueFactory = _ => 0.4, HelpName = "SHARE" };
    private static readonly Option<Precision?> s_precision = new("--precision") { Description = "of matrix products; the best for training that the accelerator has", HelpName = "bf16|fp16|fp32" };
    private static readonly Option<double> s_served = new("--inference-tokens") { Description = "tokens that the model will serve: plan for training and serving together, too", DefaultValueFactory = _ => 0, HelpName = "TOKENS" };
    private static readonly Option<string?> s_batch = new("--batch") { Description = "the batch in tokens: a fit of it (batch-size, power, power-product, hyperparameter), or a number", HelpName = "FIT.json|TOKENS" };
    private static readonly Option<string?> s_rate = new("--learning-rate") { Description = "the learning rate: a fit of it (power-product, hyperparameter, power), or a number", HelpName = "FIT.json|RATE" };
    private static readonly Option<string?> s_curve = new("--curve") { Description = "a fit of loss curves (multi-power, annealing) to choose the decay by", HelpName = "FIT.json" };
    private static readonly Option<string?> s_error = new("--error") { Description = "a fit of downstream error over loss", HelpName = "FIT.json" };
    private static readonly Option<ParameterCount?> s_count = new("--count") { Description = "what the fit's n counts; by the name of its column unless said", HelpName = "all|nonEmbedding" };
    private static readonly Option<int?> s_next = new("--next") { Description = $"also find 1 to {NextMax} different runs that would narrow the prediction most per operation, and visibly", HelpName = "N" };
    private static readonly Option<double[]> s_range = new("--next-flops") { Description = "the least and the most operations of such a run; a tenth of the budget at most unless said", Arity = new ArgumentArity(2, 2), AllowMultipleArgumentsPerToken = true, HelpName = "C" };
    private static readonly Option<string> s_out = new("--out") { Description = "where to write plan.json and a config for each run", DefaultValueFactory = _ => "plan", HelpName = "DIR" };

    public static Command Command
    {
        get
        {
            Verb plan = new("plan", "turn a fitted law and a budget into runs: size, tokens, batch, schedule, expected loss, memory, time", """
                windtunnel plan fits/chinchilla/fit.json --flops 1e20
                windtunnel plan fits/chinchilla/fit.json --gpu-hours 100 --gpu h100 --gpus 8 --inference-tokens 1e12
                windtunnel plan fits/chinchilla/fit.json --dollars 500 --price 2.5 --gpu h100 --next 3
                windtunnel plan fits/chinchilla/fit.json configs/runs/gpt2-124m.yaml --flops 1e19 --curve fits/multi-power/fit.json
                """)
            {
                s_fit, s_words, s_flops, s_hours, s_dollars, s_price, s_gpu, s_gpus, s_mfu, s_precision, s_served, s_batch, s_rate, s_curve, s_error, s_count,
                s_next, s_range, s_out,
            };
            plan.SetAction(Run);
            return plan;
        }
    }

    private static int Run(ParseResult parsed)
    {
        string path = parsed.GetValue(s_fit)!, folder = parsed.GetValue(s_out)!;
        if (parsed.GetValue(s_next) is < 1 or > NextMax)
        {
            throw new ValidationException($"--next {parsed.GetValue(s_next)}: ask for 1 to {NextMax} runs");
        }

        Budget budget = BudgetOf(parsed);
        ConfigWords words = ConfigWords.Parse(parsed, s_words);
        RunConfig? config = words.File is null && words.Overrides.Count == 0 ? null : words.Load();
        double served = parsed.GetValue(s_served) is >= 0 and var tokens && double.IsFinite(tokens)
            ? tokens
            : throw new ValidationException($"--inference-tokens {parsed.GetValue(s_served)}: must be 0 or more");
        Fit fit = Fit.Load(path);
        Planner planner = new(fit, parsed.GetValue(s_error) is { } error ? Fit.Load(error) : null, parsed.GetValue(s_count));

        (PlannedRun optimum, Laws.Fitting.Interval ofN, Laws.Fitting.Interval ofD) = planner.OfLaw(budget.Flops);
        RunPlan runs = new(config, optimum.N, budget, PlanLaw.Of(parsed.GetValue(s_batch)), PlanLaw.Of(parsed.GetValue(s_rate)), PlanLaw.Of(parsed.GetValue(s_curve)));
        List<PlannedRun> planned = [planner.OfShapes(budget.Flops, runs.Shapes(optimum.N))];
        if (served > 0)
        {
            planned.Add(planner.OfShapes(budget.Flops, runs.Shapes(planner.Surface.OfCompute(budget.Flops, served).N), served));
        }

        NextRuns? design = parsed.GetValue(s_next) is null ? null : new NextRuns(fit, planned[0].N, planned[0].D);
        IReadOnlyList<NextRun> next = design?.Choose(Candidates(parsed, fit, design, planned[0]), parsed.GetValue(s_next)!.Value) ?? [];
        List<Recipe> recipes = [];
        Directory.CreateDirectory(folder);
        foreach (PlannedRun run in planned)
        {
            string file = Path.Combine(folder, $"{run.Name}.yaml");
            (Recipe recipe, RunConfig settled) = runs.Settle(run, file);
            AtomicFile.WriteText(file, Header(run, path) + RunPlan.ToYaml(settled));
            recipes.Add(recipe);
        }

        Plan plan = new(
            Plan.CurrentFormat, path, fit.Law.Formula, planner.Count, budget, served, optimum, ofN, ofD, served > 0 ? planner.AsGood(optimum, served) : null, recipes, next,
            [.. fit.Warnings.Select(warning => $"the fit: {warning}"), .. Misfit(planned[0], optimum), .. Weak(next), .. planned.SelectMany(Doubts), .. runs.Warnings.Distinct()]);
        plan.Save(Path.Combine(folder, "plan.json"));
        PlanReport.Write(plan, design?.HalfWidth ?? double.NaN, fit.Objective.Log);
        bool trainable = planned[0].Shape!.Parameters <= int.MaxValue;
        Console.WriteLine($"written: {Path.Combine(folder, "plan.json")}{(trainable ? $"; look at a run with: windtunnel train {recipes[0].Config} --dry-run" : "")}");
        return 0;
    }

    private static Budget BudgetOf(ParseResult parsed)
    {
        (double? flops, double? hours, double? dollars, double? price) =
            (parsed.GetValue(s_flops), parsed.GetValue(s_hours), parsed.GetValue(s_dollars), parsed.GetValue(s_price));
        Cluster? cluster = parsed.GetValue(s_gpu) is { } name ? ClusterOf(parsed, name) : null;
        if (cluster is null && new Option[] { s_gpus, s_mfu, s_precision, s_price }.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } without
            && hours is null && dollars is null)
        {
            throw new ValidationException($"{without.Name}: needs --gpu, the accelerator that it is about");
        }

        return (flops, hours, dollars, cluster) switch
        {
            ({ } c, null, null, _) => Budget.OfFlops(c, cluster, price),
            (null, { } h, null, { } on) => Budget.OfHours(h, on, price),
            (null, null, { } money, { } on) => Budget.OfMoney(money, price ?? throw new ValidationException("--dollars: needs --price, that of an hour of one accelerator"), on),
            (null, _, _, null) when hours is not null || dollars is not null => throw new ValidationException(
                $"{(hours is null ? "--dollars" : "--gpu-hours")}: needs --gpu; there are {string.Join(", ", Accelerator.All.Select(each => each.Name))}"),
            _ => throw new ValidationException("give one budget: --flops C, --gpu-hours HOURS or --dollars MONEY"),
        };
    }

    private static Cluster ClusterOf(ParseResult parsed, string name)
    {
        Accelerator accelerator = name == "this"
            ? new Accelerator("this", "this machine", GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, null, null, MachinePeak.FlopsPerSecond(Environment.ProcessorCount, rounds: 3))
            : Accelerator.Find(name);
        Precision precision = parsed.GetValue(s_precision) ?? accelerator.Best;
        accelerator.Peak(precision);
        return new Cluster(accelerator, precision, parsed.GetValue(s_gpus), parsed.GetValue(s_mfu));
    }

    private static (double N, double D)[] Candidates(ParseResult parsed, Fit fit, NextRuns design, PlannedRun target)
    {
        (double N, double D)[] fitted = [.. fit.Data.Inputs.Chunk(2).Select(row => (row[0], row[1])).Where(run => run.Item1 > 0 && run.Item2 > 0)];
        double[] range = parsed.GetValue(s_range) is { Length: 2 } given ? given : Usual();
        double[] multipliers = [.. fitted.Select(run => run.D / run.N).Append(target.Multiplier).Select(multiplier => Math.Clamp(multiplier, 0.01, 1e5))];
        (double N, double D)[] runs = range is [> 0, _] && range[0] <= range[1] && double.IsFinite(range[1])
            ? [.. NextRuns.Candidates(range[0], range[1], multipliers.Min(), multipliers.Max()).Where(run => design.IsBetween(run.N, run.D))]
            : throw new ValidationException($"--next-flops {range[0]} {range[1]}: give the least operations of a run, then the most");
        return runs.Length > 0
            ? runs
            : throw new ValidationException($"--next-flops {range[0]:G3} {range[1]:G3}: no such run lies between the fitted ones and {target.Name}");

        double[] Usual()
        {
            double least = Math.Min(fitted.Min(run => 6 * run.N * run.D), target.Flops);
            return [least, Math.Max(least, target.Flops / 10)];
        }
    }

    private static IEnumerable<string> Weak(IReadOnlyList<NextRun> next)
    {
        if (next.Any(run => run.Shrinkage < NextRuns.Visible))
        {
            yield return $"some of the next runs narrow the interval by less than {NextRuns.Visible:P0} each; larger ones might do more (--next-flops)";
        }
    }

    private static IEnumerable<string> Misfit(PlannedRun run, PlannedRun optimum)
    {
        if (run.N / optimum.N is < 0.5 or > 2)
        {
            yield return $"{run.Name}: no model that suits the budget comes nearer to the law's {Quantity.Count(optimum.N)} parameters; a smaller vocabulary, or another family, might";
        }
    }

    private static IEnumerable<string> Doubts(PlannedRun run)
    {
        if (run.Loss.Extrapolation > RunPlan.ExtrapolationMax)
        {
            yield return $"{run.Name}: {run.Loss.Extrapolation:G3} times outside the fitted range of parameters or tokens; runs on the way there would help (--next)";
        }

        if (run.Error is { Extrapolation: > 1.2 })
        {
            yield return $"{run.Name}: the error is predicted from a loss outside those that its law was fitted to";
        }
    }

    private static string Header(PlannedRun run, string fit) =>
        $"# Planned from {fit}: {run.Flops:0.00e0} operations, expected loss {run.Loss.Value:F3}. Put your own text in data: it takes {Quantity.Count(run.D)} tokens.\n";
}
