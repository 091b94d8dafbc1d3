using System.Text.Json;

namespace Windtunnel.Models.HuggingFace;

/// <summary>Tensors that are spread over files, with an index that says which is where: <c>model.safetensors.index.json</c> and its shards.</summary>
public sealed class ShardedFile : TensorFile
{
    private const int MaxIndexBytes = 1 << 24, MaxShards = 10_000;

    private readonly Dictionary<string, TensorFile> _shards = [];
    private readonly Dictionary<string, (TensorFile Shard, TensorInfo Info)> _tensors = [];

    private ShardedFile(string path)
        : base(path)
    {
        try
        {
            using JsonDocument index = Json.Parse(path, MaxIndexBytes, maxDepth: 4);
            if (!index.RootElement.TryGetProperty("weight_map", out JsonElement map) || map.ValueKind != JsonValueKind.Object)
            {
                throw Bad("has no weight_map of tensors and files");
            }

            foreach (JsonProperty entry in map.EnumerateObject())
            {
                TensorFile shard = Shard(entry.Value.GetString() ?? "");
                TensorInfo info = shard.Find(entry.Name) ?? throw Bad($"weight_map.{entry.Name}: there is no such tensor in {shard.Path}");
                _tensors.Add(info.Name, (shard, info));
            }
        }
        catch (Exception e)
        {
            Dispose();
            if (e is JsonException or InvalidOperationException or FormatException)
            {
                throw Bad($"is not valid JSON: {e.Message.ReplaceLineEndings(" ")}");
            }

            throw;
        }

        if (_shards.Values.SelectMany(shard => shard.Tensors).FirstOrDefault(info => !_tensors.ContainsKey(info.Name)) is { } stray)
        {
            Dispose();
            throw Bad($"weight_map lacks {stray.Name}, which a shard holds");
        }

        Tensors = [.. _tensors.Values.Select(tensor => tensor.Info)];
    }

    /// <inheritdoc/>
    public override IEnumerable<string> Files => _shards.Values.Select(shard => shard.Path);

    /// <inheritdoc/>
    public override IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Opens the index and every shard that it names, which lie beside it.</summary>
    /// <exception cref="InvalidDataException">The index or a shard is damaged, or they do not go together.</exception>
    /// <exception cref="IOException">A file is absent or cannot be read.</exception>
    public static new ShardedFile Open(string path) => new(path);

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (TensorFile shard in _shards.Values)
        {
            shard.Dispose();
        }
    }

    internal override TensorInfo? Find(string name) => _tensors.GetValueOrDefault(name).Info;

    internal override void Read(TensorInfo info, long first, Span<byte> destination) => _tensors[info.Name].Shard.Read(info, first, destination);

    internal override bool IsScattered(TensorInfo info) => _tensors[info.Name].Shard.IsScattered(info);

    private TensorFile Shard(string name)
    {
        if (_shards.TryGetValue(name, out TensorFile? open))
        {
            return open;
        }

        // Only a name: a path could lead to any file of this machine.
        string file = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(Path) ?? "", name);
        if (name.Length == 0 || name.AsSpan().ContainsAny('/', '\\', '\0') || !File.Exists(file) || _shards.Count == MaxShards)
        {
            throw Bad($"weight_map names '{name}', which is no file beside it, or one of more than {MaxShards}");
        }

        return _shards[name] = TensorFile.Open(file);
    }
}
