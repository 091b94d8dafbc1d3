using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Ops;

namespace Windtunnel.Models;

/// <summary>A decoder-only language model: tokens to hidden states to logits to loss.</summary>
public abstract class Model : IDisposable
{
    /// <summary>A model with the dimensions of <paramref name="options"/>, which are resolved.</summary>
    protected Model(ModelOptions options, Backend backend)
    {
        (Options, Dimensions, Backend) = (options, options.Dimensions, backend);
    }

    /// <summary>What the model was built from, every dimension filled in.</summary>
    public ModelOptions Options { get; }

    /// <summary>The sizes.</summary>
    public ModelDimensions Dimensions { get; }

    /// <summary>Where the model lives.</summary>
    public Backend Backend { get; }

    /// <summary>The weights.</summary>
    public ParameterSet Parameters { get; } = new();

    /// <summary>The output projection [V, D]; the token embedding where it is tied.</summary>
    protected abstract Tensor Head { get; }

    /// <summary>Multiplies the logits.</summary>
    protected virtual float LogitScale => 1;

    /// <summary>
    /// Sees the values of the parts as they are computed, each [B, T, D] and valid during the call: <c>embedding</c>, then for each block
    /// from 1 <c>attention.1</c> and <c>feed-forward.1</c>, before they are added, and the <c>residual.1</c> stream after it.
    /// </summary>
    public Action<string, Tensor>? Observer { get; set; }

    /// <summary>
    /// Sees what attention reads in each block, from 0: rows [H q | G k | G v] of [B, T, (H + 2 G) K] and the number that multiplies the products
    /// of queries and keys. The values are valid during the call.
    /// </summary>
    public Action<int, Tensor, float>? AttentionObserver { get; set; }

    /// <summary>Whether Hugging Face stores the matrix as [in, out].</summary>
    public virtual bool IsStoredTransposed(Parameter parameter) => false;

    /// <summary>The last hidden states [B, T, D] of tokens [B, T], normalised.</summary>
    /// <param name="tape">The computation.</param>
    /// <param name="tokens">Token ids.</param>
    /// <param name="cache">Keys and values of the tokens before these (batch 1), which grow by these; null outside sampling.</param>
    public abstract Tensor Hidden(Tape tape, Tensor tokens, KeyValueCache? cache = null);

    /// <summary>Losses in nats and z-loss penalties, one a target; their sum times <paramref name="lossScale"/> is what the tape differentiates.</summary>
    public (Tensor Losses, Tensor Penalties) Loss(
        Tape tape, Tensor tokens, Tensor targets, float lossScale, float zLoss = 0, SampledLabels? labels = null) =>
        tape.CrossEntropy(Hidden(tape, tokens), Head, targets, lossScale, zLoss, LogitScale, labels);

    /// <summary>
    /// Losses in nats and divergences from a teacher, one a target; the sum of (1 - weight) loss + weight divergence, times
    /// <paramref name="lossScale"/>, is what the tape differentiates.
    /// </summary>
    public (Tensor Losses, Tensor Divergences) Loss(Tape tape, Tensor tokens, Tensor targets, float lossScale, in SoftTargets teacher) =>
        tape.Distillation(Hidden(tape, tokens), Head, targets, lossScale, LogitScale, teacher);

    /// <summary>What this model teaches another about tokens [B, T]; a tape that does not record keeps it until its reset.</summary>
    /// <param name="weight">Of the divergence, 0 to 1.</param>
    /// <param name="temperature">Divides the logits of both.</param>
    public SoftTargets Teach(Tape tape, Tensor tokens, float weight, float temperature) => new(Hidden(tape, tokens), Head, LogitScale, weight, temperature);

    /// <summary>Logits [B, T, V] of tokens [B, T]; nothing is recorded.</summary>
    public Tensor Logits(Tape tape, Tensor tokens, KeyValueCache? cache = null)
    {
        Tensor hidden = Hidden(tape, tokens, cache);
        cache?.Advance(tokens.Shape.Columns);
        Tensor logits = tape.New(hidden.Shape.WithColumns(Head.Shape.Rows));
        Backend.MatMul(logits, hidden, false, Head, true, LogitScale);
        return logits;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the weights.</summary>
    protected virtual void Dispose(bool disposing) => Parameters.Dispose();

    /// <summary>Shows a part to the <see cref="Observer"/>.</summary>
    protected void Observe(string part, Tensor values) => Observer?.Invoke(part, values);

    /// <summary>Shows the parts of a block to the <see cref="Observer"/>.</summary>
    /// <param name="index">From 0.</param>
    /// <param name="attention">What attention added.</param>
    /// <param name="feedForward">What the feed-forward layer added.</param>
    /// <param name="residual">The sum so far.</param>
    protected void Observe(int index, Tensor attention, Tensor feedForward, Tensor residual)
    {
        if (Observer is not null)
        {
            Observe($"attention.{index + 1}", attention);
            Observe($"feed-forward.{index + 1}", feedForward);
            Observe($"residual.{index + 1}", residual);
        }
    }

    /// <summary>Causal attention, over the cached past too when there is one.</summary>
    /// <param name="scale">Multiplies the scores, beside 1 / sqrt(K).</param>
    protected Tensor Attend(Tape tape, Tensor qkv, HeadLayout heads, KeyValueCache? cache, int layer, float scale = 1)
    {
        AttentionObserver?.Invoke(layer, qkv, scale / MathF.Sqrt(heads.Width));
        return cache is null
            ? tape.Attention(qkv, heads, scale)
            : tape.CachedAttention(qkv, cache.Keys[layer], cache.Values[layer], cache.Length, heads, scale);
    }
}
