using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws.Curves;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Laws.Curves;

public sealed class LossCurveTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Rows_are_sorted_repeated_steps_keep_the_last_and_the_warm_up_is_left_out()
    {
        LossCurve curve = LossCurve.Read(Write("step,lr,loss\n0,,10.9\n4,1,5\n30,0.5,3.2\n10,1,4\n20,1,9\n20,1,3.5\n"), warmup: 5);
        Assert.Equal([10, 20, 30], curve.Steps);
        Assert.Equal([4, 3.5, 3.2], curve.Losses);
        Assert.Equal("curve", curve.Name);
        Assert.Equal([1, 1, 0.75, 0.5], new[] { 5, 20, 25, 30 }.Select(step => curve.Rates[step]));
        Assert.Equal([20, 30], curve.From(11).Steps);
    }

    [Fact]
    public void A_given_schedule_needs_no_column_of_rates_and_columns_may_be_mapped()
    {
        LearningRateSequence rates = LearningRateSequence.Of(100, _ => 1, 0);
        LossCurve curve = LossCurve.Read(Write("it,val_loss\n50,3\n100,2.5\n"), rates: rates, mapping: new Dictionary<string, string> { ["step"] = "it" });
        Assert.Equal([50, 100], curve.Steps);
        Assert.Same(rates, curve.Rates);
    }

    [Theory]
    [InlineData("step,loss\n1,3\n", "lr")]
    [InlineData("lr,loss\n1,3\n", "step")]
    [InlineData("", "empty")]
    [InlineData("step,lr,loss\n", "no learning rate")]
    [InlineData("step,lr,loss\n10,,3\n", "no learning rate")]
    [InlineData("step,lr,loss\n10,1,3\n20,1\n", "line 3")]
    [InlineData("step,lr,loss\n10,1,3\n20,1,NaN\n", "line 3: loss: 'NaN'")]
    [InlineData("step,lr,loss\n10,1,-3\n", "line 2: loss")]
    [InlineData("step,lr,loss\n10,x,3\n", "line 2: lr: 'x'")]
    [InlineData("step,lr,loss\n10.5,1,3\n", "line 2: step: 10.5")]
    [InlineData("step,lr,loss\n1e300,1,3\n", "line 2: step")]
    [InlineData("step,lr,loss\n-1,1,3\n", "line 2: step")]
    [InlineData("step,lr,loss\n10,-1,3\n", "learning rate of step")]
    [InlineData("step,lr,loss\n2,1,3\n", "after the warm-up of 5")]
    [InlineData("step,lr,loss\n10,\"1,3\n", "curve.csv")]
    public void A_file_that_is_no_curve_is_one_line_that_names_it(string text, string expected)
    {
        Exception error = Assert.ThrowsAny<Exception>(() => LossCurve.Read(Write(text), warmup: 5));
        Assert.True(error is InvalidDataException or ValidationException, error.GetType().Name);
        Assert.Contains("curve.csv", error.Message);
        Assert.Contains(expected, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Files_that_are_no_files_and_folders_without_curves_are_named()
    {
        Assert.Contains("absent.csv", Assert.Throws<ValidationException>(() => LossCurve.Read(Path.Combine(_folder.Path, "absent.csv"))).Message);
        Assert.Contains(_folder.Path, Assert.Throws<ValidationException>(() => LossCurve.ReadFolder(_folder.Path)).Message);
    }

    [Fact]
    public void A_folder_gives_its_curves_by_name_and_passes_over_other_tables()
    {
        Write("step,lr,loss\n10,1,3\n", "b.csv");
        Write("step,lr,loss\n10,1,3\n", "a.csv");
        Write("file,n\na.csv,1\n", "index.csv");
        Assert.Equal(["a", "b"], LossCurve.ReadFolder(_folder.Path).Select(curve => curve.Name));
    }

    [Fact]
    public void A_run_gives_its_validation_losses()
    {
        RunFolder run = RunFolder.Create(_folder.Path, "tiny", "tiny-1");
        using (MetricsLog log = new(run.MetricsPath))
        {
            for (int step = 1; step <= 10; step++)
            {
                Progress at = new(step, step, 0, 0, 0);
                log.Append(at, ("train/loss", 4), ("train/lr", step <= 5 ? 1 : 0.5));
                if (step % 5 == 0)
                {
                    log.Append(at, ("val/b/loss", 3), ("val/a/loss", 2));
                }
            }
        }

        LossCurve curve = LossCurve.Read(run, warmup: 0);
        Assert.Equal([5, 10], curve.Steps);
        Assert.Equal([2, 2], curve.Losses);
        Assert.Equal([7.5], curve.Rates.Areas([10], WarmupHandling.Ramp));
        Assert.Equal([3, 3], LossCurve.Read(run, validationSet: "b").Losses);
        Assert.Contains("tiny-1", Assert.Throws<ValidationException>(() => LossCurve.Read(run, validationSet: "c")).Message);
    }

    private string Write(string text, string name = "curve.csv")
    {
        string path = Path.Combine(_folder.Path, name);
        File.WriteAllText(path, text);
        return path;
    }
}
