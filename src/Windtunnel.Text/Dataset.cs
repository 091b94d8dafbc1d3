using System.Buffers.Binary;
using System.ComponentModel.DataAnnotations;
using System.Diagnostics.CodeAnalysis;
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
public sealed record SourceOptions(CorpusOptions? Corpus = null, double Weight = 1, long? SubsetTokens = null, string? Name = null)
{
    internal CorpusOptions CorpusOrDefault => Corpus ?? new DotnetDocsCorpusOptions();

    internal string NameOrDefault => Name ?? CorpusOrDefault.TypeName;
}

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
    ulong SubsetSeed = 0)
{
    /// <summary>How text becomes tokens.</summary>
    public TokenizerOptions Tokenizer { get; init; } = Tokenizer ?? new BpeTokenizerOptions();

    internal SourceOptions[] Mixture => Sources ?? [new SourceOptions(Corpus, SubsetTokens: SubsetTokens)];

    /// <summary>Checks all that can be checked without a file.</summary>
    /// <exception cref="ValidationException">An option is wrong; the message starts with its path, such as data.corpus.documents.</exception>
    public void Validate()
    {
        Require(ValidationFraction is >= 0 and < 1, "validationFraction", $"{ValidationFraction} must be at least 0 and below 1");
        Require(Sources is null || (Corpus is null && SubsetTokens is null), "sources", "excludes corpus and subsetTokens: move them into sources");
        Require(Sources is not { Length: 0 }, "sources", "is empty: name at least one, or leave it out");
        HashSet<string> names = new(StringComparer.OrdinalIgnoreCase);
        foreach ((int index, SourceOptions? source) in Mixture.Index())
        {
            string prefix = Sources is null ? "" : $"sources[{index}].";
            Require(source is not null, $"sources[{index}]", "is null: describe a source, or remove it");
            Require(source.Weight > 0 && double.IsFinite(source.Weight), $"{prefix}weight", $"{source.Weight} must be a positive number");
            Require(source.SubsetTokens is null or >= 1, $"{prefix}subsetTokens", $"{source.SubsetTokens} must be at least 1");
            string name = source.NameOrDefault;
            Require(
                name.Length is >= 1 and <= 64 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'),
                $"{prefix}name", $"'{name}' must be 1 to 64 letters, digits, - or _");
            Require(names.Add(name), $"{prefix}name", $"two sources are named '{name}': set each one's name");
            source.CorpusOrDefault.Validate($"data.{prefix}corpus");
        }

        Tokenizer.Validate("data.tokenizer");

        static void Require([DoesNotReturnIf(false)] bool holds, string name, string problem)
        {
            if (!holds)
            {
                throw new ValidationException($"data.{name}: {problem}");
            }
        }
    }
}

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
        options.Validate();
        RemoveAbandoned(root);
        List<Source> sources = [.. options.Mixture.Select(source => new Source(source.NameOrDefault, source.CorpusOrDefault.Build()))];
        string key = Key(options.ValidationFraction, options.Tokenizer.Fingerprint(), sources.Select(source => (source.Name, source.Fingerprint)));
        string name = string.Join('+', sources.Select(source => source.Name));
        string folder = Path.Combine(root, $"{name[..Math.Min(name.Length, 64)]}-{key[..12]}");
        if (!File.Exists(ManifestPath(folder)))
        {
            Build(folder, key, options, sources, progress);
        }

        return Open(folder, ReadManifest(folder), key, options);
    }

    /// <summary>Opens a prepared dataset without its corpora, which may be gone or have changed since.</summary>
    /// <param name="folder">The <see cref="Folder"/> of a dataset that was prepared.</param>
    /// <param name="options">The options it was prepared with; weights and subsets may differ.</param>
    /// <exception cref="ValidationException">An option is wrong, or nothing is prepared there.</exception>
    /// <exception cref="InvalidDataException">The folder is damaged, or was prepared with other options.</exception>
    public static Dataset Open(string folder, DataOptions options)
    {
        options.Validate();
        if (!File.Exists(ManifestPath(folder)))
        {
            throw new ValidationException($"data: {folder} holds no prepared dataset: prepare it again, or restore the folder");
        }

        DatasetManifest manifest = ReadManifest(folder);
        string tokenizer = options.Tokenizer is FileTokenizerOptions
            ? FileTokenizerOptions.Fingerprint(manifest.TokenizerSha256)
            : options.Tokenizer.Fingerprint();
        string key = Key(options.ValidationFraction, tokenizer, manifest.Sources.Select(source => (source.Name, source.Fingerprint)));
        return Open(folder, manifest, key, options);
    }

    public void Dispose()
    {
        foreach (TokenShard shard in Training.Select(source => source.Shard).Concat(Validation.Select(source => source.Shard)))
        {
            shard.Dispose();
        }
    }

    private static string Key(double validationFraction, string tokenizer, IEnumerable<(string Name, string Fingerprint)> sources)
    {
        string content = string.Join('\n',
            [$"windtunnel dataset {Format}", $"{validationFraction:r}", tokenizer, .. sources.Select(source => $"{source.Name}: {source.Fingerprint}")]);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)));
    }

    private static void Build(
        string folder, string key, DataOptions options, List<Source> sources, Action<string>? progress)
    {
        string work = $"{folder}.tmp-{Guid.NewGuid():n}";
        Directory.CreateDirectory(work);
        FileStream workLock = new(LockPath(work), FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
        try
        {
            workLock.Write(Encoding.UTF8.GetBytes($"{Environment.MachineName} {Environment.ProcessId}\n"));
            progress?.Invoke("building the tokenizer");
            Tokenizer tokenizer = options.Tokenizer.Train(
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

            workLock.SetLength(0);
            workLock.Dispose();
            File.Delete(LockPath(work));
            try
            {
                Directory.Move(work, folder);
            }
            catch (IOException) when (File.Exists(ManifestPath(folder)))
            {
                // Another process prepared the same dataset first.
            }

            AtomicFile.SyncFolder(Path.GetDirectoryName(Path.GetFullPath(folder))!);
        }
        finally
        {
            workLock.Dispose();
            if (Directory.Exists(work))
            {
                Directory.Delete(work, recursive: true);
            }
        }
    }

    /// <summary>
    /// Deletes what interrupted preparations left: the operating system has released their locks. A lock file is empty
    /// before its process holds it and after it lets go, so a preparation that begins or ends just now is left alone.
    /// </summary>
    private static void RemoveAbandoned(string root)
    {
        foreach (string work in Directory.Exists(root) ? Directory.GetDirectories(root, "*.tmp-*") : [])
        {
            FileInfo workLock = new(LockPath(work));
            try
            {
                bool abandoned = workLock is { Exists: true, Length: > 0 };
                if (abandoned)
                {
                    using FileStream held = workLock.Open(FileMode.Open, FileAccess.ReadWrite, FileShare.None);
                    abandoned = held.Length > 0;
                }

                if (abandoned)
                {
                    Directory.Delete(work, recursive: true);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Its process lives, or another removes it, or it is not ours to remove.
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

    private static Dataset Open(string folder, DatasetManifest manifest, string key, DataOptions options)
    {
        List<TokenShard> opened = [];
        try
        {
            if (manifest.Format != Format || manifest.Key != key
                || !manifest.Sources.Select(source => source.Name).SequenceEqual(options.Mixture.Select(source => source.NameOrDefault)))
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
            foreach ((SourceOptions source, SourceManifest counts) in options.Mixture.Zip(manifest.Sources))
            {
                TokenShard train = OpenShard(TrainPath(folder, counts.Name), counts.Train);
                training.Add(new TrainingSource(counts.Name, train, source.Weight, source.SubsetTokens, options.SubsetSeed));
                TokenShard heldOut = OpenShard(ValidationPath(folder, counts.Name), counts.Validation);
                if (heldOut.DocumentCount > 0)
                {
                    validation.Add(new ValidationSource(counts.Name, heldOut, tokenizer));
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
            DatasetManifest? manifest = JsonSerializer.Deserialize<DatasetManifest>(stream, s_json);
            return manifest is not null && manifest.Sources.All(source => source is not null) ? manifest : throw new JsonException("it is null");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            throw new InvalidDataException($"{ManifestPath(folder)} is damaged: delete the folder to prepare it again", e);
        }
    }

    private static string ManifestPath(string folder) => Path.Combine(folder, "dataset.json");

    private static string LockPath(string folder) => Path.Combine(folder, "lock");

    private static string TokenizerPath(string folder) => Path.Combine(folder, "tokenizer.json");

    private static string TrainPath(string folder, string source) => Path.Combine(folder, $"{source}.train.bin");

    private static string ValidationPath(string folder, string source) => Path.Combine(folder, $"{source}.val.bin");

    private sealed record Source(string Name, Corpus Corpus)
    {
        public string Fingerprint { get; } = Corpus.Fingerprint();

        public IEnumerable<string> Texts() => Corpus.Documents().Select(document => document.Text).Where(text => text.Length > 0);
    }
}
