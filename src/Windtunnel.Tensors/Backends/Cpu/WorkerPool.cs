using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>A kernel that is cut into items; items write disjoint outputs, so who runs which item does not change a bit of the result.</summary>
internal interface IWork
{
    /// <summary>Runs one item on worker <paramref name="worker"/> (0 is the calling thread).</summary>
    void Run(int item, int worker);
}

/// <summary>
/// Persistent threads that share the items of one kernel at a time. Workers spin for a while before they sleep, so that a fork
/// and join costs well under a microsecond inside a training step, and nothing between steps.
/// </summary>
internal sealed unsafe class WorkerPool : IDisposable
{
    private const int SpinsBeforeSleep = 20_000;

    private readonly Thread[] _threads;
    private readonly object _sleepers = new();
    private PaddedCounters _counters;
    private void* _work;
    private delegate*<void*, int, int, void> _invoke;
    private int _items;
    private volatile bool _stopping;
    private volatile Exception? _failure;

    public WorkerPool(int workers)
    {
        Workers = workers;
        _threads = new Thread[workers - 1];
        for (int i = 0; i < _threads.Length; i++)
        {
            int worker = i + 1;
            _threads[i] = new Thread(() => Loop(worker)) { IsBackground = true, Name = $"windtunnel worker {worker}" };
            _threads[i].Start();
        }
    }

    /// <summary>How many threads share the work, the calling one included.</summary>
    public int Workers { get; }

    /// <summary>
    /// Runs items 0 to <paramref name="items"/> - 1 and returns when all are done; then rethrows the exception of one that failed.
    /// Not reentrant.
    /// </summary>
    public void Run<TWork>(TWork work, int items)
        where TWork : struct, IWork
    {
        if (_threads.Length == 0 || items <= 1)
        {
            for (int item = 0; item < items; item++)
            {
                Invoke<TWork>(Unsafe.AsPointer(ref work), item, 0);
            }

            return;
        }

        _work = Unsafe.AsPointer(ref work);
        _invoke = &Invoke<TWork>;
        _items = items;
        _counters.Next = 0;
        Volatile.Write(ref _counters.Running, _threads.Length);
        Interlocked.Increment(ref _counters.Generation);
        WakeSleepers();
        Drain(0);
        for (int spin = 0; Volatile.Read(ref _counters.Running) != 0; spin++)
        {
            if (spin < SpinsBeforeSleep)
            {
                Thread.SpinWait(4);
            }
            else
            {
                Thread.Yield();
            }
        }

        if (_failure is { } failure)
        {
            _failure = null;
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    /// <summary>Ends the threads.</summary>
    public void Dispose()
    {
        _stopping = true;
        Interlocked.Increment(ref _counters.Generation);
        WakeSleepers();
        foreach (Thread thread in _threads)
        {
            thread.Join();
        }
    }

    // Never inlined: one body of each kernel, whoever runs it. Inlined into Run, the JIT keeps its constants in memory.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Invoke<TWork>(void* work, int item, int worker)
        where TWork : struct, IWork => Unsafe.AsRef<TWork>(work).Run(item, worker);

    private void Drain(int worker)
    {
        // The caller must not unwind while others read its work, so exceptions wait until all have finished.
        try
        {
            int item;
            while ((item = Interlocked.Increment(ref _counters.Next) - 1) < _items)
            {
                _invoke(_work, item, worker);
            }
        }
#pragma warning disable CA1031 // Run rethrows it
        catch (Exception failure)
        {
            _failure = failure;
        }
#pragma warning restore CA1031
    }

    private void Loop(int worker)
    {
        int seen = 0;
        while (true)
        {
            seen = AwaitWork(seen);
            if (_stopping)
            {
                return;
            }

            Drain(worker);
            Interlocked.Decrement(ref _counters.Running);
        }
    }

    private int AwaitWork(int seen)
    {
        for (int spin = 0; spin < SpinsBeforeSleep; spin++)
        {
            int generation = Volatile.Read(ref _counters.Generation);
            if (generation != seen)
            {
                return generation;
            }

            Thread.SpinWait(4);
        }

        lock (_sleepers)
        {
            // Counted before the last look at Generation: WakeSleepers, which looks in the other order, can't miss this one.
            Interlocked.Increment(ref _counters.Sleeping);
            int generation;
            while ((generation = Volatile.Read(ref _counters.Generation)) == seen)
            {
                Monitor.Wait(_sleepers);
            }

            Interlocked.Decrement(ref _counters.Sleeping);
            return generation;
        }
    }

    private void WakeSleepers()
    {
        if (Volatile.Read(ref _counters.Sleeping) > 0)
        {
            lock (_sleepers)
            {
                Monitor.PulseAll(_sleepers);
            }
        }
    }

    // One cache line each: a worker that polls Generation must not slow the others down on Next.
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Explicit, Size = 320)]
    private struct PaddedCounters
    {
        [System.Runtime.InteropServices.FieldOffset(64)]
        public int Generation;

        [System.Runtime.InteropServices.FieldOffset(128)]
        public int Next;

        [System.Runtime.InteropServices.FieldOffset(192)]
        public int Running;

        [System.Runtime.InteropServices.FieldOffset(256)]
        public int Sleeping;
    }
}
