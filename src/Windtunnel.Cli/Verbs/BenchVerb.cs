using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tensors.Memory;
using Windtunnel.Tensors.Ops;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Cli.Verbs;

/// <summary>Measures the engine against the peak that the same process has just measured.</summary>
internal static class BenchVerb
{
    private static readonly Option<int> s_threads = new("--threads") { Description = "worker threads; 0 for one a core", DefaultValueFactory = _ => 0 };
    private static readonly Option<int> s_steps = new("--steps") { Description = "steps or products to time; 0 chooses", DefaultValueFactory = _ => 0 };
    private static readonly Argument<string> s_config = new("config")
    {
        Description = "a: L4 d128 h4 T256 B8 V512; b: L6 d384 h6 T256 B8 V4096; c: L12 d768 h12 T256 B4 V50257",
        DefaultValueFactory = _ => "b",
    };

    private static readonly Argument<string[]> s_names = new("names")
    {
        Description = "optimizers; all when none is named",
        Arity = ArgumentArity.ZeroOrMore,
        DefaultValueFactory = _ => [],
    };

    public static Command Command
    {
        get
        {
            Command train = new("train", "a full GPT-2 training step in fp32: forward, backward, clip, AdamW") { s_config, s_threads, s_steps };
            train.SetAction(parsed => Train(parsed.GetValue(s_config)!, parsed.GetValue(s_threads), parsed.GetValue(s_steps)));
            Command matmul = new("matmul", "matrix products in the three layouts of a layer") { s_threads, s_steps };
            matmul.SetAction(parsed => MatMul(parsed.GetValue(s_threads), parsed.GetValue(s_steps)));
            Command optimizers = new("optimizers", "what each optimizer adds to a training step of the model, and the memory that it takes") { s_config, s_names, s_threads, s_steps };
            optimizers.SetAction(parsed => Optimizers(
                parsed.GetValue(s_config)!, parsed.GetValue(s_names)!, parsed.GetValue(s_threads), parsed.GetValue(s_steps)));
            Command laws = new("laws", "how long fits take");
            laws.SetAction(_ => LawBench.Run());
            return new Command("bench", "measure the engine on this machine") { train, matmul, optimizers, laws };
        }
    }

    private static int Train(string config, int threads, int steps)
    {
        using BenchModel bench = new(config, threads);
        steps = steps > 0 ? steps : bench.DefaultSteps;
        using Optimizer optimizer = new AdamWOptions(1e-4).Build(bench.Model.Parameters, bench.Backend);
        Console.WriteLine(bench.Description);
        const int Warmup = 3;
        double[] seconds = new double[steps];
        double loss = 0, peak = 0;
        long managed = 0, native = 0;
        for (int step = 1; step <= Warmup + steps; step++)
        {
            if (step == Warmup + 1)
            {
                peak = MachinePeak.FlopsPerSecond(bench.Backend.Threads);
                (managed, native) = (GC.GetAllocatedBytesForCurrentThread(), bench.Backend.Ledger.Allocations);
            }

            long start = Stopwatch.GetTimestamp();
            loss = bench.ComputeGradients(labels: null);
            optimizer.Step(new OptimizerStep(step, 1, bench.GradScale(), Batch: bench));
            if (step > Warmup)
            {
                seconds[step - Warmup - 1] = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }
        }

        managed = (GC.GetAllocatedBytesForCurrentThread() - managed) / steps;
        native = bench.Backend.Ledger.Allocations - native;
        Array.Sort(seconds);
        double median = seconds[steps / 2];
        Console.WriteLine(
            $"loss {loss:F4}; peak {peak / 1e9:F1} GFLOP/s; managed allocation {managed} B a step, native allocations {native}; "
            + $"tensors {bench.Backend.Ledger.PeakBytes / 1e6:F0} MB, resident at most {Process.GetCurrentProcess().PeakWorkingSet64 / 1e6:F0} MB");
        Console.WriteLine(
            $"share_of_peak={bench.Flops / median / peak:F3} tokens_per_s={bench.Targets / median:F0} ms_per_step={median * 1e3:F1} "
            + $"threads={bench.Backend.Threads} best_share_of_peak={bench.Flops / seconds[0] / peak:F3}");
        return 0;
    }

