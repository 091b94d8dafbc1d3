using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tensors.Memory;
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

    public static Command Command
    {
        get
        {
            Command train = new("train", "a full GPT-2 training step in fp32: forward, backward, clip, AdamW") { s_config, s_threads, s_steps };
            train.SetAction(parsed => Train(parsed.GetValue(s_config)!, parsed.GetValue(s_threads), parsed.GetValue(s_steps)));
            Command matmul = new("matmul", "matrix products in the three layouts of a layer") { s_threads, s_steps };
            matmul.SetAction(parsed => MatMul(parsed.GetValue(s_threads), parsed.GetValue(s_steps)));
            return new Command("bench", "measure the engine on this machine") { train, matmul };
        }
    }

    private static int Train(string config, int threads, int steps)
    {
        (int layers, int width, int heads, int length, int batch, int vocabulary, int defaultSteps) = config switch
        {
            "a" => (4, 128, 4, 256, 8, 512, 40),
            "b" => (6, 384, 6, 256, 8, 4096, 10),
            "c" => (12, 768, 12, 256, 4, 50257, 5),
            _ => throw new ValidationException($"bench train: '{config}' is none of a, b and c"),
        };
        steps = steps > 0 ? steps : defaultSteps;
        using CpuBackend backend = Backend(threads);
        ModelOptions options = new Gpt2Options(Layers: layers, Width: width, Heads: heads).Resolve(vocabulary, length);
        using Model model = options.Build(backend);
        model.Parameters.Initialize(backend, seed: 1);
        using Optimizer optimizer = new AdamWOptions(1e-4).Build(model.Parameters, backend);
        using Tape tape = new(backend);
        int tokens = batch * length;
        DeviceBuffer ids = backend.Allocate(2 * tokens);
        Tensor inputs = new(ids, 0, new Shape(batch, length), DType.I32), targets = new(ids, tokens, inputs.Shape, DType.I32);
        Philox random = new(1, 1);
        int[] stream = [.. Enumerable.Range(0, tokens + 1).Select(i => (int)(random.Uniform((ulong)i) * vocabulary))];
        backend.Write(inputs, stream.AsSpan(0, tokens));
        backend.Write(targets, stream.AsSpan(1));

        double flops = options.Count().TrainingFlopsAToken(length) * tokens;
        Console.WriteLine($"{backend.Description}; GPT-2 L{layers} d{width} h{heads} T{length} B{batch} V{vocabulary}, {options.Count().Total:N0} parameters, {flops / 1e9:F1} GFLOP a step");
        const int Warmup = 3;
        double[] seconds = new double[steps];
        double loss = 0, peak = 0;
        long managed = 0, native = 0;
        for (int step = 1; step <= Warmup + steps; step++)
        {
            if (step == Warmup + 1)
            {
                peak = MachinePeak.FlopsPerSecond(backend.Threads);
                (managed, native) = (GC.GetAllocatedBytesForCurrentThread(), backend.Ledger.Allocations);
            }

            long start = Stopwatch.GetTimestamp();
            model.Parameters.ClearGrads();
            (Tensor losses, _) = model.Loss(tape, inputs, targets, 1f / tokens);
            loss = backend.Sum(losses) / tokens;
            tape.Backward(losses);
            tape.Reset();
            double norm = Math.Sqrt(backend.SumOfSquares(model.Parameters.Grads));
            optimizer.Step(new OptimizerStep(step, 1, (float)Math.Min(1, 1 / norm)));
            if (step > Warmup)
            {
                seconds[step - Warmup - 1] = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }
        }

        managed = (GC.GetAllocatedBytesForCurrentThread() - managed) / steps;
        native = backend.Ledger.Allocations - native;
        ids.Free();
        Array.Sort(seconds);
        double median = seconds[steps / 2];
        Console.WriteLine(
            $"loss {loss:F4}; peak {peak / 1e9:F1} GFLOP/s; managed allocation {managed} B a step, native allocations {native}; "
            + $"tensors {backend.Ledger.PeakBytes / 1e6:F0} MB, resident at most {Process.GetCurrentProcess().PeakWorkingSet64 / 1e6:F0} MB");
        Console.WriteLine(
            $"share_of_peak={flops / median / peak:F3} tokens_per_s={tokens / median:F0} ms_per_step={median * 1e3:F1} "
            + $"threads={backend.Threads} best_share_of_peak={flops / seconds[0] / peak:F3}");
        return 0;
    }

    private static int MatMul(int threads, int repeats)
    {
        using CpuBackend backend = Backend(threads);
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

    private static CpuBackend Backend(int threads) =>
        threads is >= 0 and <= 1024 ? new CpuBackend(threads) : throw new ValidationException($"threads: {threads} must lie between 0 and 1024");
}
