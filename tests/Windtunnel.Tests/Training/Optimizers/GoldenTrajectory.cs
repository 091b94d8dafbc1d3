using System.Text.Json;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

/// <summary>Twelve steps of a reference optimizer on a matrix W [4, 6] and a gain b [5], from given gradients, in double precision.</summary>
public sealed class GoldenTrajectory
{
    private readonly JsonElement _root, _case;

    /// <summary>A case of a file of them.</summary>
    public GoldenTrajectory(string path, string name)
    {
        _root = JsonDocument.Parse(File.ReadAllBytes(path)).RootElement;
        _case = _root.GetProperty("cases").EnumerateArray().Single(entry => entry.GetProperty("name").GetString() == name);
    }

    /// <summary>What is put into W's declaration, and what the optimizer may ask for.</summary>
    public sealed record Setting(
        ParameterRole Role = ParameterRole.Hidden, ScoreRows Scores = default, int HeadWidth = 0, Func<int, double>? RateFactor = null,
        Func<GoldenTrajectory, ParameterSet, CpuBackend, IStepBatch>? Batch = null);

    /// <summary>A hyperparameter.</summary>
    public double this[string name] => _case.GetProperty("hyper").GetProperty(name).GetDouble();

    /// <summary>A flag.</summary>
    public bool Has(string name) => _case.GetProperty("hyper").TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.True;

    /// <summary>Noise that is injected at a step, counted from 1.</summary>
    public float[] Noise(string name, int step, string parameter) => Flatten(_root.GetProperty("noise").GetProperty(name)[step - 1].GetProperty(parameter));

    /// <summary>Extra tensors of the case.</summary>
    public JsonElement Extra => _case.GetProperty("extra");

    /// <summary>The largest deviation of any weight after any stored step.</summary>
    public double Follow(OptimizerOptions options, Setting? setting = null)
    {
        setting ??= new Setting();
        options.Validate();
        using CpuBackend backend = new(1);
        using ParameterSet parameters = new();
        parameters.Matrix("W", setting.Role, 4, 6, 1, headWidth: setting.HeadWidth, scores: setting.Scores);
        parameters.Vector("b", ParameterRole.Norm, 5, 1);
        parameters.Allocate(backend, gradients: true);
        Write(backend, parameters, _root.GetProperty("params"), parameter => parameter.Value);
        using Optimizer optimizer = options.Build(parameters, backend);
        IStepBatch? batch = setting.Batch?.Invoke(this, parameters, backend);
        double worst = 0;
        int compared = 0, step = 0;
        foreach (JsonElement grads in _root.GetProperty("grads").EnumerateArray())
        {
            step++;
            Write(backend, parameters, grads, parameter => parameter.Grad);
            optimizer.Step(new OptimizerStep(step, setting.RateFactor?.Invoke(step) ?? 1, GradScale: 1, Seed: 1, batch));
            if (_case.GetProperty("steps").TryGetProperty($"{step}", out JsonElement expected))
            {
                worst = Math.Max(worst, Distance(backend, parameters, expected));
                compared++;
            }

            if (options is ScheduleFreeOptions && Extra.GetProperty("x").TryGetProperty($"{step}", out JsonElement average))
            {
                optimizer.BeginEvaluation();
                worst = Math.Max(worst, Distance(backend, parameters, average));
                optimizer.EndEvaluation();
            }
        }

        Assert.Equal(4, compared);
        return worst;
    }

    /// <summary>The numbers of a matrix or vector, row by row.</summary>
    public static float[] Flatten(JsonElement values) => values.ValueKind == JsonValueKind.Array
        ? [.. values.EnumerateArray().SelectMany(Flatten)]
        : [(float)values.GetDouble()];

    private static void Write(CpuBackend backend, ParameterSet parameters, JsonElement values, Func<Parameter, Tensor> where)
    {
        foreach (Parameter parameter in parameters.Parameters)
        {
            backend.Write(where(parameter), Flatten(values.GetProperty(parameter.Name)));
        }
    }

    private static double Distance(CpuBackend backend, ParameterSet parameters, JsonElement expected)
    {
        double worst = 0;
        foreach (Parameter parameter in parameters.Parameters)
        {
            float[] actual = new float[parameter.Shape.Count];
            backend.Read(parameter.Value, actual);
            worst = Math.Max(worst, Flatten(expected.GetProperty(parameter.Name)).Zip(actual, (a, b) => Math.Abs((double)a - b)).Max());
        }

        return worst;
    }
}