    private static int Optimizers(string config, string[] names, int threads, int steps)
    {
        foreach (string unknown in names.Where(name => !OptimizersVerb.Registered.ContainsKey(name)))
        {
            throw new ValidationException($"'{unknown}' is not an optimizer; there are {string.Join(", ", OptimizersVerb.Registered.Keys)}");
        }

        // Kron fits at every twentieth step of a long run, SOAP and Sophia do more at every tenth: a mean that holds as much of it as a run does.
        steps = steps > 0 ? steps : 20;
        using BenchModel bench = new(config, threads);
        ParameterSet parameters = bench.Model.Parameters;
        Console.WriteLine(bench.Description);
        const int Warmup = 2, StartSteps = 3, LateStep = 10_001;
        double[] passes = new double[5];
        for (int pass = -1; pass < passes.Length; pass++)
        {
            long start = Stopwatch.GetTimestamp();
            bench.ComputeGradients(labels: null);
            bench.GradScale();
            passes[Math.Max(pass, 0)] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        Array.Sort(passes);
        double gradients = passes[passes.Length / 2];
        Console.WriteLine($"gradients and their norm: {gradients * 1e3:F1} ms on {bench.Backend.Threads} thread{(bench.Backend.Threads == 1 ? "" : "s")}; mean of {steps} optimizer steps of a long run, and of {StartSteps} at its start:");
        using Tape copies = new(bench.Backend, recording: false);
        Tensor saved = copies.New(parameters.Grads.Shape);
        bench.Backend.Add(saved, parameters.Grads, 1, accumulate: false);

        TextTable table = new("<optimizer", "ms a step", "share of step", "ms at start", "state B/param", "memory B/param");
        foreach ((string name, OptimizerOptions options) in OptimizersVerb.Registered.Where(pair => names.Length == 0 || names.Contains(pair.Key)))
        {
            long before = bench.Backend.Ledger.LiveBytes;
            parameters.Initialize(bench.Backend, seed: 1);
            using Optimizer optimizer = options.Build(parameters, bench.Backend);
            Time(1, Warmup);
            double atStart = Time(1 + Warmup, StartSteps), seconds = Time(LateStep, steps);
            double state = 4.0 * optimizer.State.Sum(tensor => tensor.Tensor.Shape.Count) / parameters.Count;
            double memory = (double)(bench.Backend.Ledger.LiveBytes - before) / parameters.Count;
            table.Add(name, $"{seconds * 1e3:F1}", $"{seconds / (gradients + seconds):P1}", $"{atStart * 1e3:F1}", $"{state:F2}", $"{memory:F2}");

            // The mean of some steps with the same gradients.
            double Time(long first, int count)
            {
                double sum = 0;
                for (long number = first; number < first + count; number++)
                {
                    bench.Backend.Add(parameters.Grads, saved, 1, accumulate: false);
                    long start = Stopwatch.GetTimestamp();
                    optimizer.Step(new OptimizerStep(number, 1e-3, 1, Seed: 1, bench));
                    sum += Stopwatch.GetElapsedTime(start).TotalSeconds;
                }

                return sum / count;
            }
        }

        table.Write();
        return 0;
    }

    private static int MatMul(int threads, int repeats)
    {
        using CpuBackend backend = NewBackend(threads);
        Console.WriteLine(backend.Description);
        foreach ((int tokens, int output, int input) in new[] { (2048, 3072, 768), (2048, 1536, 384), (2048, 512, 128), (2048, 128, 512) })
        {
            using Tape pool = new(backend, recording: false);
            Tensor x = pool.New(new Shape(tokens, input)), w = pool.New(new Shape(output, input)), y = pool.New(new Shape(tokens, output));
            foreach (Tensor tensor in new[] { x, w, y })
            {
                backend.Fill(tensor, 0.5f);
            }

            Tensor dx = pool.New(x.Shape), dw = pool.New(w.Shape);
            Report("forward  y = x w^T", () => backend.MatMul(y, x, false, w, true));
            Report("input    dx = dy w", () => backend.MatMul(dx, y, false, w, false));
            Report("weight   dw = dy^T x", () => backend.MatMul(dw, y, true, x, false));

            void Report(string name, Action product)
            {
                int count = repeats > 0 ? repeats : 15;
                double[] seconds = new double[count];
                product();
                for (int i = 0; i < count; i++)
                {
                    long start = Stopwatch.GetTimestamp();
                    product();
                    seconds[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
                }

                Array.Sort(seconds);
                double peak = MachinePeak.FlopsPerSecond(backend.Threads, rounds: 3), speed = 2.0 * tokens * output * input / seconds[count / 2];
                Console.WriteLine($"{tokens} x {output} x {input} {name,-20} gflops={speed / 1e9:F1} share_of_peak={speed / peak:F3}");
            }
        }

        return 0;
    }

    private static CpuBackend NewBackend(int threads) =>
        threads is >= 0 and <= 1024 ? new CpuBackend(threads) : throw new ValidationException($"threads: {threads} must lie between 0 and 1024");

    /// <summary>A GPT-2 of one of three sizes, a batch of random tokens, and their gradients.</summary>
    private sealed class BenchModel : IStepBatch, IDisposable
    {
        private readonly Tape _tape;
        private readonly DeviceBuffer _ids;
        private readonly Tensor _inputs, _targets;
        private readonly int[] _stream;

        public BenchModel(string config, int threads)
        {
            (int layers, int width, int heads, int length, int batch, int vocabulary, DefaultSteps) = config switch
            {
                "a" => (4, 128, 4, 256, 8, 512, 40),
                "b" => (6, 384, 6, 256, 8, 4096, 10),
                "c" => (12, 768, 12, 256, 4, 50257, 5),
                _ => throw new ValidationException($"bench: '{config}' is none of a, b and c"),
            };
            Backend = NewBackend(threads);
            ModelOptions options = new Gpt2Options(Layers: layers, Width: width, Heads: heads).Resolve(vocabulary, length);
            Model = options.Build(Backend);
            Model.Parameters.Initialize(Backend, seed: 1);
            _tape = new Tape(Backend);
            Targets = batch * length;
            _ids = Backend.Allocate(2 * Targets);
            _inputs = new Tensor(_ids, 0, new Shape(batch, length), DType.I32);
            _targets = new Tensor(_ids, Targets, _inputs.Shape, DType.I32);
            Philox random = new(1, 1);
            _stream = [.. Enumerable.Range(0, (int)Targets + 1).Select(i => (int)(random.Uniform((ulong)i) * vocabulary))];
            Backend.Write(_inputs, _stream.AsSpan(0, (int)Targets));
            Flops = options.Count().TrainingFlopsAToken(length) * Targets;
            Description = $"{Backend.Description}; GPT-2 L{layers} d{width} h{heads} T{length} B{batch} V{vocabulary}, "
                + $"{options.Count().Total:N0} parameters, {Flops / 1e9:F1} GFLOP a step";
        }

        public CpuBackend Backend { get; }

        public Model Model { get; }

        public int DefaultSteps { get; }

        public long Targets { get; }

        public double Flops { get; }

        public string Description { get; }

        /// <summary>The mean loss; the gradients are the model's.</summary>
        public double ComputeGradients(Philox? labels)
        {
            Backend.Write(_targets, _stream.AsSpan(1));
            Model.Parameters.ClearGrads();
            (Tensor losses, _) = Model.Loss(_tape, _inputs, _targets, 1f / Targets, labels: labels is { } random ? new SampledLabels(random, 0) : null);
            double loss = Backend.Sum(losses) / Targets;
            _tape.Backward(losses);
            _tape.Reset();
            return loss;
        }

        void IStepBatch.ComputeGradients(Philox? labels) => ComputeGradients(labels);

        /// <summary>What clips the gradients to norm 1.</summary>
        public float GradScale() => (float)Math.Min(1, 1 / Math.Sqrt(Backend.SumOfSquares(Model.Parameters.Grads)));

        public void Dispose()
        {
            _ids.Free();
            _tape.Dispose();
            Model.Dispose();
            Backend.Dispose();
        }
    }
}
