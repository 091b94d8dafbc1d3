using System.CommandLine;
using Windtunnel.Laws;

namespace Windtunnel.Cli.Verbs;

/// <summary>Lists the laws, or shows one.</summary>
internal static class LawsVerb
{
    private static readonly Argument<string?> s_name = new("name") { Description = "a law", Arity = ArgumentArity.ZeroOrOne };

    public static Command Command
    {
        get
        {
            Verb laws = new("laws", "list the laws that can be fitted, or show one", """
                windtunnel laws
                windtunnel laws chinchilla
                """) { s_name };
            laws.SetAction(Run);
            return laws;
        }
    }

    private static int Run(ParseResult parsed)
    {
        if (parsed.GetValue(s_name) is { } name)
        {
            Show(LawCatalog.Default(name));
            return 0;
        }

        TextTable table = new("<law", "<relates", "<formula");
        foreach (string each in LawCatalog.Names)
        {
            Law law = LawCatalog.Default(each);
            table.Add(each, law.Title, law.Formula);
        }

        table.Write();
        return 0;
    }

    private static void Show(Law law)
    {
        Console.WriteLine($"{LawCatalog.NameOf(law)}: {law.Title}");
        Console.WriteLine($"  {law.Formula}");
        Console.WriteLine($"  source     {law.Source}");
        Console.WriteLine($"  objective  {law.Objective}");
        Console.WriteLine();
        TextTable table = new("<", "<name", "<unit", "<meaning");
        table.Add("output", law.Output.Name, law.Output.Unit, law.Output.Meaning);
        foreach (Laws.Quantity input in (law as PointLaw)?.Inputs ?? [])
        {
            table.Add("input", input.Name, input.Unit, input.Meaning);
        }

        foreach (Parameter parameter in law.Parameters)
        {
            string bounds = double.IsInfinity(parameter.Lower) ? "any" : double.IsInfinity(parameter.Upper) ? $"at least {parameter.Lower:G4}" : $"{parameter.Lower:G4} to {parameter.Upper:G4}";
            table.Add(parameter.Kind.ToString().ToLowerInvariant(), parameter.Name, parameter.Unit, bounds);
        }

        foreach (DerivedQuantity derived in law.Derived)
        {
            table.Add("derived", derived.Name, derived.Unit, null);
        }

        table.Write();
    }
}
