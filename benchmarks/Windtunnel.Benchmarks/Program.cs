using BenchmarkDotNet.Running;
using Windtunnel.Benchmarks;

BenchmarkSwitcher.FromAssembly(typeof(KernelBenchmarks).Assembly).Run(args);
