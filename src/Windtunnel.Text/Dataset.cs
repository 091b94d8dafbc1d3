using System.Buffers.Binary;
using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Windtunnel.Text.Corpora;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Text;

/// <summary>One source of a mixture.</summary>
/// <param name="Corpus">Its documents; null: dotnet-docs.</param>
/// <param name="Weight">Share of the training sequences, relative to the other sources.</param>
/// <param name="SubsetTokens">Train on a random subset of the documents with this many tokens; null: on all.</param>
/// <param name="Name">What its files and metrics are called; null: the corpus's type.</param>
public sealed record SourceOptions(CorpusOptions? Corpus = null, double Weight = 1, long? SubsetTokens = null, string? Name = null);

/// <summary>What to train on: one corpus, or a mixture.</summary>
/// <param name="Corpus">The corpus, where there is one; null: dotnet-docs.</param>
/// <param name="Sources">A mixture, in place of <paramref name="Corpus"/> and <paramref name="SubsetTokens"/>.</param>
/// <param name="Tokenizer">Null: bpe, trained on the training documents of all sources.</param>
/// <param name="ValidationFraction">Share of the documents held out, chosen by each document's own hash.</param>
/// <param name="SubsetTokens">Train on a random subset of the documents with this many tokens; null: on all.</param>
/// <param name="SubsetSeed">Another seed gives other subsets; with one seed, a smaller subset is part of a larger one.</param>
public sealed record DataOptions(
    CorpusOptions? Corpus = null,
    SourceOptions[]? Sources = null,
    TokenizerOptions? Tokenizer = null,
    double ValidationFraction = 0.02,
    long? SubsetTokens = null,
    ulong SubsetSeed = 0);

/// <summary>What a prepared split holds.</summary>
/// <param name="Documents">Number of documents.</param>
/// <param name="Bytes">Their text in UTF-8.</param>
/// <param name="Tokens">Their tokens, end-of-text tokens included.</param>
/// <param name="Sha256">The shard's hash, in hexadecimal.</param>
public sealed record SplitManifest(long Documents, long Bytes, long Tokens, string Sha256);

/// <summary>What a prepared source holds; <paramref name="Fingerprint"/> is its corpus's.</summary>
public sealed record SourceManifest(string Name, string Fingerprint, SplitManifest Train, SplitManifest Validation);

/// <summary>The content of dataset.json.</summary>
/// <param name="Format">Version of the folder's layout.</param>
/// <param name="Key">SHA-256, in hexadecimal, of all that the content depends on.</param>
/// <param name="TokenizerSha256">SHA-256 of tokenizer.json, in hexadecimal.</param>
/// <param name="VocabularySize">The tokenizer's.</param>
/// <param name="Sources">In the options' order.</param>
/// <param name="Options">The options the folder was first prepared with.</param>
public sealed record DatasetManifest(
    int Format, string Key, string TokenizerSha256, int VocabularySize, IReadOnlyList<SourceManifest> Sources, DataOptions Options);

/// <summary>
/// Tokenized training and validation documents in a folder named by what they depend on:
/// tokenizer.json, a .train.bin and a .val.bin shard for each source, and dataset.json, which makes the folder complete.
/// </summary>
public sealed class Dataset : IDisposable
{
    private const int Format = 1;

