using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Explaining;

/// <summary>Which adapted layer is meant.</summary>
internal static class LayerChoice
{
    /// <summary>Finds an adapted linear layer.</summary>
    /// <param name="layers">Of an adapter.</param>
    /// <param name="path">
    /// Its path, or the end of it where no other path ends so; null: the first one.
    /// </param>
    /// <exception cref="InputException">
    /// There is none, several are meant, or it is an embedding table.
    /// </exception>
    public static (string Path, LayerWithLoRA Layer) Find(
        IReadOnlyList<(string Path, LayerWithLoRA Layer)> layers, string? path)
    {
        var linear = layers.Where(layer => !layer.Layer.Base.IsEmbedding).ToList();
        if (path is null)
        {
            return linear.Count > 0 ? linear[0] : throw new InputException(
                "The adapter adapts no linear layer, and explain takes one apart. Train one with a linear layer "
                + "among its targets, such as query or q_lin.");
        }
        var found = layers.Where(layer => layer.Path == path).ToList();
        if (found.Count == 0)
        {
            found = [.. layers.Where(layer => layer.Path.EndsWith($".{path}", StringComparison.Ordinal))];
        }
        return found switch
        {
            [var only] when only.Layer.Base.IsEmbedding => throw new InputException(
                $"Option 'layer' is '{path}', an embedding table; explain takes linear layers apart. Those of the "
                + $"adapter are {NearMisses.Census(linear.Select(layer => layer.Path))}."),
            [var only] => only,
            [] => throw new InputException($"Option 'layer' is '{path}'; the adapter has no such layer."
                + $"{DidYouMean(path, linear)} Its linear layers are "
                + $"{NearMisses.Census(linear.Select(layer => layer.Path))}."),
            _ => throw new InputException($"Option 'layer' is '{path}', which {found.Count} adapted layers end with: "
                + $"{string.Join(", ", found.Take(4).Select(layer => layer.Path))}{(found.Count > 4 ? ", …" : "")}. "
                + "Give more of the path."),
        };
    }

    /// <summary>
    /// " Did you mean …?", with whole paths: those whose last part is the nearest.
    /// </summary>
    private static string DidYouMean(string path, List<(string Path, LayerWithLoRA Layer)> layers)
    {
        var near = NearMisses.Of(path, layers.Select(layer => NearMisses.LastPart(layer.Path)), most: 1);
        var paths = layers.Select(layer => layer.Path)
            .Where(known => near.Count > 0 && NearMisses.LastPart(known) == near[0])
            .OrderBy(known => NearMisses.EditDistance(path, known)).Take(3).ToList();
        return paths.Count == 0 ? "" : $" Did you mean {string.Join(" or ", paths)}?";
    }
}
