using System.Runtime.CompilerServices;
using Windtunnel.Tensors.Backends.Cpu;

namespace Windtunnel.Tests.Tensors.Backends.Cpu;

public sealed class WorkerPoolTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Every_item_of_many_tiny_regions_runs_exactly_once(int workers)
    {
        using WorkerPool pool = new(workers);
        int[] runs = new int[7];
        const int regions = 100_000;

        for (int region = 0; region < regions; region++)
        {
            pool.Run(new CountWork(runs), runs.Length);
        }

        Assert.All(runs, count => Assert.Equal(regions, count));
    }

    [Fact]
    public void Workers_that_fell_asleep_wake_up_for_the_next_region()
    {
        using WorkerPool pool = new(3);
        int[] runs = new int[64];

        for (int region = 0; region < 4; region++)
        {
            pool.Run(new CountWork(runs), runs.Length);
            Thread.Sleep(30);
        }

        Assert.All(runs, count => Assert.Equal(4, count));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void An_exception_reaches_the_caller_as_it_was_thrown_and_the_pool_stays_usable(int workers)
    {
        using WorkerPool pool = new(workers);
        for (int round = 0; round < 200; round++)
        {
            // With every item failing, the calling thread and the others all throw at some time.
            int failing = round % 4 == 3 ? -1 : round % 4 * 16;
            InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => pool.Run(new FailingWork(failing), 64));
            Assert.StartsWith("item ", error.Message, StringComparison.Ordinal);

            int[] runs = new int[16];
            pool.Run(new CountWork(runs), runs.Length);
            Assert.All(runs, count => Assert.Equal(1, count));
        }
    }

    private readonly struct CountWork(int[] runs) : IWork
    {
        public void Run(int item, int worker) => Interlocked.Increment(ref runs[item]);
    }

    private readonly struct FailingWork(int failing) : IWork
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public void Run(int item, int worker)
        {
            if (failing < 0 || item == failing)
            {
                throw new InvalidOperationException($"item {item}");
            }
        }
    }
}
