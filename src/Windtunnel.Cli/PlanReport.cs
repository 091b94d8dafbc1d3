using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;
using Windtunnel.Laws.Planning;

namespace Windtunnel.Cli;

/// <summary>A plan as a person reads it.</summary>
internal static class PlanReport
{
    /// <summary>Writes it to the console.</summary>
    /// <param name="halfWidth">Of the first run's interval before any of the next runs is made.</param>
    /// <param name="log">Whether half-widths are shares of the loss.</param>
    public static void Write(Plan plan, double halfWidth, bool log)
    {
        Console.WriteLine($"fit     {plan.Fit}: {plan.Law}; n counts {(plan.Count == ParameterCount.All ? "all parameters" : "parameters without embeddings")}");
        Console.WriteLine($"budget  {Describe(plan.Budget)}");
        Console.WriteLine();
        Table(plan);
        foreach (Recipe recipe in plan.Runs)
        {
            Describe(recipe, plan.Budget);
        }

        if (plan.AsGood is { } cheapest)
        {
            Serving(plan, cheapest);
        }

        if (plan.Next.Count > 0)
        {
            Next(plan, halfWidth, log);
        }

        Console.WriteLine();
        FitReport.WriteWarnings(plan.Warnings);
    }

    private static string Describe(Budget budget) => $"{budget.Flops:0.00e0} operations" + (budget.Cluster is { } cluster
        ? $": {cluster.AcceleratorHours(budget.Flops):N1} hours of {cluster.Accelerator.Title} at {cluster.Utilisation:P0} of its {Quantity.Flops(cluster.Accelerator.Peak(cluster.Precision))}/s "
            + $"in {cluster.Precision.ToString().ToLowerInvariant()}" + (budget.Price is { } price ? $", {cluster.AcceleratorHours(budget.Flops) * price:N0} at {price:G4} an hour" : "")
        : "");

    private static void Table(Plan plan)
    {
        bool error = plan.Optimum.Error is not null;
        string[] headings = ["<", "parameters", "tokens", "D/N", "operations", "loss", "95 %", "one run 95 %"];
        TextTable table = new([.. headings, .. error ? new[] { "error", "95 %" } : []]);
        Add("the law's optimum", plan.Optimum);
        table.Add(["  95 %", Range(plan.OptimumN), Range(plan.OptimumD), .. Enumerable.Repeat<string?>(" ", headings.Length - 3 + (error ? 2 : 0))]);
        foreach (Recipe recipe in plan.Runs)
        {
            Add(recipe.Run.Name, recipe.Run);
        }

        table.Write();
        Console.WriteLine("(the law counts C = 6 N D; a run also counts attention and the output projection)");

        void Add(string name, PlannedRun run) => table.Add(
        [
            name, Quantity.Count(run.N), Quantity.Count(run.D), Short(run.Multiplier), $"{run.Flops:0.00e0}", $"{run.Loss.Value:F4}", Loss(run.Loss.Mean), Loss(run.Loss.Single),
            .. run.Error is { } predicted ? new[] { $"{predicted.Value:F3}", $"{predicted.Mean.Low:F3} to {predicted.Mean.High:F3}" } : [],
        ]);

        static string Range(Interval interval) => $"{Quantity.Count(interval.Low)} to {(double.IsInfinity(interval.High) ? "no limit" : Quantity.Count(interval.High))}";
        static string Loss(Interval interval) => double.IsInfinity(interval.Low) || double.IsInfinity(interval.High) ? "unknown" : $"{interval.Low:F4} to {interval.High:F4}";
    }

    private static string Short(double value) => value >= 100 ? $"{value:N0}" : $"{value:G3}";

    private static void Describe(Recipe recipe, Budget budget)
    {
        ModelShape shape = recipe.Run.Shape!;
        Console.WriteLine();
        Console.WriteLine(recipe.Run.Name);
        Line("model", $"size {shape.Size}: {shape.Layers} layers of width {shape.Width}, {shape.Parameters:N0} parameters, {shape.NonEmbedding:N0} without embeddings");
        Line("batch", $"{recipe.Batch.Value:N0} tokens, {recipe.Batch.Value / shape.SequenceLength:N0} sequences of {shape.SequenceLength:N0} ({recipe.Batch.From}); {recipe.Steps:N0} steps");
        Line("learning rate", $"{recipe.LearningRate.Value.ToString(recipe.LearningRate.Value < 1e-3 ? "0.##e-0" : "G4")} ({recipe.LearningRate.From})");
        Line("decay", $"{recipe.DecayShape} over the last {recipe.Decay.Value:P0} ({recipe.Decay.From})");
        if (recipe.Memory is { } memory && budget.Cluster is { } cluster)
        {
            Line("memory", $"{Quantity.Bytes(memory.Total)} of {Quantity.Bytes(cluster.Accelerator.Memory)}: weights {Quantity.Bytes(memory.Weights)}, gradients {Quantity.Bytes(memory.Gradients)}, "
                + $"AdamW {Quantity.Bytes(memory.Optimizer)}{(memory.Sharded ? $" (each 1/{cluster.Count} of the whole)" : "")}, activations {Quantity.Bytes(memory.Activations)} for {memory.MicroBatch} sequence{(memory.MicroBatch == 1 ? "" : "s")}");
            Line("time", $"{Quantity.Time(recipe.Seconds!.Value)} on {cluster.Count} x {cluster.Accelerator.Title}" + (recipe.Cost is { } cost ? $", {cost:N0} in all" : ""));
        }

        Line("config", recipe.Config);
        static void Line(string name, string text) => Console.WriteLine($"  {name,-13}  {text}");
    }

    private static void Serving(Plan plan, PlannedRun cheapest)
    {
        Console.WriteLine();
        TextTable table = new($"<serving {Quantity.Count(plan.Served)} tokens", "parameters", "tokens", "training", "with serving", "loss");
        Add("the law's optimum", plan.Optimum);
        Add("as good, and cheapest with serving", cheapest);
        Add("within the budget", plan.Runs[^1].Run);
        table.Write();

        void Add(string name, PlannedRun run) => table.Add(
            name, Quantity.Count(run.N), Quantity.Count(run.D), $"{run.Flops:0.00e0}", $"{run.Lifetime(plan.Served):0.00e0}", $"{run.Loss.Value:F4}");
    }

    private static void Next(Plan plan, double halfWidth, bool log)
    {
        string Width(double value) => log ? $"{100 * value:G3} %" : $"{value:G3}";
        Console.WriteLine();
        Console.WriteLine($"runs that narrow the interval of {plan.Runs[0].Run.Name} most per operation, and visibly, one after another; it is now +-{Width(halfWidth)}");
        TextTable table = new("<run", "parameters", "tokens", "operations", "of the budget", "interval", "narrower by", "per 1e18 operations");
        foreach ((int index, NextRun run) in plan.Next.Index())
        {
            table.Add($"{index + 1}", Quantity.Count(run.N), Quantity.Count(run.D), $"{run.Flops:0.00e0}", $"{100 * run.Flops / plan.Budget.Flops:G2} %", $"+-{Width(run.HalfWidth)}", $"{run.Shrinkage:P1}", $"{Short(100 * run.Shrinkage * 1e18 / run.Flops)} %");
        }

        table.Write();
    }
}
