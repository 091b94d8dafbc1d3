using System.ComponentModel.DataAnnotations;
using System.Runtime.InteropServices;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Memory;

namespace Windtunnel.Models;

/// <summary>How the next token is drawn from a model's distribution.</summary>
/// <param name="Temperature">Divides the logits; 0 always takes the likeliest token.</param>
/// <param name="TopK">Only this many of the likeliest tokens can be drawn; 0 for all.</param>
/// <param name="TopP">Then only the fewest of the likeliest that together have this probability (Holtzman et al. 2020).</param>
/// <param name="TokensMax">Tokens of a sample at most.</param>
/// <param name="Seed">Of the draws: equal seeds give equal samples.</param>
public sealed record SamplingOptions(double Temperature = 0.8, int TopK = 50, double TopP = 1, int TokensMax = 200, ulong Seed = 1)
{
    /// <summary>Throws unless every setting makes sense.</summary>
    /// <exception cref="ValidationException">Names the setting, its value and its range.</exception>
    public void Validate()
    {
        Require(Temperature is >= 0 and < double.PositiveInfinity, "temperature", Temperature, "at least 0");
        Require(TopK >= 0, "top-k", TopK, "at least 0");
        Require(TopP is > 0 and <= 1, "top-p", TopP, "above 0 and at most 1");
        Require(TokensMax >= 0, "max-tokens", TokensMax, "at least 0");
    }

    private static void Require(bool holds, string name, double value, string expected)
    {
        if (!holds)
        {
            throw new ValidationException($"{name}: {value} must be {expected}");
        }
    }
}

/// <summary>
/// Continues text token by token, with the keys and values of earlier tokens cached. A text that outgrows the model's context
/// slides: the cache starts over from the newest half of the context, so positions stay within it and a token costs little on average.
/// </summary>
public sealed class Sampler : IDisposable
{
    private readonly Model _model;
    private readonly Tape _tape;
    private readonly float[] _logits;
    private readonly int[] _order;
    private readonly double[] _weights;
    private KeyValueCache? _cache;
    private DeviceBuffer? _ids;

    /// <summary>A sampler of a model, which it does not own.</summary>
    /// <param name="model">The model.</param>
    /// <param name="vocabulary">The tokenizer's tokens: a model may have room for more, which are never drawn.</param>
    public Sampler(Model model, int vocabulary)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(vocabulary, model.Dimensions.Vocabulary);
        _model = model;
        _tape = new Tape(model.Backend, recording: false);
        _logits = new float[model.Dimensions.Vocabulary];
        _order = new int[vocabulary];
        _weights = new double[vocabulary];
    }

    /// <summary>The tokens that follow a prompt, as they are drawn, up to the end of the text or <see cref="SamplingOptions.TokensMax"/>.</summary>
    /// <param name="prompt">At least one token; the end-of-text token starts a document.</param>
    /// <param name="options">How to draw.</param>
    /// <param name="endOfText">The token that ends a sample; it is not returned.</param>
    /// <param name="stream">Which of the seed's samples: draw i depends on nothing but seed, stream and i.</param>
    public IEnumerable<int> Generate(IReadOnlyList<int> prompt, SamplingOptions options, int endOfText, ulong stream = 0)
    {
        options.Validate();
        List<int> tokens = [.. prompt];
        Philox random = new(options.Seed, stream);
        KeyValueCache cache = Cleared((int)Math.Min(_model.Dimensions.Context, (long)tokens.Count + options.TokensMax));
        for (int drawn = 0; drawn < options.TokensMax; drawn++)
        {
            ReadLogits(cache, tokens, unread: drawn == 0 ? tokens.Count : 1);
            int next = Draw(options, random.Uniform((ulong)drawn));
            if (next == endOfText)
            {
                yield break;
            }

            tokens.Add(next);
            yield return next;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ids?.Free();
        _cache?.Dispose();
        _tape.Dispose();
    }

    // No longer than what is asked for: a model's whole context can be larger than the memory.
    private KeyValueCache Cleared(int capacity)
    {
        if (_cache is null || _cache.Capacity < capacity)
        {
            _ids?.Free();
            _cache?.Dispose();
            _ids = _model.Backend.Allocate(capacity);
            _cache = new KeyValueCache(_model.Backend, _model.Dimensions, capacity);
        }

        _cache.Clear();
        return _cache;
    }

    /// <summary>The logits after all tokens, of which the model has not read the last ones.</summary>
    private void ReadLogits(KeyValueCache cache, List<int> tokens, int unread)
    {
        if (cache.Length + unread > cache.Capacity)
        {
            cache.Clear();
            unread = Math.Min(tokens.Count, (cache.Capacity + 1) / 2);
        }

        if (unread > 1)
        {
            _model.Hidden(_tape, Tensor(tokens[^unread..^1]), cache);
            cache.Advance(unread - 1);
            _tape.Reset();
        }

        // Only the last token's logits are wanted, and all of a prompt's could fill the memory.
        _model.Backend.Read(_model.Logits(_tape, Tensor(tokens[^1..]), cache), _logits);
        _tape.Reset();
    }

    private Tensor Tensor(List<int> tokens)
    {
        Tensor tensor = new(_ids!, 0, new Shape(1, tokens.Count), DType.I32);
        _model.Backend.Write(tensor, CollectionsMarshal.AsSpan(tokens));
        return tensor;
    }

    private int Draw(SamplingOptions options, double uniform)
    {
        if (options.Temperature == 0)
        {
            float[] known = _logits[.._order.Length];
            return Array.IndexOf(known, known.Max());
        }

        for (int i = 0; i < _order.Length; i++)
        {
            _order[i] = i;
        }

        // Equal logits keep the order of their ids, so that the draw is defined.
        Array.Sort(_order, (a, b) => _logits[a] != _logits[b] ? _logits[b].CompareTo(_logits[a]) : a.CompareTo(b));
        int count = options.TopK == 0 ? _order.Length : Math.Min(options.TopK, _order.Length);
        double highest = _logits[_order[0]], sum = 0;
        for (int i = 0; i < count; i++)
        {
            sum += _weights[i] = Math.Exp((_logits[_order[i]] - highest) / options.Temperature);
        }

        double nucleus = 0;
        for (int i = 0; i < count && nucleus < options.TopP * sum; i++)
        {
            nucleus += _weights[i];
        }

        int chosen = 0;
        for (double above = _weights[0]; above <= uniform * nucleus && chosen < count - 1; above += _weights[chosen])
        {
            chosen++;
        }

        return _order[chosen];
    }
}
