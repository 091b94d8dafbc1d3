using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws.Planning;

namespace Windtunnel.Tests.Laws.Planning;

public sealed class BudgetTests
{
    [Fact]
    public void Hours_money_and_operations_are_the_same_budget()
    {
        Cluster cluster = new(Accelerator.Find("H100"), Precision.Bf16, Count: 8, Utilisation: 0.4);

        Budget hours = Budget.OfHours(200, cluster, 2.5), money = Budget.OfMoney(500, 2.5, cluster);

        Assert.Equal(200 * 3600 * 989e12 * 0.4, hours.Flops, 1e10);
        Assert.Equal(hours, money);
        Assert.Equal(200, cluster.AcceleratorHours(hours.Flops), 1e-9);
        Assert.Equal(25 * 3600, cluster.Seconds(hours.Flops), 1e-6);
    }

    [Fact]
    public void The_table_has_one_name_a_device_and_sane_figures()
    {
        Assert.Distinct(Accelerator.All.Select(each => each.Name));
        Assert.All(Accelerator.All, each =>
        {
            Assert.InRange(each.Memory, 16e9, 300e9);
            Assert.InRange(each.Peak(each.Best), 50e12, 3e15);
            Assert.True(each.Fp32 is null || each.Fp32 < each.Peak(each.Best));
        });
        Assert.Equal(312e12, Accelerator.Find("a100").Peak(Precision.Bf16));
        Assert.Equal(Precision.Fp16, Accelerator.Find("v100").Best);
    }

    [Fact]
    public void What_cannot_be_is_refused_in_one_line()
    {
        Cluster cluster = new(Accelerator.Find("a100"), Precision.Bf16);
        Assert.Contains("there are t4, v100", Message(() => Accelerator.Find("h1000")));
        Assert.Contains("its best is fp16", Message(() => Accelerator.Find("v100").Peak(Precision.Bf16)));
        Assert.Contains("must lie between", Message(() => Budget.OfFlops(-1)));
        Assert.Contains("must lie between", Message(() => Budget.OfFlops(double.NaN)));
        Assert.Contains("0.4 is usual", Message(() => Budget.OfFlops(1e20, cluster with { Utilisation = 40 })));
        Assert.Contains("give 1 to", Message(() => Budget.OfFlops(1e20, cluster with { Count = 0 })));
        Assert.Contains("more than none", Message(() => Budget.OfHours(0, cluster)));
        Assert.Contains("both must be positive", Message(() => Budget.OfMoney(100, 0, cluster)));

        static string Message(Action refused) => Assert.Throws<ValidationException>(refused).Message;
    }
}
