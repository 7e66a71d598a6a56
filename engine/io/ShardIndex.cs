using System.Text.Json;

namespace LoraScratch.Engine.IO;

/// <summary>
/// Reads the index of a sharded checkpoint: {"metadata": …, "weight_map": {"tensor": "file", …}}.
/// </summary>
internal static class ShardIndex
{
    /// <returns>The file name of every tensor, in the order of the index.</returns>
    /// <exception cref="InputException">
    /// Not such an index, a name twice, or a shard outside the folder.
    /// </exception>
    internal static OrderedDictionary<string, string> Read(string path)
    {
        if (File.Exists(path) && new FileInfo(path).Length > SafeTensorsHeader.LongestHeader)
        {
            throw new InputException(
                $"{path}: too large for an index; expected at most {SafeTensorsHeader.LongestHeader} bytes. Is it the "
                + "right file?");
        }
        return JsonFile.Read(path, root => ReadMap(path, root));
    }

    private static OrderedDictionary<string, string> ReadMap(string path, JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("weight_map", out var map)
            || map.ValueKind != JsonValueKind.Object)
        {
            throw new InputException($"{path}: expected an object with the object weight_map, found none. Is it the "
                + "index of a sharded model?");
        }
        var names = new OrderedDictionary<string, string>();
        foreach (var entry in map.EnumerateObject())
        {
            var shard = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : null;
            if (shard is null or "" or "." or ".." || shard.AsSpan().IndexOfAny('/', '\\', '\0') >= 0)
            {
                throw new InputException(
                    $"{path}: weight_map {Describe.Name(entry.Name)} must name a file beside the index, found "
                    + $"{Describe.Name(entry.Value.GetRawText())}. Put the shards into the folder of the index and "
                    + "name them without a path.");
            }
            names.Add(entry.Name, shard);
        }
        return names.Count > 0
            ? names
            : throw new InputException(
                $"{path}: weight_map is empty, expected the file of every tensor. Download the index again.");
    }
}
