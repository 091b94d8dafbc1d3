using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Windtunnel.Laws.Fitting;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;

namespace Windtunnel.Experiments.Ladders;

/// <summary>
/// The file <c>prediction.json</c>: what is said of the targets before any of them is trained. Its hash is in
/// <c>prediction.json.sha256</c> from the moment they are, and in every check: what was said then can't be said differently later.
/// </summary>
/// <param name="Format">The version of the file's format.</param>
/// <param name="Ladder">Its name.</param>
/// <param name="Headline">The law that the check is about, settled before any run.</param>
/// <param name="Count">Which parameters the laws of final losses count.</param>
/// <param name="Runs">The ids of the points, whose losses were known.</param>
/// <param name="LadderFlops">Model operations of the whole ladder.</param>
/// <param name="LargestFlops">Model operations of its largest point.</param>
/// <param name="Fits">The laws, the headline first.</param>
/// <param name="Targets">What they predict.</param>
/// <param name="Notes">What a careful reader should know, one line each.</param>
public sealed record TunnelPrediction(
    string Format, string Ladder, string Headline, ParameterCount Count, IReadOnlyList<string> Runs, double LadderFlops, double LargestFlops,
    IReadOnlyList<FittedLaw> Fits, IReadOnlyList<PredictedTarget> Targets, IReadOnlyList<string> Notes)
{
    /// <summary>The version of the file's format.</summary>
    public const string CurrentFormat = "windtunnel-prediction-1";

    private const int MaxBytes = 10_000_000;

    /// <summary>How these files are written: intervals may have no end.</summary>
    internal static JsonSerializerOptions Json { get; } = new(ConfigFile.JsonOptions) { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>The prediction that belongs to a ladder's file.</summary>
    public static string Beside(string path) => Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, "prediction.json");

    /// <summary>Writes the file.</summary>
    public void Save(string path) => AtomicFile.WriteText(path, JsonSerializer.Serialize(this, Json) + "\n");

    /// <summary>Records the file's hash beside it, as sha256sum does.</summary>
    /// <remarks>Does nothing where it was sealed already: what was sealed first stands.</remarks>
    public static void Seal(string path)
    {
        try
        {
            AtomicFile.WriteText(SealOf(path), $"{Sha256(path)}  {Path.GetFileName(path)}\n", overwrite: false);
        }
        catch (IOException) when (IsSealed(path))
        {
        }
    }

    /// <summary>Whether the file was sealed: a target may have been trained since.</summary>
    public static bool IsSealed(string path) => File.Exists(SealOf(path));

    /// <summary>The hash that was recorded when the file was sealed; null before.</summary>
    /// <exception cref="InvalidDataException">There is something else in its place.</exception>
    public static string? SealOn(string path)
    {
        if (!IsSealed(path))
        {
            return null;
        }

        string hash = ReadSmall(SealOf(path)).Split(' ')[0];
        return hash.Length == 2 * SHA256.HashSizeInBytes && hash.All(char.IsAsciiHexDigitLower)
            ? hash
            : throw new InvalidDataException($"{SealOf(path)}: holds no SHA-256; put it back as it was");
    }

    /// <summary>Reads a sealed file.</summary>
    /// <returns>The prediction, and the file's hash.</returns>
    /// <exception cref="InvalidDataException">It is gone, or not what it was when it was sealed.</exception>
    public static (TunnelPrediction Prediction, string Sha256) OpenSealed(string path)
    {
        string? recorded = SealOn(path);
        if (!File.Exists(path))
        {
            throw new InvalidDataException($"{path}: is gone, and was the prediction that the targets are checked against; restore it");
        }

        string text = ReadSmall(path), hash = Sha256(path);
        if (hash != recorded)
        {
            throw new InvalidDataException(
                $"{path}: was changed after the targets were started: its SHA-256 is {hash}, and {recorded} was recorded then; put it back as it was");
        }

        try
        {
            TunnelPrediction prediction = JsonSerializer.Deserialize<TunnelPrediction>(text, Json) ?? throw new JsonException("holds nothing");
            return prediction.Format == CurrentFormat ? (prediction, hash) : throw new InvalidDataException($"{path}: format: '{prediction.Format}' is not {CurrentFormat}");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{path}: not a prediction: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    /// <summary>Targets that have a note in common: the names of three, and how many more.</summary>
    public static string Named(IReadOnlyList<string> names) => string.Join(", ", names.Take(3)) + (names.Count > 3 ? $" and {names.Count - 3} more" : "");

    /// <summary>Of a file, in lowercase hexadecimal.</summary>
    internal static string Sha256(string path)
    {
        using FileStream file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private static string SealOf(string path) => path + ".sha256";

    private static string ReadSmall(string path) => new FileInfo(path).Length <= MaxBytes
        ? File.ReadAllText(path)
        : throw new InvalidDataException($"{path}: larger than {MaxBytes:N0} bytes, which no prediction is");
}

/// <summary>A law that was fitted.</summary>
/// <param name="Law">Its name.</param>
/// <param name="File">The fit, relative to the prediction.</param>
/// <param name="Sha256">Of that file.</param>
/// <param name="Warnings">Of the fit.</param>
public sealed record FittedLaw(string Law, string File, string Sha256, IReadOnlyList<string> Warnings);

/// <summary>What is predicted of a run.</summary>
/// <param name="Id">The run's id.</param>
/// <param name="Name">For people: size, multiplier, seed.</param>
/// <param name="Parameters">All of them.</param>
/// <param name="NonEmbedding">Without embeddings.</param>
/// <param name="Tokens">Training tokens.</param>
/// <param name="Flops">Model operations.</param>
/// <param name="OverLargest">Its operations over those of the largest point.</param>
/// <param name="OverLadder">Its operations over those of the whole ladder.</param>
/// <param name="Blind">Whether it was still untrained when this was written.</param>
/// <param name="Laws">What each law says, the headline first.</param>
public sealed record PredictedTarget(
    string Id, string Name, long Parameters, long NonEmbedding, long Tokens, double Flops, double OverLargest, double OverLadder, bool Blind,
    IReadOnlyList<PredictedLoss> Laws);

/// <summary>A predicted loss.</summary>
/// <param name="Law">By which law.</param>
/// <param name="LossNats">Nats a token.</param>
/// <param name="Mean">95 % interval of the law's value.</param>
/// <param name="Single">95 % interval of one run, which scatters around it.</param>
/// <param name="Extrapolation">How far outside the fitted rows, as a ratio of the input that is farthest outside.</param>
public sealed record PredictedLoss(string Law, double LossNats, Interval Mean, Interval Single, double Extrapolation);
