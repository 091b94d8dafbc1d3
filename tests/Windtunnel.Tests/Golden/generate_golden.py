"""Writes the golden model cases beside this file: an oracle in float64 that shares no code with Windtunnel.

    apt-get install --no-install-recommends python3-torch libopenblas0-pthread     (Debian 12: torch 1.13)
    /usr/bin/python3 tests/Windtunnel.Tests/Golden/generate_golden.py

Each case is split into files of less than 300 KB:

    <case>.safetensors        tokens, targets [B, T] (I64); weights.<name> (F32); logits [B, T, V], loss, grad_norm (F64)
    <case>.grads.safetensors  grads.<name> (F64), before any clipping
    <case>.steps.safetensors  adamw.<name>, muon.<name>: the weights after ten steps (F32, rounded from float64);
                              adamw.losses, muon.losses [10] (F64): the loss before each step

The initial weights are float32 numbers, so F32 stores them exactly and every engine starts from the same bits.
All arithmetic is float64. Names are Hugging Face's; every matrix is [out, in], GPT-2's Conv1D weights included.
The hyperparameters of a case stand as JSON values in the __metadata__ of each of its files.

A key bias shifts all scores of a query alike, so its true gradient is zero: the k third of GPT-2's attn.c_attn.bias
gets rounding noise, which Adam inflates to a step of its own. Leave it out when comparing weights after steps in
another precision; the losses do not depend on it.

Sources: GPT-2 (Radford et al. 2019; GELU: Hendrycks & Gimpel 2016, tanh form), LLaMA (Touvron et al. 2023),
RoPE (Su et al. 2021), GQA (Ainslie et al. 2023), SwiGLU (Shazeer 2020), RMSNorm (Zhang & Sennrich 2019),
QK-norm (Henry et al. 2020), z-loss (Chowdhery et al. 2022), MiniCPM's scales (Hu et al. 2024),
AdamW (Loshchilov & Hutter 2019), Muon (Jordan et al. 2024).
"""

import json
import math
import pathlib
import struct

import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

FOLDER = pathlib.Path(__file__).parent
STEPS = 10
CLIP = 1.0
ADAMW = dict(lr=1e-3, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1)
MUON = dict(lr=0.02, momentum=0.95, ns_steps=5, a=3.4445, b=-4.7750, c=2.0315, eps=1e-7, weight_decay=0.1)
MUON_ADAMW = dict(lr=0.02 * 0.3, beta1=0.8, beta2=0.98, eps=1e-10, weight_decay=0.1)

CASES = {
    "gpt2": dict(family="gpt2", seed=1, vocab=61, context=16, layers=2, width=32, heads=4, norm_eps=1e-5, steps=True),
    "llama": dict(family="llama", seed=2, kv_heads=2, tied=False, steps=True),
    "llama_qknorm": dict(family="llama", seed=3, kv_heads=4, tied=True, qk_norm=True, z_loss=1e-3, ignored=True),
    "llama_scaled": dict(
        family="llama", seed=4, kv_heads=2, tied=True, embedding_scale=3.0, residual_scale=0.5, logit_scale=0.5),
}
LLAMA = dict(
    vocab=61, layers=2, width=32, heads=4, head_dim=8, ffn=56, norm_eps=1e-5, rope_theta=10000.0, qk_norm=False,
    embedding_scale=1.0, residual_scale=1.0, logit_scale=1.0)
DEFAULTS = dict(batch=2, length=13, z_loss=0.0, ignored=False, steps=False)


