using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Memory;
using Windtunnel.Text;

namespace Windtunnel.Training;

/// <summary>Scores a model on held-out text: the same windows in the same order every time.</summary>
public sealed class Validator : IDisposable
{
    private readonly Model _model;
    private readonly Dataset _data;
    private readonly ValidationOptions _options;
    private readonly int _batchSize, _sequenceLength;
    private readonly Tape _tape;
    private readonly DeviceBuffer _buffer;
    private readonly int[] _inputs, _targets;

    /// <summary>A validator for sequences of <paramref name="sequenceLength"/> tokens, <paramref name="batchSize"/> at a time.</summary>
    public Validator(Model model, Dataset data, ValidationOptions options, int batchSize, int sequenceLength, BufferPool pool)
    {
        (_model, _data, _options, _sequenceLength) = (model, data, options, sequenceLength);
        _batchSize = options.BatchSize ?? batchSize;
        _tape = new Tape(model.Backend, recording: false, pool);
        _buffer = model.Backend.Allocate(2L * _batchSize * sequenceLength);
        _inputs = new int[_batchSize * sequenceLength];
        _targets = new int[_batchSize * sequenceLength];
    }

    /// <summary>The score of each source, in the dataset's order.</summary>
    public IReadOnlyList<ValidationScore> Score() => [.. _data.Validation.Select(Score)];

    /// <inheritdoc/>
    public void Dispose()
    {
        _tape.Dispose();
        _buffer.Free();
    }

    private ValidationScore Score(ValidationSource source)
    {
        ValidationWindows windows = source.Windows(_sequenceLength, _options.Tokens);
        double nats = 0;
        long tokens = 0, bytes = 0;
        for (long window = 0; window < windows.Count; window += _batchSize)
        {
            // The last batch is filled up with ignored targets: another shape would need memory of its own.
            _targets.AsSpan().Fill(ValidationWindows.Ignored);
            int count = (int)Math.Min(_batchSize, windows.Count - window);
            for (int i = 0; i < count; i++)
            {
                tokens += windows.Read(window + i, _inputs.AsSpan(i * _sequenceLength, _sequenceLength), _targets.AsSpan(i * _sequenceLength, _sequenceLength));
            }

            nats += Loss();
            foreach (int target in _targets)
            {
                bytes += target < 0 ? 0 : _data.Tokenizer.TokenByteLengths[target];
            }
        }

        return new ValidationScore(source.Name, nats / tokens, nats / Math.Log(2) / bytes, tokens);
    }

    private double Loss()
    {
        Backend backend = _model.Backend;
        Tensor x = new(_buffer, 0, new Shape(_batchSize, _sequenceLength), DType.I32);
        Tensor y = new(_buffer, x.Shape.Count, x.Shape, DType.I32);
        backend.Write(x, _inputs);
        backend.Write(y, _targets);
        (Tensor losses, _) = _model.Loss(_tape, x, y, lossScale: 0);
        double sum = backend.Sum(losses);
        _tape.Reset();
        return sum;
    }
}
