using System.Globalization;
using System.Text.RegularExpressions;

namespace Windtunnel.Models.Inheritance;

/// <summary>A part of a model that is copied as one.</summary>
internal enum ModelPart
{
    Tokens,
    Positions,
    Attention,
    FeedForward,
    FinalNorm,
    Head,
}

/// <summary>Where in a model a parameter is, by its Hugging Face name.</summary>
/// <param name="Part">A block's norms belong to what they come before.</param>
/// <param name="Layer">The block, from 0; null outside.</param>
/// <param name="IsNorm">Whether it is a gain or bias of a norm.</param>
internal sealed partial record ParameterPlace(ModelPart Part, int? Layer, bool IsNorm)
{
    /// <summary>The block that a name is of, from 0; null outside.</summary>
    public static int? LayerOf(string name) =>
        Block().Match(name) is { Success: true } block && int.TryParse(block.Groups["layer"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out int layer) ? layer : null;

    /// <summary>The name of the same parameter in another block; a name outside the blocks as it is.</summary>
    public static string InBlock(string name, int layer) =>
        Block().Replace(name, string.Create(CultureInfo.InvariantCulture, $"${{before}}{layer}${{after}}"));

    public static ParameterPlace Of(Parameter parameter)
    {
        bool isNorm = parameter.Role == ParameterRole.Norm;
        Match block = Block().Match(parameter.Name);
        if (block.Success)
        {
            string after = block.Groups["after"].Value;
            ModelPart part = InAttention().IsMatch(after) ? ModelPart.Attention : ModelPart.FeedForward;
            return new ParameterPlace(part, int.Parse(block.Groups["layer"].Value, CultureInfo.InvariantCulture), isNorm);
        }

        return new ParameterPlace(
            parameter.Role switch
            {
                ParameterRole.Head => ModelPart.Head,
                ParameterRole.Norm => ModelPart.FinalNorm,
                _ => parameter.Name.Contains(".wpe.", StringComparison.Ordinal) ? ModelPart.Positions : ModelPart.Tokens,
            },
            Layer: null, isNorm);
    }

    [GeneratedRegex(@"\A(?<before>.*\.(layers|h)\.)(?<layer>\d+)(?<after>\..*)\z")]
    private static partial Regex Block();

    [GeneratedRegex(@"\A\.(self_attn\.|attn\.|input_layernorm\.|ln_1\.)")]
    private static partial Regex InAttention();
}