def main():
    for name, case in CASES.items():
        case = {**DEFAULTS, **(LLAMA if case["family"] == "llama" else {}), **case}
        random = torch.Generator().manual_seed(case["seed"])
        weights = (gpt2_weights if case["family"] == "gpt2" else llama_weights)(case, random)
        row = torch.randint(case["vocab"], (case["batch"], case["length"] + 1), generator=random)
        tokens, targets = row[:, :-1], row[:, 1:].clone()
        if case["ignored"]:
            targets[0, :3] = -1
            targets[1, 5] = -1
            targets[1, -1] = -1

        logits, loss, grads = forward_backward(case, weights, tokens, targets)
        metadata = {key: json.dumps(value) for key, value in case.items()}
        metadata["layout"] = "every matrix is [out, in], GPT-2's Conv1D weights included"
        forward = {"tokens": tokens, "targets": targets, "logits": logits, "loss": loss, "grad_norm": norm(grads)}
        forward |= {f"weights.{key}": value.float() for key, value in weights.items()}
        write(f"{name}.safetensors", forward, metadata)
        write(f"{name}.grads.safetensors", {f"grads.{key}": value for key, value in grads.items()}, metadata)
        if case["steps"]:
            metadata |= {"clip_global_norm": json.dumps(CLIP), "adamw": json.dumps(ADAMW)}
            metadata |= {"muon": json.dumps(MUON), "muon_adamw": json.dumps(MUON_ADAMW)}
            steps = train("adamw", case, weights, tokens, targets) | train("muon", case, weights, tokens, targets)
            write(f"{name}.steps.safetensors", steps, metadata)


# Models. Shapes: B batch, T length, D width, H query heads, K key-value heads, E head width, F feed-forward, V vocabulary.


def matrix(random, out, into):
    return round_to_float32(0.08 * torch.randn(out, into, generator=random))


def gain(random, size):
    return round_to_float32(1 + 0.1 * torch.randn(size, generator=random))


def bias(random, size):
    return round_to_float32(0.05 * torch.randn(size, generator=random))


def round_to_float32(x):
    return x.float().double()


def gpt2_weights(case, random):
    d = case["width"]
    weights = {
        "transformer.wte.weight": matrix(random, case["vocab"], d),
        "transformer.wpe.weight": matrix(random, case["context"], d),
    }
    for layer in range(case["layers"]):
        at = f"transformer.h.{layer}."
        for norm_name in ("ln_1", "ln_2"):
            weights[at + norm_name + ".weight"] = gain(random, d)
            weights[at + norm_name + ".bias"] = bias(random, d)
        for linear_name, out, into in (
                ("attn.c_attn", 3 * d, d), ("attn.c_proj", d, d), ("mlp.c_fc", 4 * d, d), ("mlp.c_proj", d, 4 * d)):
            weights[at + linear_name + ".weight"] = matrix(random, out, into)
            weights[at + linear_name + ".bias"] = bias(random, out)
    weights["transformer.ln_f.weight"] = gain(random, d)
    weights["transformer.ln_f.bias"] = bias(random, d)
    return weights


def gpt2_logits(case, w, tokens):
    def layer_norm(x, at):
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred ** 2).mean(-1, keepdim=True)
        return centred / torch.sqrt(variance + case["norm_eps"]) * w[at + ".weight"] + w[at + ".bias"]

    def linear(x, at):
        return x @ w[at + ".weight"].T + w[at + ".bias"]

    x = w["transformer.wte.weight"][tokens] + w["transformer.wpe.weight"][: tokens.shape[1]]  # [B, T, D]
    for layer in range(case["layers"]):
        at = f"transformer.h.{layer}."
        q, k, v = linear(layer_norm(x, at + "ln_1"), at + "attn.c_attn").chunk(3, dim=-1)
        mixed = attention(split(q, case["heads"]), split(k, case["heads"]), split(v, case["heads"]))
        x = x + linear(mixed, at + "attn.c_proj")
        x = x + linear(gelu_tanh(linear(layer_norm(x, at + "ln_2"), at + "mlp.c_fc")), at + "mlp.c_proj")
    return layer_norm(x, "transformer.ln_f") @ w["transformer.wte.weight"].T  # [B, T, V]


