using System.ComponentModel.DataAnnotations;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>A rule at work on its parameters.</summary>
internal sealed class Chain
{
    // C-Optim's floor: where next to nothing of an update remains it is not blown up without bound.
    private const double CautionFloor = 1e-3;

    private readonly OptimizerOptions _options;
    private readonly Backend _backend;
    private readonly List<(ParameterGroup Group, Direction Direction, double WeightDecay)> _links = [];
    private readonly Tensor? _scratch;
    private readonly bool _isOnePass;

    public Chain(Rule rule, OptimizerOptions options, HashSet<Parameter> mine, ParameterSet parameters, OptimizerState state)
    {
        (Rule, _options, _backend) = (rule, options, state.Backend);
        bool tensorWise = rule.IsTensorWise || rule.KeepsNorm || rule.ClipsEachTensor || options.IsCautious;
        foreach (bool decays in new[] { true, false })
        {
            bool condition(Parameter parameter) => mine.Contains(parameter) && Decays(parameter.Role, options.DecayOn) == decays;
            foreach (ParameterGroup group in tensorWise ? parameters.Singles(condition) : parameters.Groups(condition))
            {
                _links.Add((group, rule.Direction(state, group), decays ? rule.WeightDecay : 0));
            }
        }

        _isOnePass = !(options.IsCautious || options.CautiousDecay || rule.KeepsNorm);
        _scratch = options.IsCautious ? state.Scratch(new Shape(_links.Max(link => (int)link.Group.Values.Shape.Count))) : null;
    }

    public Rule Rule { get; }

    public void Step(in OptimizerStep step)
    {
        foreach ((_, Direction direction, _) in _links)
        {
            direction.Prepare(step);
        }

        float gradScale = Rule.ClipsEachTensor ? step.GradScale : Clipped(step.GradScale, _links);
        for (int i = 0; i < _links.Count; i++)
        {
            (ParameterGroup group, Direction direction, double weightDecay) = _links[i];
            float scale = Rule.ClipsEachTensor ? Clipped(step.GradScale, _links[i..(i + 1)]) : gradScale;
            double rate = Rule.LearningRate * step.RateFactor * (Rule.IgnoresRateScale ? 1 : group.RateScale);
            double decay = weightDecay * _options.Decay switch
            {
                DecayKind.Decoupled => step.RateFactor,
                DecayKind.Corrected => rate * step.RateFactor,
                _ => rate,
            };
            Move(group, direction, scale, new DirectionStep(step.Number, rate, decay, step.Seed));
        }
    }

    public void Average()
    {
        foreach ((_, Direction direction, _) in _links)
        {
            direction.Average();
        }
    }

    private static bool Decays(ParameterRole role, DecayScope scope) => scope switch
    {
        DecayScope.All => true,
        DecayScope.Linear => role is ParameterRole.Hidden or ParameterRole.Head or ParameterRole.Router,
        _ => role is not (ParameterRole.Norm or ParameterRole.Bias),
    };

    private void Move(ParameterGroup group, Direction direction, float gradScale, in DirectionStep step)
    {
        Tensor weights = group.Values;
        if (Rule.MovesWeights)
        {
            direction.Write(weights, new Destination(1, 1, gradScale), step);
            return;
        }

        if (_isOnePass)
        {
            direction.Write(weights, new Destination((float)(1 - step.Decay), (float)-step.Rate, gradScale), step);
            return;
        }

        Tensor update = _scratch is null ? group.Grads : new Tensor(_scratch.Buffer, 0, weights.Shape);
        direction.Write(update, new Destination(0, 1, gradScale), step);
        double rate = step.Rate;
        if (_options.IsCautious)
        {
            rate /= Math.Max(_backend.Caution(update, group.Grads) / weights.Shape.Count, CautionFloor);
        }

        if (Rule.KeepsNorm)
        {
            double before = Norm(weights), length = Norm(update);
            if (before == 0 && length > 0)
            {
                throw new ValidationException(
                    $"optimizer: {group.Parameters[0].Name} is all zeros, and {Rule.Name}, which keeps norms, would never move it; start from other weights or with another optimizer");
            }

            if (length > 0)
            {
                _backend.Descend(weights, update, new Destination(1, (float)(-step.Rate * before / length), 1));
                _backend.Add(weights, weights, (float)(before / Norm(weights)), accumulate: false);
            }
        }
        else if (_options.CautiousDecay)
        {
            _backend.DescendCautiously(weights, update, (float)rate, (float)step.Decay);
        }
        else
        {
            _backend.Descend(weights, update, new Destination((float)(1 - step.Decay), (float)-rate, 1));
        }
    }

    private float Clipped(float gradScale, List<(ParameterGroup Group, Direction, double)> links)
    {
        if (Rule.ClipNorm == 0)
        {
            return gradScale;
        }

        double squares = 0;
        foreach ((ParameterGroup group, _, _) in links)
        {
            squares += _backend.SumOfSquares(group.Grads);
        }

        double norm = Math.Sqrt(squares) * gradScale;
        return norm > Rule.ClipNorm ? (float)(gradScale * Rule.ClipNorm / norm) : gradScale;
    }

    private double Norm(Tensor tensor) => Math.Sqrt(_backend.SumOfSquares(tensor));
}
