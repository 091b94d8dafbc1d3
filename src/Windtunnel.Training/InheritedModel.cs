using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Models.Inheritance;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;

namespace Windtunnel.Training;

/// <summary>What a model inherits, with its references open: from the settings to the architecture, the weights and the record of both.</summary>
public sealed class InheritedModel
{
    private readonly IReadOnlyList<InheritedLayer> _taken;

    private InheritedModel(InheritanceOptions options, IReadOnlyList<Reference> references)
    {
        (Options, References) = (options, references);
        Target = options.Target([.. references.Select(reference => reference.Model)]);
        _taken = options.Taken([.. references.Select(reference => reference.Model.Dimensions.Layers)]);
    }

    /// <summary>What is inherited, with the references' absolute paths and hash.</summary>
    public InheritanceOptions Options { get; }

    /// <summary>The models that it is inherited from.</summary>
    public IReadOnlyList<Reference> References { get; }

    /// <summary>The architecture of the model that inherits.</summary>
    public ModelOptions Target { get; }

    /// <summary>The references that are not there; a config whose model is given can be costed without them.</summary>
    public static IReadOnlyList<string> Missing(InheritanceOptions options) => [.. options.Sources.Where(path => !Reference.Exists(path))];

    /// <summary>Opens the references.</summary>
    /// <param name="options">Those of a resolved config, or not yet resolved.</param>
    /// <exception cref="ValidationException">A reference is absent, is not the one that the options were resolved with, or has no such blocks.</exception>
    public static InheritedModel Open(InheritanceOptions options)
    {
        Reference[] references = [.. options.Sources.Select(path => Reference.Open(path, "inheritance.from"))];
        string sha256 = string.Join('+', references.Select(reference => reference.Sha256));
        return options.Sha256 is null || options.Sha256 == sha256
            ? new InheritedModel(options.At([.. references.Select(reference => reference.Path)], sha256), references)
            : throw new ValidationException(
                $"inheritance.from: the weights of {string.Join(" and ", options.Sources)} are not those that the config was resolved with; restore them, or start another run");
    }

    /// <summary>The model of a config that inherits: the target, with which whatever the config says of it must agree.</summary>
    /// <exception cref="ValidationException">It doesn't.</exception>
    public ModelOptions Agreeing(ModelOptions model)
    {
        // As good as nothing said: the default of a config.
        if (model == new LlamaOptions())
        {
            return Target;
        }

        JsonObject wanted = Json(Target), said = Json(model);
        foreach ((string name, JsonNode? value) in said)
        {
            if (name != "size" && value is not null && !JsonNode.DeepEquals(value, wanted[name]))
            {
                throw new ValidationException($"model.{name}: {value} is not the {wanted[name]?.ToString() ?? "default"} that is inherited; leave model out, for it follows from the reference");
            }
        }

        return Target;
    }

    /// <summary>Copies the weights into a model of <see cref="Target"/>, whose own have been drawn.</summary>
    /// <returns>Each parameter, and whether it was copied.</returns>
    public IReadOnlyList<InheritedParameter> Fill(Model target)
    {
        List<StoredModel> references = [];
        try
        {
            references.AddRange(References.Select(reference => reference.Stored()));
            return Options.Fill(target, references, _taken);
        }
        finally
        {
            references.ForEach(reference => reference.Dispose());
        }
    }

    /// <summary>What is written down of it.</summary>
    /// <param name="inherited">What <see cref="Fill"/> gave.</param>
    public RunLineage Lineage(IReadOnlyList<InheritedParameter> inherited) => new(
        [.. References.Select(reference => new LineageSource(reference.Path, reference.Sha256, reference.Model.Dimensions.Layers, reference.Model.Count().Total))],
        [.. _taken.Select(layer => layer.Layer)], Target.Count().Total,
        inherited.Where(parameter => parameter.Source is not null).Sum(parameter => parameter.Parameter.Shape.Count),
        JsonSerializer.SerializeToNode(Options, ConfigFile.JsonOptions)!.AsObject());

    private static JsonObject Json(ModelOptions model) => JsonSerializer.SerializeToNode(model, ConfigFile.JsonOptions)!.AsObject();
}
