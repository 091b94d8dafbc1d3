using Windtunnel.Runs;

namespace Windtunnel.Tests.Runs;

/// <summary>Rows of comma-separated values.</summary>
public sealed class CsvRowTests
{
    [Fact]
    public void What_would_break_a_row_is_quoted()
    {
        Assert.Equal("plain,,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\"carriage\rreturn\"\n", CsvRow.Of("plain", "", "a,b", "say \"x\"", "two\nlines", "carriage\rreturn"));
    }

    [Fact]
    public void What_a_spreadsheet_would_run_is_text()
    {
        Assert.Equal("'=1+1,'+a,'-a,'@a,\"'=a,b\"\n", CsvRow.Of("=1+1", "+a", "-a", "@a", "=a,b"));
        Assert.Equal("-1,+2.5e-3,a=b,-Infinity\n", CsvRow.Of("-1", "+2.5e-3", "a=b", "-Infinity"));
    }

    [Fact]
    public void Numbers_read_back_the_same_and_what_is_none_is_empty()
    {
        Assert.Equal(0.1 + 0.2, double.Parse(CsvRow.Number(0.1 + 0.2)));
        Assert.Equal(["", "", "0"], [CsvRow.Number(double.NaN), CsvRow.Number(double.NegativeInfinity), CsvRow.Number(0)]);
    }
}
