namespace Windtunnel.Text;

/// <summary>Groups a stream of documents so that each group can be worked on in parallel in bounded memory.</summary>
internal static class DocumentBatches
{
    private const long BatchChars = 1 << 23;

    public static IEnumerable<List<string>> Of(IEnumerable<string> documents)
    {
        List<string> batch = [];
        long chars = 0;
        foreach (string document in documents)
        {
            batch.Add(document);
            chars += document.Length;
            if (chars >= BatchChars)
            {
                yield return batch;
                batch = [];
                chars = 0;
            }
        }

        if (batch.Count > 0)
        {
            yield return batch;
        }
    }
}
