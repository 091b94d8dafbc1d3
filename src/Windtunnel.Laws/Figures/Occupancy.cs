namespace Windtunnel.Laws.Figures;

/// <summary>A rectangle in pixels.</summary>
internal readonly record struct Box(double X, double Y, double Width, double Height)
{
    public double Right => X + Width;

    public double Bottom => Y + Height;
}

/// <summary>Which parts of a plot are drawn on, so that labels and legends can keep clear of it.</summary>
/// <param name="width">Of the plot.</param>
/// <param name="height">Of the plot.</param>
internal sealed class Occupancy(double width, double height)
{
    private const double Cell = 3;

    private readonly bool[,] _taken = new bool[(int)Math.Ceiling(width / Cell) + 1, (int)Math.Ceiling(height / Cell) + 1];

    public void Add(Box box)
    {
        (int left, int right, int top, int bottom) = Cells(box);
        for (int x = left; x <= right; x++)
        {
            for (int y = top; y <= bottom; y++)
            {
                _taken[x, y] = true;
            }
        }
    }

    /// <summary>A line from one pixel to another; what lies outside the plot doesn't count.</summary>
    public void Add(double x1, double y1, double x2, double y2)
    {
        int steps = (int)(Math.Max(Math.Abs(x2 - x1), Math.Abs(y2 - y1)) / Cell) + 1;
        for (int i = 0; i <= steps; i++)
        {
            double share = (double)i / steps;
            Add(new Box(x1 + (share * (x2 - x1)), y1 + (share * (y2 - y1)), 0, 0));
        }
    }

    /// <summary>A line through points.</summary>
    public void Add(IEnumerable<(double X, double Y)> line)
    {
        foreach (((double X, double Y) a, (double X, double Y) b) in line.Zip(line.Skip(1)))
        {
            Add(a.X, a.Y, b.X, b.Y);
        }
    }

    /// <summary>How many pixels of a box are drawn on already, or lie outside the plot.</summary>
    public double Cost(Box box)
    {
        (int left, int right, int top, int bottom) = Cells(box);
        int taken = 0;
        for (int x = left; x <= right; x++)
        {
            for (int y = top; y <= bottom; y++)
            {
                taken += _taken[x, y] ? 1 : 0;
            }
        }

        double inside = Math.Max(0, Math.Min(box.Right, width) - Math.Max(box.X, 0)) * Math.Max(0, Math.Min(box.Bottom, height) - Math.Max(box.Y, 0));
        return (taken * Cell * Cell) + (10 * Math.Round((box.Width * box.Height) - inside));
    }

    /// <summary>How many pixels of a line are drawn on already.</summary>
    public double Cost(double x1, double y1, double x2, double y2)
    {
        double length = Math.Sqrt(Math.Pow(x2 - x1, 2) + Math.Pow(y2 - y1, 2)), cost = 0;
        for (double at = 0; at < length; at += Cell)
        {
            cost += Cost(new Box(x1 + (at / length * (x2 - x1)), y1 + (at / length * (y2 - y1)), 0, 0)) > 0 ? Cell : 0;
        }

        return cost;
    }

    private (int Left, int Right, int Top, int Bottom) Cells(Box box) =>
        box.Right < 0 || box.Bottom < 0 || box.X > width || box.Y > height ? (0, -1, 0, -1)
        : (Math.Max(0, (int)(box.X / Cell)), Math.Min(_taken.GetLength(0) - 1, (int)(box.Right / Cell)),
           Math.Max(0, (int)(box.Y / Cell)), Math.Min(_taken.GetLength(1) - 1, (int)(box.Bottom / Cell)));
}
