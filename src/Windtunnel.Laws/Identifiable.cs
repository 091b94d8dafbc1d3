using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Laws;

/// <summary>Refuses data that cannot say anything about a law's parameters, whatever the fitter would make of them.</summary>
internal static class Identifiable
{
    /// <exception cref="ValidationException">Fewer rows than free parameters, or an input that never varies.</exception>
    public static void Require(PointLaw law, Observations data, int pinned)
    {
        int rows = data.Observed.Length, free = law.Parameters.Count - pinned;
        if (rows < free)
        {
            string left = data.Excluded.Count > 0 ? $" ({data.Excluded.Count} left out: {data.Excluded[0].Row}, {data.Excluded[0].Reason})" : "";
            throw new ValidationException($"{data.Source}: {rows} usable rows{left} are too few for {free} parameters ({string.Join(", ", law.Parameters.Select(parameter => parameter.Name))}); add runs, or hold parameters with --fix");
        }

        for (int i = 0; i < law.Inputs.Count; i++)
        {
            double first = data.Inputs[i];
            if (free > 1 && data.Inputs.Where((_, index) => index % law.Inputs.Count == i).All(value => value == first))
            {
                string name = law.Inputs[i].Name;
                throw new ValidationException($"{data.Source}: {data.Columns.GetValueOrDefault(name, name)} is {first} in every row; a law of {name} needs at least two values, better four");
            }
        }
    }
}