def llama_weights(case, random):
    d, q, kv = case["width"], case["heads"] * case["head_dim"], case["kv_heads"] * case["head_dim"]
    weights = {"model.embed_tokens.weight": matrix(random, case["vocab"], d)}
    for layer in range(case["layers"]):
        at = f"model.layers.{layer}."
        weights[at + "input_layernorm.weight"] = gain(random, d)
        for linear_name, out, into in (("q_proj", q, d), ("k_proj", kv, d), ("v_proj", kv, d), ("o_proj", d, q)):
            weights[f"{at}self_attn.{linear_name}.weight"] = matrix(random, out, into)
        if case["qk_norm"]:
            weights[at + "self_attn.q_norm.weight"] = gain(random, case["head_dim"])
            weights[at + "self_attn.k_norm.weight"] = gain(random, case["head_dim"])
        weights[at + "post_attention_layernorm.weight"] = gain(random, d)
        for linear_name, out, into in (
                ("gate_proj", case["ffn"], d), ("up_proj", case["ffn"], d), ("down_proj", d, case["ffn"])):
            weights[f"{at}mlp.{linear_name}.weight"] = matrix(random, out, into)
    weights["model.norm.weight"] = gain(random, d)
    if not case["tied"]:
        weights["lm_head.weight"] = matrix(random, case["vocab"], d)
    return weights


def llama_logits(case, w, tokens):
    def rms_norm(x, at):
        return x / torch.sqrt((x ** 2).mean(-1, keepdim=True) + case["norm_eps"]) * w[at + ".weight"]

    x = case["embedding_scale"] * w["model.embed_tokens.weight"][tokens]  # [B, T, D]
    for layer in range(case["layers"]):
        at = f"model.layers.{layer}."
        h = rms_norm(x, at + "input_layernorm")
        q = split(h @ w[at + "self_attn.q_proj.weight"].T, case["heads"])
        k = split(h @ w[at + "self_attn.k_proj.weight"].T, case["kv_heads"])
        v = split(h @ w[at + "self_attn.v_proj.weight"].T, case["kv_heads"])
        if case["qk_norm"]:
            q, k = rms_norm(q, at + "self_attn.q_norm"), rms_norm(k, at + "self_attn.k_norm")
        mixed = attention(rotate(q, case["rope_theta"]), rotate(k, case["rope_theta"]), v)
        x = x + case["residual_scale"] * (mixed @ w[at + "self_attn.o_proj.weight"].T)
        h = rms_norm(x, at + "post_attention_layernorm")
        gate, up = h @ w[at + "mlp.gate_proj.weight"].T, h @ w[at + "mlp.up_proj.weight"].T
        x = x + case["residual_scale"] * ((gate * torch.sigmoid(gate) * up) @ w[at + "mlp.down_proj.weight"].T)
    head = w["model.embed_tokens.weight" if case["tied"] else "lm_head.weight"]
    return case["logit_scale"] * (rms_norm(x, "model.norm") @ head.T)  # [B, T, V]


def split(x, heads):
    """[B, T, H * E] -> [B, H, T, E]"""
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def attention(q, k, v):
    """Causal; query head h reads key-value head h // (H / K). [B, H, T, E], [B, K, T, E] twice -> [B, T, H * E]"""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # [B, H, T, T]
    length = q.shape[2]
    future = torch.triu(torch.ones(length, length, dtype=torch.bool), diagonal=1)
    mixed = torch.softmax(scores.masked_fill(future, -math.inf), dim=-1) @ v  # [B, H, T, E]
    return mixed.transpose(1, 2).reshape(q.shape[0], length, -1)


