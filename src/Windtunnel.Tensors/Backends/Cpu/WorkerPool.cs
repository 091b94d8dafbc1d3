using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>A kernel that is cut into items; items write disjoint outputs, so who runs which item does not change a bit of the result.</summary>
internal interface IWork
{
    /// <summary>Runs one item on worker <paramref name="worker"/> (0 is the calling thread).</summary>
    void Run(int item, int worker);
}

/// <summary>
/// Persistent threads that share the items of one kernel at a time. Workers spin for a while before they sleep, so that a fork
/// and join costs well under a microsecond inside a training step, and nothing between steps. The caller waits for items, not
/// for threads: one that the system has put aside holds nobody up unless it is in the middle of an item.
/// </summary>
internal sealed unsafe class WorkerPool : IDisposable
{
    private const int SpinsBeforeSleep = 20_000;

    private readonly Thread[] _threads;
    private readonly object _sleepers = new();
    private Counters _counters;
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

        Open(Unsafe.AsPointer(ref work), &Invoke<TWork>, items);
        Drain(Generation, 0);
        for (int spin = 0; Volatile.Read(ref _counters.Done) != items; spin++)
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
        Open(null, null, 0);
        foreach (Thread thread in _threads)
        {
            thread.Join();
        }
    }

    // Never inlined: one body of each kernel, whoever runs it. Inlined into Run, the JIT keeps its constants in memory.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Invoke<TWork>(void* work, int item, int worker)
        where TWork : struct, IWork => Unsafe.AsRef<TWork>(work).Run(item, worker);

    private int Generation => (int)(Volatile.Read(ref _counters.Ticket) >> 32);

    // The ticket is the region's generation and its next item in one word. Between regions no item can be taken, so a worker
    // that reads half of the old region and half of the new one fails to claim with the ticket it has.
    private void Open(void* work, delegate*<void*, int, int, void> invoke, int items)
    {
        long generation = Generation;
        Interlocked.Exchange(ref _counters.Ticket, (generation << 32) | int.MaxValue);
        _work = work;
        _invoke = invoke;
        _items = items;
        Volatile.Write(ref _counters.Done, 0);
        Interlocked.Exchange(ref _counters.Ticket, (generation + 1) << 32);
        WakeSleepers();
    }

    private void Drain(int generation, int worker)
    {
        void* work = _work;
        delegate*<void*, int, int, void> invoke = _invoke;
        int items = _items;
        while (true)
        {
            long ticket = Volatile.Read(ref _counters.Ticket);
            int item = (int)ticket;
            if ((int)(ticket >> 32) != generation || item >= items)
            {
                return;
            }

            if (Interlocked.CompareExchange(ref _counters.Ticket, ticket + 1, ticket) != ticket)
            {
                continue;
            }

            // The caller must not unwind while others read its work, so exceptions wait until all items are done.
            try
            {
                invoke(work, item, worker);
            }
#pragma warning disable CA1031 // Run rethrows it
            catch (Exception failure)
            {
                _failure = failure;
            }
#pragma warning restore CA1031

            Interlocked.Increment(ref _counters.Done);
        }
    }

    private void Loop(int worker)
    {
        int seen = 0;
        while (true)
        {
            seen = AwaitRegion(seen);
            if (_stopping)
            {
                return;
            }

            Drain(seen, worker);
        }
    }

    private int AwaitRegion(int seen)
    {
        for (int spin = 0; spin < SpinsBeforeSleep; spin++)
        {
            int generation = Generation;
            if (generation != seen)
            {
                return generation;
            }

            Thread.SpinWait(4);
        }

        lock (_sleepers)
        {
            // Counted before the last look at the ticket: WakeSleepers, which looks in the other order, can't miss this one.
            Interlocked.Increment(ref _counters.Sleeping);
            int generation;
            while ((generation = Generation) == seen)
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

    // One cache line each.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Counters
    {
        [FieldOffset(64)]
        public long Ticket;

        [FieldOffset(128)]
        public int Done;

        [FieldOffset(192)]
        public int Sleeping;
    }
}
