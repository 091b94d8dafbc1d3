using System.ComponentModel.DataAnnotations;
using System.Text;
using Windtunnel.Text;
using Windtunnel.Text.Corpora;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text;

public sealed class DatasetTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void A_corpus_becomes_shards_and_its_held_out_text_can_be_read_back()
    {
        DataOptions options = Synthetic(documents: 500, validationFraction: 0.1);
        string[] texts = [.. options.Corpus!.Build().Documents().Select(document => document.Text)];
        string[] heldOut = [.. texts.Where(text => Dataset.IsHeldOut(text, 0.1))];
        using Dataset dataset = Dataset.Prepare(options, _folder.Path);
        SourceManifest source = Assert.Single(dataset.Manifest.Sources);
        Assert.Equal(heldOut.Length, source.Validation.Documents);
        Assert.Equal(500 - heldOut.Length, source.Train.Documents);
        Assert.InRange(heldOut.Length, 20, 80);
        Assert.Equal(texts.Sum(Encoding.UTF8.GetByteCount), source.Train.Bytes + source.Validation.Bytes);

        using MemoryStream text = new();
        Assert.Equal(source.Validation.Bytes, Assert.Single(dataset.Validation).CopyText(text));
        Assert.Equal(string.Concat(heldOut), Encoding.UTF8.GetString(text.ToArray()));

        TokenShard train = dataset.Training[0].Shard;
        int[] ids = new int[train.TokenCount];
        train.ReadTokens(0, ids);
        Assert.Equal(string.Concat(texts.Except(heldOut)), dataset.Tokenizer.DecodeText(ids));
        for (long i = 0; i < train.DocumentCount; i++)
        {
            Assert.Equal(dataset.Tokenizer.EndOfTextId, ids[train.Document(i).End - 1]);
        }

        Assert.Equal(train.DocumentCount, ids.Count(id => id == dataset.Tokenizer.EndOfTextId));
    }

    [Fact]
    public void The_same_options_give_the_same_bytes_and_are_prepared_once()
    {
        DataOptions options = Synthetic(documents: 300);
        List<string> progress = [];
        using Dataset first = Dataset.Prepare(options, _folder.File("one"), progress.Add);
        using Dataset second = Dataset.Prepare(options, _folder.File("two"));
        string[] names = [.. Directory.GetFiles(first.Folder).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
        Assert.Equal(["dataset.json", "synthetic.train.bin", "synthetic.val.bin", "tokenizer.json"], names);
        Assert.All(names, name => Assert.Equal(File.ReadAllBytes(Path.Combine(first.Folder, name)), File.ReadAllBytes(Path.Combine(second.Folder, name))));
        Assert.Equal(Path.GetFileName(first.Folder), Path.GetFileName(second.Folder));

        Assert.NotEmpty(progress);
        progress.Clear();
        using Dataset again = Dataset.Prepare(options with { SubsetTokens = 1000 }, _folder.File("one"), progress.Add);
        Assert.Empty(progress);
        Assert.Equal(first.Folder, again.Folder);
        Assert.InRange(again.Training[0].TokenCount, 1000, 2000);
        Assert.Single(Directory.GetDirectories(_folder.File("one")));
    }

    [Fact]
    public void Whatever_changes_the_content_changes_the_folder()
    {
        string path = _folder.Write("a.txt", "some text");
        _folder.Write("b.txt", "other text");
        DataOptions options = new(new FilesCorpusOptions([_folder.File("*.txt")]), Tokenizer: new BytesTokenizerOptions(), ValidationFraction: 0);
        HashSet<string> folders = [];
        Assert.True(Add(options));
        Assert.False(Add(options));
        Assert.True(Add(options with { Tokenizer = new BpeTokenizerOptions(300) }));
        Assert.True(Add(options with { Tokenizer = new BpeTokenizerOptions(300, SplitPattern.Gpt2) }));
        Assert.True(Add(options with { ValidationFraction = 1e-9 }, mayFail: true));
        File.WriteAllText(path, "more text");
        Assert.True(Add(options));

        bool Add(DataOptions changed, bool mayFail = false)
        {
            try
            {
                using Dataset dataset = Dataset.Prepare(changed, _folder.File("data"));
                return folders.Add(dataset.Folder);
            }
            catch (ValidationException) when (mayFail)
            {
                return true;
            }
        }
    }

    [Fact]
    public void The_split_of_a_document_does_not_depend_on_the_others()
    {
        string[] texts = [.. Enumerable.Range(0, 20_000).Select(i => $"document {i}")];
        string[] heldOut = [.. texts.Where(text => Dataset.IsHeldOut(text, 0.02))];
        Assert.InRange(heldOut.Length, 340, 460);
        Assert.Equal(heldOut, texts.Where(text => Dataset.IsHeldOut(text, 0.05)).Intersect(heldOut));
        Assert.DoesNotContain(texts, text => Dataset.IsHeldOut(text, 0));

        using Dataset few = Dataset.Prepare(Synthetic(documents: 200, tokenizer: new BytesTokenizerOptions()), _folder.Path);
        using Dataset many = Dataset.Prepare(Synthetic(documents: 300, tokenizer: new BytesTokenizerOptions()), _folder.Path);
        Assert.StartsWith(HeldOut(few), HeldOut(many));

        static string HeldOut(Dataset dataset)
        {
            using MemoryStream text = new();
            dataset.Validation[0].CopyText(text);
            return Encoding.UTF8.GetString(text.ToArray());
        }
    }

    [Fact]
    public void A_mixture_shares_one_tokenizer_and_a_saved_tokenizer_is_used_as_it_is()
    {
        _folder.Write("a.jsonl", string.Concat(Enumerable.Range(0, 300).Select(i => $"{{\"text\":\"line number {i}\"}}\n")));
        SourceOptions[] sources =
        [
            new(new FilesCorpusOptions([_folder.File("*.jsonl")]), Weight: 3),
            new(new SyntheticCorpusOptions(Documents: 200, SentencesPerDocument: 3), SubsetTokens: 500, Name: "made-up"),
        ];
        string saved = _folder.File("saved.json");
        using (Dataset trained = Dataset.Prepare(new DataOptions(Sources: sources, Tokenizer: new BpeTokenizerOptions(400), ValidationFraction: 0.1), _folder.File("data")))
        {
            Assert.Equal(["files", "made-up"], trained.Training.Select(source => source.Name));
            Assert.Equal(["files", "made-up"], trained.Validation.Select(source => source.Name));
            BatchLoader loader = trained.Loader(sequenceLength: 10, seed: 0);
            loader.Next(new int[10 * 8], new int[10 * 8]);
            Assert.Equal([6, 2], loader.Cursor.Sources.Select(source => source.Sequences));
            trained.Tokenizer.Save(saved);
        }

        using Dataset reused = Dataset.Prepare(new DataOptions(Sources: sources, Tokenizer: new FileTokenizerOptions(saved), ValidationFraction: 0.1), _folder.File("data"));
        Assert.Equal(Tokenizer.Load(saved).Sha256, reused.Tokenizer.Sha256);
    }

    [Fact]
    public void A_damaged_folder_is_refused_and_an_incomplete_one_is_prepared_again()
    {
        DataOptions options = Synthetic(documents: 200, tokenizer: new BpeTokenizerOptions(300));
        string folder;
        using (Dataset dataset = Dataset.Prepare(options, _folder.Path))
        {
            folder = dataset.Folder;
        }

        foreach (string name in (string[])["synthetic.train.bin", "synthetic.val.bin", "tokenizer.json", "dataset.json"])
        {
            string path = Path.Combine(folder, name);
            byte[] valid = File.ReadAllBytes(path);
            byte[] damaged = [.. valid];
            damaged[valid.Length / 3] ^= 1;
            File.WriteAllBytes(path, damaged);
            if (name != "dataset.json")
            {
                Assert.Contains(name, Assert.Throws<InvalidDataException>(() => Dataset.Prepare(options, _folder.Path)).Message);
            }

            File.WriteAllBytes(path, valid[..(valid.Length / 2)]);
            Assert.Contains(name, Assert.Throws<InvalidDataException>(() => Dataset.Prepare(options, _folder.Path)).Message);
            File.WriteAllBytes(path, valid);
        }

        File.Delete(Path.Combine(folder, "dataset.json"));
        Dataset.Prepare(options, _folder.Path).Dispose();
        Assert.True(File.Exists(Path.Combine(folder, "dataset.json")));
    }

    [Fact]
    public void What_an_interrupted_preparation_left_is_removed_and_a_live_one_is_not_disturbed()
    {
        string killed = Work("killed", "host 1\n"), live = Work("live", "host 2\n"), beginning = Work("beginning", "");
        string foreign = Directory.CreateDirectory(_folder.File("other.tmp-folder")).FullName;
        using (new FileStream(Path.Combine(live, "lock"), FileMode.Open, FileAccess.Write, FileShare.None))
        {
            Dataset.Prepare(Synthetic(documents: 200, tokenizer: new BytesTokenizerOptions()), _folder.Path).Dispose();
            Assert.False(Directory.Exists(killed));
            Assert.All([live, beginning, foreign], folder => Assert.True(Directory.Exists(folder)));
        }

        List<bool> working = [];
        DataOptions larger = Synthetic(documents: 300, tokenizer: new BytesTokenizerOptions());
        Dataset.Prepare(larger, _folder.Path, _ =>
        {
            Dataset.Prepare(Synthetic(documents: 200, tokenizer: new BytesTokenizerOptions()), _folder.Path).Dispose();
            working.Add(Directory.GetFiles(_folder.Path, "lock", SearchOption.AllDirectories).Any(path => path != Path.Combine(beginning, "lock")));
        }).Dispose();
        Assert.All(working, Assert.True);
        Assert.False(Directory.Exists(live));

        string Work(string name, string holder)
        {
            string work = Directory.CreateDirectory(_folder.File($"synthetic-0.tmp-{name}")).FullName;
            File.WriteAllText(Path.Combine(work, "lock"), holder);
            File.WriteAllText(Path.Combine(work, "synthetic.train.bin"), "half a shard");
            return work;
        }
    }

    [Fact]
    public void A_prepared_folder_opens_by_itself_when_corpus_and_tokenizer_file_are_gone()
    {
        string text = _folder.Write("a.jsonl", string.Concat(Enumerable.Range(0, 300).Select(i => $"{{\"text\":\"line number {i}\"}}\n")));
        string tokenizer = _folder.File("saved.json");
        new BpeTokenizerOptions(300).Train(["line number 1 line number 2"]).Save(tokenizer);
        DataOptions options = new(new FilesCorpusOptions([text]), Tokenizer: new FileTokenizerOptions(tokenizer), ValidationFraction: 0.1);
        using Dataset prepared = Dataset.Prepare(options, _folder.File("data"));
        File.Delete(text);
        File.Delete(tokenizer);
        Assert.Throws<ValidationException>(() => Dataset.Prepare(options, _folder.File("data")));

        using (Dataset opened = Dataset.Open(prepared.Folder, options with { SubsetTokens = 100 }))
        {
            Assert.Equal(prepared.Manifest.Key, opened.Manifest.Key);
            Assert.Equal(prepared.Tokenizer.Sha256, opened.Tokenizer.Sha256);
            Assert.Equal(prepared.Validation[0].Shard.Sha256, opened.Validation[0].Shard.Sha256);
            Assert.InRange(opened.Training[0].TokenCount, 100, 150);
        }

        Assert.Throws<InvalidDataException>(() => Dataset.Open(prepared.Folder, options with { ValidationFraction = 0.2 }));
        Assert.Throws<InvalidDataException>(() => Dataset.Open(prepared.Folder, options with { Tokenizer = new BpeTokenizerOptions() }));
        Assert.Throws<InvalidDataException>(() => Dataset.Open(prepared.Folder, options with { Corpus = new SyntheticCorpusOptions() }));
        Assert.Throws<ValidationException>(() => Dataset.Open(_folder.File("absent"), options));
        string shard = Path.Combine(prepared.Folder, "files.train.bin");
        File.WriteAllBytes(shard, [.. File.ReadAllBytes(shard)[..^1], 1]);
        Assert.Contains(shard, Assert.Throws<InvalidDataException>(() => Dataset.Open(prepared.Folder, options)).Message);
        string manifest = Path.Combine(prepared.Folder, "dataset.json");
        File.WriteAllText(manifest, """{"format":1,"key":"","tokenizerSha256":"","vocabularySize":1,"sources":[null],"options":{}}""");
        Assert.Contains(manifest, Assert.Throws<InvalidDataException>(() => Dataset.Open(prepared.Folder, options)).Message);
    }

    [Fact]
    public void Wrong_options_are_named_by_their_path()
    {
        SyntheticCorpusOptions corpus = new();
        Refused("data.validationFraction: 1 ", new DataOptions(ValidationFraction: 1));
        Refused("data.validationFraction: NaN ", new DataOptions(ValidationFraction: double.NaN));
        Refused("data.sources: is empty", new DataOptions(Sources: []));
        Refused("data.sources: excludes", new DataOptions(Corpus: corpus, Sources: [new SourceOptions()]));
        Refused("data.sources[1]: is null", new DataOptions(Sources: [new SourceOptions(), null!]));
        Refused("data.sources[1].name: two sources", new DataOptions(Sources: [new SourceOptions(corpus), new SourceOptions(corpus with { Seed = 1 })]));
        Refused("data.sources[0].name: '../x'", new DataOptions(Sources: [new SourceOptions(corpus, Name: "../x")]));
        Refused("data.sources[0].weight: 0 ", new DataOptions(Sources: [new SourceOptions(corpus, Weight: 0)]));
        Refused("data.sources[0].weight: NaN ", new DataOptions(Sources: [new SourceOptions(corpus, Weight: double.NaN)]));
        Refused("data.sources[0].subsetTokens: 0 ", new DataOptions(Sources: [new SourceOptions(corpus, SubsetTokens: 0)]));
        Refused("data.sources[0].corpus.maxDepth: -1 ", new DataOptions(Sources: [new SourceOptions(corpus with { MaxDepth = -1 })]));
        Refused("data.subsetTokens: -5 ", new DataOptions(corpus, SubsetTokens: -5));
        Refused("data.corpus.documents: -1 ", new DataOptions(corpus with { Documents = -1 }));
        Refused("data.corpus.zipfExponent: NaN ", new DataOptions(corpus with { ZipfExponent = double.NaN }));
        Refused("data.corpus.paths: ", new DataOptions(new FilesCorpusOptions()));
        Refused("data.corpus.paths: ", new DataOptions(new FilesCorpusOptions([null!])));
        Refused("data.tokenizer.vocabularySize: 10 ", new DataOptions(corpus, Tokenizer: new BpeTokenizerOptions(10)));
        new DataOptions().Validate();

        static void Refused(string start, DataOptions options) => Assert.StartsWith(start, Assert.Throws<ValidationException>(options.Validate).Message);
    }

    [Fact]
    public void Wrong_options_are_named_before_anything_is_written()
    {
        Refused("validationFraction", new DataOptions(ValidationFraction: 1));
        Refused("absent.json", new DataOptions(new SyntheticCorpusOptions(), Tokenizer: new FileTokenizerOptions("absent.json")));
        Refused("data.corpus.documents", Synthetic(documents: -1));
        Refused("too few", Synthetic(documents: 1));
        Refused("subsetTokens", Synthetic(documents: 200, tokenizer: new BytesTokenizerOptions()) with { SubsetTokens = 1L << 40 });
        Assert.Single(Directory.GetDirectories(_folder.Path));

        void Refused(string named, DataOptions options) =>
            Assert.Contains(named, Assert.Throws<ValidationException>(() => Dataset.Prepare(options, _folder.Path)).Message);
    }

    public void Dispose() => _folder.Dispose();

    private static DataOptions Synthetic(int documents, double validationFraction = 0.1, TokenizerOptions? tokenizer = null) => new(
        new SyntheticCorpusOptions(Documents: documents, SentencesPerDocument: 4),
        Tokenizer: tokenizer ?? new BpeTokenizerOptions(500),
        ValidationFraction: validationFraction);
}