def rotate(x, theta):
    """Rotate-half: element i of a head pairs with element i + E / 2, turned by position * theta^(-2 i / E)."""
    half = x.shape[-1] // 2
    frequencies = theta ** (-torch.arange(half) / half)
    angles = torch.arange(x.shape[2])[:, None] * frequencies  # [T, E / 2]
    first, second = x[..., :half], x[..., half:]
    cos, sin = torch.cos(angles), torch.sin(angles)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def forward_backward(case, weights, tokens, targets):
    weights = {name: value.clone().requires_grad_() for name, value in weights.items()}
    logits = (gpt2_logits if case["family"] == "gpt2" else llama_logits)(case, weights, tokens)
    counted = targets >= 0
    log_z = torch.logsumexp(logits, dim=-1)
    chosen = logits.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    loss = (log_z - chosen + case["z_loss"] * log_z ** 2)[counted].mean()
    grads = torch.autograd.grad(loss, list(weights.values()))
    return logits.detach(), loss.detach(), dict(zip(weights, grads))


def norm(grads):
    return torch.sqrt(sum((g ** 2).sum() for g in grads.values()))


# Optimizers. Ten steps on one batch at a constant learning rate; weight decay on every 2-D tensor.


def train(optimizer, case, weights, tokens, targets):
    weights = {name: value.clone() for name, value in weights.items()}
    first = {name: torch.zeros_like(value) for name, value in weights.items()}
    second = {name: torch.zeros_like(value) for name, value in weights.items()}
    losses = []
    for step in range(1, STEPS + 1):
        _, loss, grads = forward_backward(case, weights, tokens, targets)
        losses.append(loss)
        scale = min(1.0, CLIP / norm(grads).item())
        for name, g in grads.items():
            if optimizer == "muon" and is_hidden_matrix(name, g):
                weights[name] = muon_step(name, weights[name], scale * g, first)
            else:
                options = MUON_ADAMW if optimizer == "muon" else ADAMW
                weights[name] = adamw_step(name, weights[name], scale * g, first, second, step, options)
    result = {f"{optimizer}.{name}": value.float() for name, value in weights.items()}
    return result | {f"{optimizer}.losses": torch.stack(losses)}


def is_hidden_matrix(name, g):
    return g.dim() == 2 and not any(word in name for word in ("wte", "wpe", "embed_tokens", "lm_head"))


def adamw_step(name, w, g, first, second, step, o):
    first[name] = o["beta1"] * first[name] + (1 - o["beta1"]) * g
    second[name] = o["beta2"] * second[name] + (1 - o["beta2"]) * g ** 2
    m = first[name] / (1 - o["beta1"] ** step)
    v = second[name] / (1 - o["beta2"] ** step)
    decay = o["weight_decay"] if w.dim() == 2 else 0.0
    return w - o["lr"] * (m / (torch.sqrt(v) + o["eps"]) + decay * w)


def muon_step(name, w, g, first):
    first[name] = MUON["momentum"] * first[name] + g
    nesterov = MUON["momentum"] * first[name] + g
    parts = nesterov.chunk(3, dim=0) if "c_attn" in name else [nesterov]  # q, k and v are matrices of their own
    update = torch.cat([math.sqrt(max(1, p.shape[0] / p.shape[1])) * newton_schulz(p) for p in parts])
    return w - MUON["lr"] * (update + MUON["weight_decay"] * w)


def newton_schulz(g):
    x = g / (torch.linalg.norm(g) + MUON["eps"])
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(MUON["ns_steps"]):
        gram = x @ x.T
        x = MUON["a"] * x + (MUON["b"] * gram + MUON["c"] * gram @ gram) @ x
    return x.T if tall else x


def write(file, tensors, metadata):
    dtypes = {torch.float64: "F64", torch.int64: "I64", torch.float32: "F32"}
    header, buffer = {"__metadata__": metadata}, bytearray()
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        begin = len(buffer)
        buffer += tensor.contiguous().numpy().tobytes()
        header[name] = {
            "dtype": dtypes[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, len(buffer)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (FOLDER / file).write_bytes(struct.pack("<Q", len(text)) + text + buffer)


if __name__ == "__main__":
    main()
