using System.Text.Json;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;

namespace Windtunnel.Tests.Laws.Curves;

/// <summary>Areas, annealing, loss drops and metrics, against values from independent code for the published schedules.</summary>
public class CurveAnchorTests
{
    private static readonly string[] s_models = ["25", "100"];

    // README of the multi-power law's repository: L0, A, B, alpha, log C, beta, gamma.
    private static readonly double[] s_readme25 = [3.04045406, 0.52468604, 363.787516, 0.50786857, Math.Log(2.06560812), 0.58279013, 0.64142257];

    [Fact]
    public void Schedules_areas_annealing_and_drops_match_the_anchors_to_1e_9()
    {
        using JsonDocument anchors = JsonDocument.Parse(File.ReadAllText(SharedData.Require("data/curves/anchors.json")));
        foreach (string name in PublicCurves.Names)
        {
            JsonElement anchor = anchors.RootElement.GetProperty("sched_" + name);
            LearningRateSequence rates = PublicCurves.Schedule(name);
            Assert.Equal(anchor.GetProperty("total").GetInt32(), rates.Last + 1);
            foreach (JsonProperty rate in anchor.GetProperty("lr").EnumerateObject())
            {
                Assert.Equal(rate.Value.GetDouble(), rates[int.Parse(rate.Name)], 1e-15);
            }

            Assert.Equal(anchor.GetProperty("S1_end").GetDouble(), rates.Areas([rates.Last], WarmupHandling.Ramp)[0], 1e-9);
            Assert.Equal(anchor.GetProperty("S1_end_constwarmup").GetDouble(), rates.Areas([rates.Last], WarmupHandling.Peak)[0], 1e-9);
            foreach (JsonProperty annealing in anchor.GetProperty("S2_end").EnumerateObject())
            {
                Assert.Equal(
                    annealing.Value.GetDouble(), rates.Annealing([rates.Last], double.Parse(annealing.Name), WarmupHandling.Ramp)[0], 1e-9);
            }

            Assert.Equal(anchor.GetProperty("LD_readme25").GetDouble(), LossDrop(0), 1e-9);
            Assert.Equal(anchor.GetProperty("LD_readme25").GetDouble(), LossDrop(0.0625), 3e-6);

            double LossDrop(double merge) =>
                -new MultiPowerLaw(Free: true, Merge: merge).PredictLast([0, 0, s_readme25[2], .. s_readme25.AsSpan(3)], rates);
        }
    }
}
