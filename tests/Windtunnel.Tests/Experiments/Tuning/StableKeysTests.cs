using Windtunnel.Experiments.Tuning;

namespace Windtunnel.Tests.Experiments.Tuning;

/// <summary>Stable settings, by hand and in the published AdamW runs of Wen et al. 2025 at {130M x 1, 2, 4, 8; 300M and 520M x 1}.</summary>
public sealed class StableKeysTests
{
    [Fact]
    public void A_value_that_is_good_everywhere_makes_a_key_stable_and_else_a_smallest_cover_is_kept()
    {
        Axis[] axes = [new Axis("stable", ["a", "b", "c"]), new Axis("moving", ["a", "b", "c", "d"])];
        IReadOnlyList<IReadOnlyList<GridPoint>> best =
        [
            [new(0, 0), new(1, 1)], [new(1, 1)], [new(1, 2), new(2, 3)], [new(1, 3)],
        ];

        IReadOnlyList<StableKeys> keys = StableKeys.Of(axes, best);

        Assert.Equal(("stable", true), (keys[0].Key, keys[0].IsStable));
        Assert.Equal(["b"], keys[0].Values);
        Assert.False(keys[1].IsStable);
        Assert.Equal(["b", "d"], keys[1].Values);
    }

    [Fact]
    public void The_cover_is_as_small_as_any()
    {
        Random random = new(3);
        for (int trial = 0; trial < 200; trial++)
        {
            HashSet<int>[] sets = [.. Enumerable.Range(0, 6).Select(_ => Enumerable.Range(0, 7).Where(_ => random.Next(3) == 0).Append(random.Next(7)).ToHashSet())];
            int[] cover = StableKeys.SmallestCover(sets, 7);

            Assert.All(sets, set => Assert.True(set.Overlaps(cover)));
            int smallest = Enumerable.Range(1, 127).Where(bits => sets.All(set => set.Any(value => (bits >> value & 1) == 1))).Min(bits => System.Numerics.BitOperations.PopCount((uint)bits));
            Assert.Equal(smallest, cover.Length);
        }
    }

    [Theory]
    [MemberData(nameof(AdamW))]
    public void Published_AdamW_runs_have_the_study_s_verdict(string key, string[] values, double[][] losses, double[] best, bool isStable, string[] kept)
    {
        // A cell's best is over all of its runs, so that no value of one setting may be good.
        IReadOnlyList<IReadOnlyList<GridPoint>> good = [.. losses.Select((cell, i) =>
            (IReadOnlyList<GridPoint>)[.. cell.Index().Where(run => run.Item <= best[i] + 3e-3).Select(run => new GridPoint(run.Index))])];

        StableKeys verdict = Assert.Single(StableKeys.Of([new Axis(key, values)], good));

        Assert.Equal(isStable, verdict.IsStable);
        Assert.Equal(kept, verdict.Values);
    }

    public static TheoryData<string, string[], double[][], double[], bool, string[]> AdamW()
    {
        double[] best = [3.5291, 3.4078, 3.3217, 3.2606, 3.2629, 3.1096];
        return new()
        {
            {
                "learning_rate", ["4e-3", "8e-3", "16e-3", "32e-3"],
                [
                    [3.5496, 3.5291, 3.5382, 7.7806], [3.4202, 3.4092, 3.4186, 7.8403], [3.3289, 3.3217, 3.3374, 7.5619],
                    [3.2701, 3.2616, 7.4354, 7.6581], [3.2718, 3.2635, 7.7605, 7.7837], [3.1096, 7.8367, 7.7558, 7.6796],
                ],
                best, false, ["4e-3", "8e-3"]
            },
            {
                "warmup", ["500", "1000", "2000", "4000"],
                [
                    [7.4525, 3.5320, 3.5291, 3.5745], [7.2769, 3.4126, 3.4092, 3.4148], [7.2620, 3.3272, 3.3217, 3.3253],
                    [3.2777, 3.2616, 3.2628, 3.2618], [7.7044, 7.7590, 3.2635, 3.2701], [3.1649, 3.1096, 3.1133, 3.1263],
                ],
                best, false, ["1000", "2000"]
            },
            {
                "beta2", ["0.9", "0.95", "0.98"],
                [
                    [3.5446, 3.5345, 3.5291], [3.4229, 3.4135, 3.4092], [3.3378, 3.3293, 3.3217],
                    [3.2720, 3.2659, 3.2616], [3.2804, 3.2687, 3.2635], [3.1162, 3.1112, 3.1096],
                ],
                best, true, ["0.98"]
            },
        };
    }
}
