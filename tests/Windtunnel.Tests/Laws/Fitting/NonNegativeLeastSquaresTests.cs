using MathNet.Numerics.Random;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Tests.Laws.Fitting;

public sealed class NonNegativeLeastSquaresTests
{
    [Fact]
    public void The_solution_meets_the_conditions_of_optimality()
    {
        MersenneTwister random = new(2, threadSafe: false);
        for (int trial = 0; trial < 500; trial++)
        {
            int n = 1 + random.Next(5), rows = 10;
            double[] design = [.. Enumerable.Range(0, rows * n).Select(_ => (2 * random.NextDouble()) - 0.7)], y = [.. Enumerable.Range(0, rows).Select(_ => (2 * random.NextDouble()) - 1)];
            bool[] free = [.. Enumerable.Range(0, n).Select(_ => random.NextDouble() < 0.2)];
            double[] gram = new double[n * n], moment = new double[n], solution = new double[n];
            for (int row = 0; row < rows; row++)
            {
                for (int j = 0; j < n; j++)
                {
                    moment[j] += design[(row * n) + j] * y[row];
                    for (int k = 0; k < n; k++)
                    {
                        gram[(j * n) + k] += design[(row * n) + j] * design[(row * n) + k];
                    }
                }
            }

            NonNegativeLeastSquares.Solve(gram, moment, free, solution);

            // Kuhn and Tucker: no slope where the coefficient is free or positive, none that would lower the sum where it is zero.
            for (int j = 0; j < n; j++)
            {
                double slope = -moment[j] + Enumerable.Range(0, n).Sum(k => gram[(j * n) + k] * solution[k]);
                Assert.True(free[j] || solution[j] >= 0);
                Assert.InRange(slope, -1e-8, free[j] || solution[j] > 0 ? 1e-8 : double.PositiveInfinity);
            }
        }
    }
}
