using System.Runtime.InteropServices;
using Windtunnel.Models;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tests.Tensors;

namespace Windtunnel.Tests.Models.HuggingFace;

/// <summary>Writes a LLaMA as llama2.c's export.py does.</summary>
internal static class Llama2CWriter
{
    public static byte[] Write(Model model, Backend backend, bool legacy)
    {
        ModelDimensions d = model.Dimensions;
        bool tied = model.Options.Tied;
        List<byte> bytes = [];
        if (!legacy)
        {
            Integers(0x616b3432, 1);
        }

        Integers(d.Width, d.FeedForward, d.Layers, d.Heads, d.KeyValueHeads, legacy && !tied ? -d.Vocabulary : d.Vocabulary, d.Context);
        if (!legacy)
        {
            bytes.Add(tied ? (byte)1 : (byte)0);
            bytes.AddRange(new byte[256 - bytes.Count]);
        }

        string[] norms = ["input_layernorm", "post_attention_layernorm"];
        string[] attention = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"], feedForward = ["mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"];
        if (legacy)
        {
            Weights("model.embed_tokens");
            Layers([norms[0], .. attention, norms[1], .. feedForward]);
            Weights("model.norm");
            bytes.AddRange(new byte[d.Context * d.HeadWidth * sizeof(float)]);
        }
        else
        {
            Layers(norms);
            Weights("model.norm");
            Weights("model.embed_tokens");
            Layers([.. attention, .. feedForward]);
        }

        if (!tied)
        {
            Weights("lm_head");
        }

        return [.. bytes];

        void Integers(params int[] values) => bytes.AddRange(MemoryMarshal.AsBytes<int>(values));

        void Layers(string[] parts)
        {
            foreach (string part in parts)
            {
                for (int layer = 0; layer < d.Layers; layer++)
                {
                    Weights($"model.layers.{layer}.{part}");
                }
            }
        }

        void Weights(string name)
        {
            Parameter parameter = model.Parameters.Parameters.Single(parameter => parameter.Name == $"{name}.weight");
            float[] values = OpCheck.Read(parameter.Value, backend);
            if (name.EndsWith("q_proj", StringComparison.Ordinal) || name.EndsWith("k_proj", StringComparison.Ordinal))
            {
                // From halves of a head to neighbouring pairs, row by row.
                float[][] rows = [.. values.Chunk(d.Width)];
                values = [.. rows.Chunk(d.HeadWidth).SelectMany(head => Enumerable.Range(0, d.HeadWidth).SelectMany(i => head[(i / 2) + (i % 2 * d.HeadWidth / 2)]))];
            }

            bytes.AddRange(MemoryMarshal.AsBytes<float>(values));
        }
    }
}
