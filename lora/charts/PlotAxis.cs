namespace LoraScratch.Lora.Charts;

/// <summary>
/// An axis: its name, its marks, and where a value lies between the first mark (0) and the last
/// (1).
/// </summary>
internal sealed record PlotAxis(string Name, IReadOnlyList<double> Marks, Func<double, string> Label,
    bool IsLogarithmic = false)
{
    /// <summary>0 at the first mark, 1 at the last.</summary>
    public double Share(double value) => (Scale(value) - Scale(Marks[0])) / (Scale(Marks[^1]) - Scale(Marks[0]));

    private double Scale(double value) => IsLogarithmic ? Math.Log(value) : value;
}
