using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

/// <summary>Kron with given probes in place of those that it draws.</summary>
/// <param name="Options">The rule.</param>
/// <param name="Probes">Those of a step, counted from 1, and a parameter, row by row; they begin again beyond the edges of a matrix.</param>
internal sealed record KronWithProbes(KronOptions Options, Func<int, Parameter, float[]> Probes) : OptimizerOptions(Options)
{
    public override string Source => Options.Source;

    public override IEnumerable<Rule> Rules(OptimizerState state) =>
        Options.Rules(state).Select(rule => rule with { Direction = (state, group) => new KronDirection(state, group, Options, Probe(state.Backend, group)) });

    private KronProbe Probe(Backend backend, ParameterGroup group) => (Tensor destination, BlockBatch batch, int first, in DirectionStep step) =>
    {
        Assert.Equal((0, batch.Count), (first, destination.Shape[0]));
        float[] all = new float[destination.Shape.Count];
        foreach (BlockPiece piece in batch.Pieces)
        {
            float[] probes = Probes((int)step.Number, piece.Parameter);
            long matrix = piece.Offset + group.Offset - piece.Parameter.Offset, start = piece.First * batch.BlockElements;
            for (long at = 0; at < piece.GridRows * piece.GridColumns * batch.BlockElements; at++)
            {
                (int block, int inBlock) = ((int)(at / batch.BlockElements), (int)(at % batch.BlockElements));
                int row = piece.Row + (block / piece.GridColumns * batch.Rows) + (inBlock / batch.Columns);
                int column = piece.Column + (block % piece.GridColumns * batch.Columns) + (inBlock % batch.Columns);
                all[start + at] = probes[matrix + (row % piece.Shape.Rows * piece.Shape.Columns) + (column % piece.Shape.Columns)];
            }
        }

        backend.Write(destination, all);
    };
}

/// <summary>SOAP with given bases after the first step, which are not unique while the averages have a low rank.</summary>
/// <param name="Options">The rule.</param>
/// <param name="Bases">Those of a parameter's block, named by the place of its first element in the parameter, for its rows or its columns.</param>
internal sealed record SoapWithBases(SoapOptions Options, Func<Parameter, long, bool, float[]> Bases) : OptimizerOptions(Options)
{
    public override string Source => Options.Source;

    public override IEnumerable<Rule> Rules(OptimizerState state) =>
        Options.Rules(state).Select(rule => rule with { Direction = (state, group) => new Injecting(new SoapDirection(state, group, Options), state, group, Bases) });

    private sealed class Injecting(SoapDirection inner, OptimizerState state, ParameterGroup group, Func<Parameter, long, bool, float[]> bases) : Direction
    {
        public override void Write(Tensor y, in Destination to, in DirectionStep step)
        {
            inner.Write(y, to, step);
            foreach (BlockBatch batch in step.Number == 1 ? inner.Partition.Batches : [])
            {
                foreach (BlockPiece piece in batch.Pieces)
                {
                    for (int i = 0; i < piece.GridRows * piece.GridColumns; i++)
                    {
                        int row = piece.Row + (i / piece.GridColumns * batch.Rows), column = piece.Column + (i % piece.GridColumns * batch.Columns);
                        long at = piece.Offset + group.Offset - piece.Parameter.Offset + (row * piece.Shape.Columns) + column;
                        Inject(batch.Left, batch.Rows, isRight: false);
                        Inject(batch.Right, batch.Columns, isRight: true);

                        void Inject(bool exists, int size, bool isRight)
                        {
                            if (exists)
                            {
                                string name = $"soap.basis.{(isRight ? "right" : "left")}.{batch.Name}.{group.Parameters[0].Name}";
                                Tensor all = state.Tensors.Single(entry => entry.Name == name).Tensor;
                                Shape square = new(size, size);
                                state.Backend.Write(new Tensor(all.Buffer, all.Offset + ((piece.First + i) * square.Count), square), bases(piece.Parameter, at, isRight));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// <summary>A batch whose gradients under labels drawn from the model are given.</summary>
/// <param name="parameters">Whose gradients they are.</param>
/// <param name="backend">Where they are.</param>
/// <param name="targets">Targets of the batch.</param>
/// <param name="interval">Steps from one estimate to the next.</param>
/// <param name="gradients">Those of a step and a parameter.</param>
internal sealed class SampledBatch(ParameterSet parameters, CpuBackend backend, long targets, int interval, Func<int, Parameter, float[]> gradients) : IStepBatch
{
    private int _calls;

    public long Targets => targets;

    public void ComputeGradients(Philox? labels)
    {
        Assert.NotNull(labels);
        _calls++;
        foreach (Parameter parameter in parameters.Parameters)
        {
            backend.Write(parameter.Grad, gradients(_calls * interval, parameter));
        }
    }
}

/// <summary>A loss whose Hessian is diagonal, such that Hutchinson's estimate is the one given whatever the shift is.</summary>
/// <param name="parameters">What it is a loss of.</param>
/// <param name="backend">Where they are.</param>
/// <param name="interval">Steps from one estimate to the next.</param>
/// <param name="estimates">Those of a step and a parameter.</param>
internal sealed class CurvedBatch(ParameterSet parameters, CpuBackend backend, int interval, Func<int, Parameter, float[]> estimates) : IStepBatch
{
    public const double Difference = 0.5;

    private readonly Dictionary<Parameter, float[]> _first = [];
    private int _calls;

    public long Targets => 1;

    public void ComputeGradients(Philox? labels)
    {
        Assert.Null(labels);
        int step = ((_calls++ / 2) + 1) * interval;
        foreach (Parameter parameter in parameters.Parameters)
        {
            float[] weights = new float[parameter.Shape.Count], estimate = estimates(step, parameter);
            backend.Read(parameter.Value, weights);
            if (_calls % 2 == 1)
            {
                _first[parameter] = weights;
                backend.Fill(parameter.Grad, 0);
                continue;
            }

            // The shift between the two points is -2 e u; a Hessian of estimate / u^2 gives u (H u) = estimate.
            backend.Write(parameter.Grad, [.. weights.Select((w, i) => (float)(estimate[i] * 4 * Difference * Difference / ((double)w - _first[parameter][i])))]);
        }
    }
}
