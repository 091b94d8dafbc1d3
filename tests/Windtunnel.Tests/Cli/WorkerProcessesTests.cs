using Windtunnel.Cli;

namespace Windtunnel.Tests.Cli;

/// <summary>The cores that workers get.</summary>
public sealed class WorkerProcessesTests
{
    [Theory]
    [InlineData(0b1111, 4, 2, new ulong[] { 0b0011, 0b1100 })]
    [InlineData(0b1010_1000, 3, 2, new ulong[] { 0b1000, 0b10_0000 })]
    [InlineData(0b0110, 2, 3, new ulong[] { 0b0010, 0b0100, 0b0010 })]
    public void Each_worker_has_its_share_of_the_cores_that_this_process_may_use(ulong affinity, int processors, int count, ulong[] expected)
    {
        Assert.Equal(expected, WorkerProcesses.Shares(affinity, processors, count));
    }

    [Theory]
    [InlineData(0xFFFF, 2)]
    [InlineData(0, 4)]
    [InlineData(ulong.MaxValue, 128)]
    public void Under_a_quota_or_where_cores_are_not_known_no_worker_is_tied_to_any(ulong affinity, int processors)
    {
        Assert.Equal([0ul, 0ul], WorkerProcesses.Shares(affinity, processors, 2));
    }
}
