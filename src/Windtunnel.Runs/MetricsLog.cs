using System.Buffers;
using System.Text.Json;

namespace Windtunnel.Runs;

/// <summary>How far training was when something was measured: the five x axes of every chart.</summary>
/// <param name="Flops">Model floating-point operations so far.</param>
/// <param name="WallSeconds">Time spent in this run so far, over all its restarts.</param>
/// <param name="Epoch">Passes over the training data so far.</param>
public readonly record struct Progress(long Step, long Tokens, double Flops, double WallSeconds, double Epoch);

/// <summary>One line of a metrics log.</summary>
public sealed record MetricsRow(Progress At, IReadOnlyDictionary<string, double> Values);

/// <summary>
/// The file <c>metrics.jsonl</c>: one JSON object a line, <c>step, tokens, flops, wall_s, epoch</c> and then metrics by name
/// (<c>train/loss</c>, <c>val/&lt;set&gt;/bpb</c>, <c>throughput/mfu</c>, ...). Numbers round-trip; NaN and infinities are strings.
/// </summary>
/// <remarks>
/// A line is one write call, so a process that dies can tear the last line only, and readers skip it.
/// Reopening to resume from step S first replaces the file, atomically, by its whole lines with step &lt;= S:
/// what a run trained again is then there once.
/// </remarks>
public sealed class MetricsLog : IDisposable
{
    private const int MaxLineBytes = 1 << 20;

    private readonly FileStream _file;
    private readonly ArrayBufferWriter<byte> _line = new(1024);
    private readonly Utf8JsonWriter _json;

