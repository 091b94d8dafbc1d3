using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text.Corpora;

namespace Windtunnel.Cli.Verbs;

/// <summary>Says what this machine offers, measured, and what is wrong with it.</summary>
internal static class DoctorVerb
{
    private static readonly Option<string> s_runs = RunSession.RunsOption();

    public static Command Command
    {
        get
        {
            Command doctor = new("doctor", "what this machine offers: instruction set, cores, memory, measured peak and bandwidth, corpus, disk") { s_runs };
            doctor.SetAction(Run);
            return doctor;
        }
    }

    private static int Run(ParseResult parsed)
    {
        int cores = Environment.ProcessorCount;
        Console.WriteLine($"runtime      {RuntimeInformation.FrameworkDescription} on {RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}");
        Console.WriteLine($"kernels      {CpuBackend.InstructionSet}");
        Hint(!Vector256.IsHardwareAccelerated && RuntimeInformation.ProcessArchitecture == Architecture.X64, "AVX2 is missing or switched off (DOTNET_EnableAVX2): training will not start");
        Console.WriteLine($"cores        {cores}");

        GC.Collect(); // Without one, .NET knows nothing of the memory in use.
        GCMemoryInfo memory = GC.GetGCMemoryInfo();
        Console.WriteLine($"memory       {Quantity.Bytes(memory.TotalAvailableMemoryBytes)}, {Quantity.Bytes(memory.TotalAvailableMemoryBytes - memory.MemoryLoadBytes)} free");
        Hint(memory.TotalAvailableMemoryBytes - memory.MemoryLoadBytes < 1e9, "less than 1 GB is free: use a small model.size and training.gradientAccumulation");

        double one = MachinePeak.FlopsPerSecond(1), all = MachinePeak.FlopsPerSecond(cores);
        Console.WriteLine($"fp32 peak    {Quantity.Flops(one)}/s on 1 thread, {Quantity.Flops(all)}/s on {cores}");
        Hint(all < 0.7 * cores * one, "the threads slow each other down: something else is running, or the cores are hyper-threads (try --threads with half as many)");
        double bandwidthOne = MachinePeak.ReadBytesPerSecond(1), bandwidth = MachinePeak.ReadBytesPerSecond(cores);
        Console.WriteLine($"read speed   {Quantity.Bytes(bandwidthOne)}/s on 1 thread, {Quantity.Bytes(bandwidth)}/s on {cores}");

        string corpus;
        try
        {
            corpus = new DotnetDocsCorpusOptions().Build().Fingerprint();
        }
        catch (ValidationException error)
        {
            corpus = "not found";
            Hint(true, error.Message);
        }

        Console.WriteLine($"corpus       {corpus}");
        string folder = Path.GetFullPath(parsed.GetValue(s_runs)!);
        while (!Directory.Exists(folder))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        long free = new DriveInfo(folder).AvailableFreeSpace;
        Console.WriteLine($"disk         {Quantity.Bytes(free)} free at {folder}");
        Hint(free < 2e9, "less than 2 GB is free: checkpoints of a large model may not fit");
        Console.WriteLine($"display      {(TrainingDisplay.IsTerminal ? "a live panel" : "plain lines (redirected, or NO_COLOR, CI or TERM=dumb)")}");
        return 0;
    }

    private static void Hint(bool wrong, string hint)
    {
        if (wrong)
        {
            Console.WriteLine($"  !          {hint}");
        }
    }
}
