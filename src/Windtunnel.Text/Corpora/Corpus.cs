using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json.Serialization;

namespace Windtunnel.Text.Corpora;

/// <summary>One document of a corpus.</summary>
public sealed record Document(string Text);

/// <summary>Options that build a <see cref="Corpus"/>; add a corpus with one file and one line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(DotnetDocsCorpusOptions), "dotnet-docs")]
[JsonDerivedType(typeof(FilesCorpusOptions), "files")]
[JsonDerivedType(typeof(SotuCorpusOptions), "sotu")]
[JsonDerivedType(typeof(SyntheticCorpusOptions), "synthetic")]
public abstract record CorpusOptions
{
    /// <summary>The name it is registered under, as in a config file.</summary>
    internal string TypeName => typeof(CorpusOptions).GetCustomAttributes<JsonDerivedTypeAttribute>()
        .Single(registered => registered.DerivedType == GetType()).TypeDiscriminator!.ToString()!;

    public abstract Corpus Build();

    /// <summary>Checks all that can be checked without the source.</summary>
    /// <param name="path">Where the options stand in the config, for the message.</param>
    /// <exception cref="ValidationException">An option is out of range.</exception>
    public virtual void Validate(string path = "corpus")
    {
    }
}

/// <summary>A source of documents, read as a stream in an order that never changes.</summary>
public abstract class Corpus
{
    /// <summary>The documents, in a deterministic order; each enumeration reads the source again.</summary>
    public abstract IEnumerable<Document> Documents();

    /// <summary>A line of text that changes when the documents do; prepared datasets are keyed by it.</summary>
    public abstract string Fingerprint();
}