    /// <summary>Opens the log to append to it; makes it where absent.</summary>
    /// <param name="resumedStep">The last step whose rows stand; later ones are dropped.</param>
    /// <exception cref="InvalidDataException">A line other than the last is no row.</exception>
    public MetricsLog(string path, long resumedStep = long.MaxValue)
    {
        if (File.Exists(path))
        {
            DropAfter(path, resumedStep);
        }

        _file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);
        _json = new Utf8JsonWriter(_line);
    }

    /// <summary>Appends a row.</summary>
    /// <exception cref="IOException">The row could not be written, as on a full disk; nothing of it is left.</exception>
    public void Append(Progress at, params ReadOnlySpan<(string Name, double Value)> values)
    {
        _line.ResetWrittenCount();
        _json.Reset();
        _json.WriteStartObject();
        _json.WriteNumber("step"u8, at.Step);
        _json.WriteNumber("tokens"u8, at.Tokens);
        Write("flops", at.Flops);
        Write("wall_s", at.WallSeconds);
        Write("epoch", at.Epoch);
        foreach ((string name, double value) in values)
        {
            Write(name, value);
        }

        _json.WriteEndObject();
        _json.Flush();
        _line.Write("\n"u8);
        try
        {
            _file.Write(_line.WrittenSpan);
        }
        catch (IOException)
        {
            _file.SetLength(_file.Position);
            throw;
        }
    }

    /// <summary>Makes all rows durable, as before a checkpoint that counts on them.</summary>
    public void Flush() => _file.Flush(flushToDisk: true);

    public void Dispose()
    {
        _json.Dispose();
        _file.Dispose();
    }

    /// <summary>Streams the rows of a log, also of one being written; skips a torn last line.</summary>
    /// <exception cref="InvalidDataException">A line other than the last is no row, or a line exceeds 1 MiB.</exception>
    public static IEnumerable<MetricsRow> Read(string path)
    {
        foreach (Line line in Lines(path))
        {
            yield return line.Row;
        }
    }

    /// <summary>The last whole row of a log, also of one being written; null where there is none yet.</summary>
    /// <remarks>Reads the end of the file only, so that it can be asked often.</remarks>
    public static MetricsRow? Last(string path)
    {
        const int Tail = 16 * 1024;
        if (!File.Exists(path))
        {
            return null;
        }

        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        file.Seek(-Math.Min(file.Length, Tail), SeekOrigin.End);
        byte[] tail = new byte[Tail];
        ReadOnlySpan<byte> rest = tail.AsSpan(0, file.ReadAtLeast(tail, Tail, throwOnEndOfStream: false));
        while (rest.LastIndexOf((byte)'\n') is >= 0 and int end)
        {
            rest = rest[..end];
            if (Parse(rest[(rest.LastIndexOf((byte)'\n') + 1)..]) is { } row)
            {
                return row;
            }
        }

        return null;
    }

    private static void DropAfter(string path, long step)
    {
        long kept = 0;
        bool dropped = false;
        foreach (Line line in Lines(path))
        {
            kept += line.Bytes.Length + 1;
            dropped |= line.Row.At.Step > step;
        }

        if (!dropped && kept == new FileInfo(path).Length)
        {
            return;
        }

        AtomicFile.Write(path, file =>
        {
            foreach (Line line in Lines(path))
            {
                if (line.Row.At.Step <= step)
                {
                    file.Write(line.Bytes.Span);
                    file.WriteByte((byte)'\n');
                }
            }
        });
    }

    private void Write(string name, double value)
    {
        if (double.IsFinite(value))
        {
            _json.WriteNumber(name, value);
        }
        else
        {
            _json.WriteString(name, double.IsNaN(value) ? "NaN"u8 : value > 0 ? "Infinity"u8 : "-Infinity"u8);
        }
    }

    private static IEnumerable<Line> Lines(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        byte[] buffer = new byte[64 * 1024];
        int start = 0;
        int end = 0;
        int number = 1;
        while (true)
        {
            int length = buffer.AsSpan(start, end - start).IndexOf((byte)'\n');
            if (length >= 0)
            {
                ReadOnlyMemory<byte> line = buffer.AsMemory(start, length);
                yield return new Line(line, Parse(line.Span) ?? throw new InvalidDataException(
                    $"{path}:{number}: not a row of metrics; delete the line to read the rest"));
                start += length + 1;
                number++;
                continue;
            }

            if (end - start == MaxLineBytes)
            {
                throw new InvalidDataException($"{path}:{number}: a line longer than {MaxLineBytes} bytes");
            }

            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
            if (end == buffer.Length)
            {
                Array.Resize(ref buffer, Math.Min(2 * end, MaxLineBytes));
            }

            int read = file.Read(buffer, end, buffer.Length - end);
            if (read == 0)
            {
                ReadOnlyMemory<byte> rest = buffer.AsMemory(start, end - start);
                if (Parse(rest.Span) is { } row)
                {
                    yield return new Line(rest, row);
                }

                yield break;
            }

            end += read;
        }
    }

    private static MetricsRow? Parse(ReadOnlySpan<byte> line)
    {
        try
        {
            Utf8JsonReader json = new(line, new JsonReaderOptions { MaxDepth = 1 });
            Dictionary<string, double> values = [];
            json.Read();
            if (json.TokenType != JsonTokenType.StartObject)
            {
                return null;
            }

            long? step = null;
            long? tokens = null;
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                string name = json.GetString()!;
                json.Read();
                bool added = name switch
                {
                    "step" => step is null && (step = json.GetInt64()) >= 0,
                    "tokens" => tokens is null && (tokens = json.GetInt64()) >= 0,
                    _ => values.TryAdd(name, Number(ref json)),
                };
                if (!added)
                {
                    return null;
                }
            }

            // A whole object ends the line: the reader throws on anything after it.
            return !json.Read() && step is not null && tokens is not null
                && values.Remove("flops", out double flops) && values.Remove("wall_s", out double seconds) && values.Remove("epoch", out double epoch)
                ? new MetricsRow(new Progress(step.Value, tokens.Value, flops, seconds, epoch), values)
                : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private static double Number(ref Utf8JsonReader json)
    {
        return json.TokenType == JsonTokenType.Number ? json.GetDouble()
            : json.TokenType != JsonTokenType.String ? throw new FormatException()
            : json.ValueTextEquals("NaN"u8) ? double.NaN
            : json.ValueTextEquals("Infinity"u8) ? double.PositiveInfinity
            : json.ValueTextEquals("-Infinity"u8) ? double.NegativeInfinity
            : throw new FormatException();
    }

    private readonly record struct Line(ReadOnlyMemory<byte> Bytes, MetricsRow Row);
}
