namespace Windtunnel.Laws.Reproduction;

/// <summary>Hu et al. 2024, "MiniCPM" (arXiv 2404.06395): the batch-size law, the optimal ratio of data to model, and the sizes of its wind tunnel (minicpm_ladder.csv).</summary>
public sealed class MiniCpmStudy : PublishedStudy
{
    /// <inheritdoc/>
    public override string Name => "minicpm";

    /// <inheritdoc/>
    public override string Source => "Hu et al. 2024, MiniCPM";

    /// <inheritdoc/>
    protected override string Subfolder => "";

    /// <inheritdoc/>
    public override StudyReport Run(string folder)
    {
        PointTable ladder = Read(folder, "minicpm_ladder.csv");
        List<ReproducedFigure> figures = [];
        BatchSizeLaw batch = new();
        foreach ((double loss, double tokens) in new[] { (4.5, 1.02e5), (4, 2.12e5), (3.5, 4.87e5), (3, 1.275e6), (2.75, 2.19e6), (2.5, 3.98e6), (2.4, 5.13e6) })
        {
            figures.Add(ReproducedFigure.Relative("bs = 1.21e9 / L^6.24", $"tokens in a batch at loss {loss}", tokens, batch.Predict([1.21e9, 6.24], loss), 0.005));
        }

        foreach ((int power, double ratio) in new[] { (18, 84.0), (19, 105), (20, 132), (21, 167), (22, 210) })
        {
            figures.Add(new ReproducedFigure("K^2 = .01, eta = -.10", $"optimal D/N at 1e{power}", ratio, ModelDataLaw.OptimalRatio(0.01, -0.10, Math.Pow(10, power)), 0.5));
        }

        double[] ultratext = [7.54e-2, 2.92e-1, 0.25, 0.30, 0.30];
        figures.Add(new ReproducedFigure("Figure 10, Ultratext", "optimal D/N from the rounded fit", 91.2, new ModelDataLaw().Derived[2].Value(ultratext), 0.05));

        string[] columns = ["n_layer", "d_model", "d_ff", "d_head", "n_q", "n_kv", "N_exact_nonembed"];
        IReadOnlyList<double>[] values = [.. columns.Select(column => Numbers(ladder, column))];
        for (int i = 0; i < ladder.Count; i++)
        {
            double layers = values[0][i], width = values[1][i], feedForward = values[2][i], heads = values[3][i] * (values[4][i] + values[5][i]);
            double parameters = (layers * ((2 * width * heads) + (3 * width * feedForward) + (2 * width))) + width;
            figures.Add(new ReproducedFigure("Tables 2 and 8", $"{ladder.Texts("name")[i]}, parameters without embeddings", values[6][i], parameters, 0));
        }

        return new StudyReport(figures,
            ["The paper's D/N of 192 holds at no stated compute: with its K^2 and eta the ratio is 84 at 1e18 operations and 210 at 1e22."]);
    }
}
