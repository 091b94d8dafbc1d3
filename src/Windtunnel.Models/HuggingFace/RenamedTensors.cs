namespace Windtunnel.Models.HuggingFace;

/// <summary>
/// The tensors of a file by the names that our models give them: without what compilers and wrappers put before a name, with the
/// model's prefix where it lacks, and without buffers that follow from the sizes.
/// </summary>
internal sealed class RenamedTensors : TensorFile
{
    private static readonly string[] s_wrappers = ["_orig_mod.", "module."];
    private static readonly string[] s_buffers = [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"];

    private readonly TensorFile _file;
    private readonly Dictionary<string, TensorInfo> _tensors = [];

    /// <param name="file">The file, which is disposed of with this.</param>
    /// <param name="prefix">What every name but that of the head begins with.</param>
    public RenamedTensors(TensorFile file, string prefix)
        : base(file.Path)
    {
        _file = file;
        foreach (TensorInfo info in file.Tensors.Where(info => !Array.Exists(s_buffers, buffer => info.Name.EndsWith(buffer, StringComparison.Ordinal))))
        {
            string name = info.Name;
            while (Array.Find(s_wrappers, wrapper => name.StartsWith(wrapper, StringComparison.Ordinal)) is { } wrapper)
            {
                name = name[wrapper.Length..];
            }

            if (!name.StartsWith(prefix, StringComparison.Ordinal) && name != "lm_head.weight")
            {
                name = prefix + name;
            }

            if (!_tensors.TryAdd(name, info))
            {
                throw Bad($"{info.Name} and {_tensors[name].Name} both name {name}");
            }
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<string> Files => _file.Files;

    /// <inheritdoc/>
    public override IReadOnlyList<TensorInfo> Tensors => _file.Tensors;

    /// <summary>Our names of them.</summary>
    public IReadOnlyCollection<string> Names => _tensors.Keys;

    /// <inheritdoc/>
    public override void Dispose() => _file.Dispose();

    internal override TensorInfo? Find(string name) => _tensors.GetValueOrDefault(name);

    internal override void Read(TensorInfo info, long first, Span<byte> destination) => _file.Read(info, first, destination);

    internal override bool IsScattered(TensorInfo info) => _file.IsScattered(info);
}
