using System.Text.Json;

namespace Windtunnel.Models.HuggingFace;

/// <summary>Small JSON files of others.</summary>
internal static class Json
{
    /// <summary>Parses a file; duplicate names, deep nesting and large files are errors.</summary>
    /// <exception cref="InvalidDataException">The file is larger than <paramref name="maxBytes"/> or not a JSON object.</exception>
    public static JsonDocument Parse(string path, int maxBytes, int maxDepth)
    {
        using PositionedFile file = new(path);
        byte[] bytes = file.Length <= maxBytes ? new byte[file.Length] : throw new InvalidDataException($"{path}: has {file.Length} bytes, of at most {maxBytes}");
        file.Read(0, bytes);
        try
        {
            JsonDocument document = JsonDocument.Parse(bytes, new JsonDocumentOptions { MaxDepth = maxDepth, AllowDuplicateProperties = false });
            return document.RootElement.ValueKind == JsonValueKind.Object ? document : throw new InvalidDataException($"{path}: is not a JSON object");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{path}: is not valid JSON: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }
}