    /// <summary>Shards up to this size are read and checked whole when a dataset is opened.</summary>
    private const long VerifiedTokensMax = 500_000_000;

    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        AllowDuplicateProperties = false,
        AllowOutOfOrderMetadataProperties = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        NumberHandling = JsonNumberHandling.Strict,
    };

    private Dataset(string folder, DatasetManifest manifest, Tokenizer tokenizer, List<TrainingSource> training, List<ValidationSource> validation)
    {
        (Folder, Manifest, Tokenizer, Training, Validation) = (folder, manifest, tokenizer, training, validation);
    }

    public string Folder { get; }

    public DatasetManifest Manifest { get; }

    public Tokenizer Tokenizer { get; }

    /// <summary>The training documents, or the chosen subsets of them, in the options' order.</summary>
    public IReadOnlyList<TrainingSource> Training { get; }

    /// <summary>The held-out documents, in the options' order; none where the validation fraction is 0.</summary>
    public IReadOnlyList<ValidationSource> Validation { get; }

    /// <summary>Endless training batches of sequences of T tokens.</summary>
    public BatchLoader Loader(int sequenceLength, ulong seed) => new(Training, sequenceLength, seed);

    /// <summary>
    /// Whether a document is held out. It depends on the document alone: the first 64 bits of the SHA-256 of its UTF-8
    /// text, as a fraction of 2^64, are below <paramref name="fraction"/>.
    /// </summary>
    public static bool IsHeldOut(string document, double fraction) =>
        BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(document))) * (1.0 / (1UL << 32) / (1UL << 32)) < fraction;

    /// <summary>Opens the dataset that options describe, after preparing it in a folder under root where it is not there yet.</summary>
    /// <param name="options">What to prepare. Weights and subsets don't change the folder.</param>
    /// <param name="root">The folder of all prepared datasets.</param>
    /// <param name="progress">Receives a line for each step.</param>
    /// <exception cref="ValidationException">An option is wrong, or a source can't be had.</exception>
    /// <exception cref="InvalidDataException">A source, or the prepared folder, is damaged.</exception>
    public static Dataset Prepare(DataOptions options, string root, Action<string>? progress = null)
    {
        if (options.ValidationFraction is not (>= 0 and < 1))
        {
            throw new ValidationException($"data: validationFraction {options.ValidationFraction} is out of range: use 0 to less than 1");
        }

        List<Source> sources = Sources(options);
        TokenizerOptions tokenizer = options.Tokenizer ?? new BpeTokenizerOptions();
        string key = Key(options, sources, tokenizer);
        string name = string.Join('+', sources.Select(source => source.Name));
        string folder = Path.Combine(root, $"{name[..Math.Min(name.Length, 64)]}-{key[..12]}");
        if (!File.Exists(ManifestPath(folder)))
        {
            Build(folder, key, options, sources, tokenizer, progress);
        }

        return Open(folder, key, options, sources);
    }

    public void Dispose()
    {
        foreach (TokenShard shard in Training.Select(source => source.Shard).Concat(Validation.Select(source => source.Shard)))
        {
            shard.Dispose();
        }
    }

    private static List<Source> Sources(DataOptions options)
    {
        if (options.Sources is not null && (options.Corpus is not null || options.SubsetTokens is not null))
        {
            throw new ValidationException("data: sources excludes corpus and subsetTokens: move them into sources");
        }

        SourceOptions[] described = options.Sources ?? [new SourceOptions(options.Corpus, SubsetTokens: options.SubsetTokens)];
        List<Source> sources = [];
        foreach (SourceOptions source in described)
        {
            Corpus corpus = (source.Corpus ?? new DotnetDocsCorpusOptions()).Build();
            string name = source.Name ?? corpus.Name;
            if (name.Length is 0 or > 64 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
            {
                throw new ValidationException($"data: source name '{name}' must be 1 to 64 letters, digits, - or _");
            }

            if (sources.Any(other => other.Name.Equals(name, StringComparison.OrdinalIgnoreCase)))
            {
                throw new ValidationException($"data: two sources are named '{name}': set each one's name");
            }

            sources.Add(new Source(name, corpus, corpus.Fingerprint(), source));
        }

        return sources.Count > 0 ? sources : throw new ValidationException("data: sources is empty: name at least one, or leave it out");
    }

    private static string Key(DataOptions options, List<Source> sources, TokenizerOptions tokenizer)
    {
        string content = string.Join('\n',
            [$"windtunnel dataset {Format}", $"{options.ValidationFraction:r}", tokenizer.Fingerprint(), .. sources.Select(source => $"{source.Name}: {source.Fingerprint}")]);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)));
    }

    private static void Build(
        string folder, string key, DataOptions options, List<Source> sources, TokenizerOptions tokenizerOptions, Action<string>? progress)
    {
        string work = $"{folder}.tmp-{Guid.NewGuid():n}";
        Directory.CreateDirectory(work);
        try
        {
            progress?.Invoke("building the tokenizer");
            Tokenizer tokenizer = tokenizerOptions.Train(
                sources.SelectMany(source => source.Texts()).Where(text => !IsHeldOut(text, options.ValidationFraction)));
            tokenizer.Save(TokenizerPath(work));

            List<SourceManifest> manifests = [];
            foreach (Source source in sources)
            {
                progress?.Invoke($"tokenizing {source.Name}");
                SourceManifest manifest = Tokenize(work, source, tokenizer, options.ValidationFraction);
                manifests.Add(manifest);
                progress?.Invoke(
                    $"{source.Name}: {manifest.Train.Documents} training documents, {manifest.Train.Tokens} tokens; {manifest.Validation.Documents} held out, {manifest.Validation.Tokens} tokens");
                if (manifest.Train.Documents == 0 || (manifest.Validation.Documents == 0 && options.ValidationFraction > 0))
                {
                    throw new ValidationException(
                        $"source {source.Name}: {manifest.Train.Documents} training and {manifest.Validation.Documents} held-out documents are too few: give it more documents or change validationFraction");
                }
            }

            DatasetManifest dataset = new(Format, key, Convert.ToHexStringLower(tokenizer.Sha256), tokenizer.VocabularySize, manifests, options);
            AtomicFile.Write(ManifestPath(work), stream => JsonSerializer.Serialize(stream, dataset, s_json));
            if (Directory.Exists(folder) && !File.Exists(ManifestPath(folder)))
            {
                Directory.Delete(folder, recursive: true);
            }

            try
            {
                Directory.Move(work, folder);
            }
            catch (IOException) when (File.Exists(ManifestPath(folder)))
            {
                // Another process prepared the same dataset first.
            }
        }
        finally
        {
            if (Directory.Exists(work))
            {
                Directory.Delete(work, recursive: true);
            }
        }
    }

    private static SourceManifest Tokenize(string folder, Source source, Tokenizer tokenizer, double fraction)
    {
        using TokenShardWriter train = new(TrainPath(folder, source.Name), tokenizer.VocabularySize, tokenizer.Sha256);
        using TokenShardWriter validation = new(ValidationPath(folder, source.Name), tokenizer.VocabularySize, tokenizer.Sha256);
        long trainBytes = 0, validationBytes = 0;
        foreach (List<string> batch in DocumentBatches.Of(source.Texts()))
        {
            (int[] Ids, int Bytes, bool HeldOut)[] encoded = new (int[], int, bool)[batch.Count];
            Parallel.For(0, batch.Count, i =>
            {
                List<int> ids = new(batch[i].Length / 3);
                tokenizer.Encode(batch[i].AsSpan(), ids);
                ids.Add(tokenizer.EndOfTextId);
                encoded[i] = ([.. ids], Encoding.UTF8.GetByteCount(batch[i]), IsHeldOut(batch[i], fraction));
            });

            foreach ((int[] ids, int bytes, bool heldOut) in encoded)
            {
                (heldOut ? validation : train).Append(ids);
                (heldOut ? ref validationBytes : ref trainBytes) += bytes;
            }
        }

        train.Commit();
        validation.Commit();
        return new SourceManifest(source.Name, source.Fingerprint,
            Split(TrainPath(folder, source.Name), trainBytes), Split(ValidationPath(folder, source.Name), validationBytes));

        static SplitManifest Split(string path, long bytes)
        {
            using TokenShard shard = TokenShard.Open(path);
            return new SplitManifest(shard.DocumentCount, bytes, shard.TokenCount, Convert.ToHexStringLower(shard.Sha256));
        }
    }

    private static Dataset Open(string folder, string key, DataOptions options, List<Source> sources)
    {
        List<TokenShard> opened = [];
        try
        {
            DatasetManifest manifest = ReadManifest(folder);
            if (manifest.Format != Format || manifest.Key != key || !manifest.Sources.Select(source => source.Name).SequenceEqual(sources.Select(source => source.Name)))
            {
                throw new InvalidDataException($"{ManifestPath(folder)} describes another dataset: delete the folder to prepare it again");
            }

            Tokenizer tokenizer = Tokenizer.Load(TokenizerPath(folder));
            if (Convert.ToHexStringLower(tokenizer.Sha256) != manifest.TokenizerSha256)
            {
                throw new InvalidDataException($"{TokenizerPath(folder)} is not the tokenizer of the dataset: delete the folder to prepare it again");
            }

            List<TrainingSource> training = [];
            List<ValidationSource> validation = [];
            foreach ((Source source, SourceManifest counts) in sources.Zip(manifest.Sources))
            {
                TokenShard train = OpenShard(TrainPath(folder, source.Name), counts.Train);
                training.Add(new TrainingSource(source.Name, train, source.Options.Weight, source.Options.SubsetTokens, options.SubsetSeed));
                TokenShard heldOut = OpenShard(ValidationPath(folder, source.Name), counts.Validation);
                if (heldOut.DocumentCount > 0)
                {
                    validation.Add(new ValidationSource(source.Name, heldOut, tokenizer));
                }
            }

            return new Dataset(folder, manifest, tokenizer, training, validation);

            TokenShard OpenShard(string path, SplitManifest counts)
            {
                TokenShard shard = TokenShard.Open(path);
                opened.Add(shard);
                if (Convert.ToHexStringLower(shard.Sha256) != counts.Sha256 || !shard.TokenizerSha256.SequenceEqual(tokenizer.Sha256)
                    || shard.VocabularySize != tokenizer.VocabularySize)
                {
                    throw new InvalidDataException($"{path} is not the shard of the dataset: delete the folder to prepare it again");
                }

                if (shard.TokenCount <= VerifiedTokensMax)
                {
                    shard.Verify();
                }

                return shard;
            }
        }
        catch
        {
            opened.ForEach(shard => shard.Dispose());
            throw;
        }
    }

    private static DatasetManifest ReadManifest(string folder)
    {
        try
        {
            using FileStream stream = File.OpenRead(ManifestPath(folder));
            return JsonSerializer.Deserialize<DatasetManifest>(stream, s_json) ?? throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            throw new InvalidDataException($"{ManifestPath(folder)} is damaged: delete the folder to prepare it again", e);
        }
    }

    private static string ManifestPath(string folder) => Path.Combine(folder, "dataset.json");

    private static string TokenizerPath(string folder) => Path.Combine(folder, "tokenizer.json");

    private static string TrainPath(string folder, string source) => Path.Combine(folder, $"{source}.train.bin");

    private static string ValidationPath(string folder, string source) => Path.Combine(folder, $"{source}.val.bin");

    private sealed record Source(string Name, Corpus Corpus, string Fingerprint, SourceOptions Options)
    {
        public IEnumerable<string> Texts() => Corpus.Documents().Select(document => document.Text).Where(text => text.Length > 0);
    }
}
