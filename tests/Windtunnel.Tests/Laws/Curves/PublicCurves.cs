using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Reproduction;

namespace Windtunnel.Tests.Laws.Curves;

/// <summary>The published curves; a test that reads them is skipped where they are absent.</summary>
internal static class PublicCurves
{
    public static LossCurve[] Read(string model, IEnumerable<string> names) => PublishedCurves.Read(Table, model, names);

    public static LossCurve[] ReadCooldowns(double peak) => PublishedCurves.ReadCooldowns(Table, peak);

    private static PointTable Table(string file) => PointTable.Read(SharedData.Require($"data/curves/{file}"));
}
