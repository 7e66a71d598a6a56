using LoraScratch.Engine;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// How an adapter lies in a file. The same update of W comes in three forms: with A and B as the
/// tutorials hold them or both transposed, and with a factor s that the three read differently out
/// of one number alpha.
/// </summary>
internal enum AdapterConvention
{
    /// <summary>
    /// PEFT's folder: base_model.model.PATH.lora_A.weight [r, in], lora_B.weight [out, r], of an
    /// embedding lora_embedding_A [r, count] and lora_embedding_B [width, r], s = lora_alpha/r (or
    /// lora_alpha/√r) from adapter_config.json.
    /// </summary>
    Peft,

    /// <summary>
    /// A state dict of the LoRA authors' loralib: PATH.lora_A [r, in], PATH.lora_B [out, r], s =
    /// lora_alpha/r, where lora_alpha is known to the program only.
    /// </summary>
    LoraLib,

    /// <summary>
    /// A state dict of the tutorials' LinearWithLoRA: PATH.lora.A [in, r], PATH.lora.B [r, out], s
    /// = alpha, where alpha is known to the program only.
    /// </summary>
    Tutorial,
}

/// <summary>What the name of a low-rank matrix says.</summary>
/// <param name="Path">The layer's path, with whatever prefix it has.</param>
/// <param name="Convention">Whose name it is.</param>
/// <param name="IsA">A or B.</param>
/// <param name="IsEmbedding">
/// Whether it says that the layer is an embedding; only PEFT's do.
/// </param>
internal readonly record struct LowRankName(string Path, AdapterConvention Convention, bool IsA, bool IsEmbedding)
{
    /// <summary>The name of the layer's B beside this A.</summary>
    public string NameOfB => Path + Convention.SuffixOfB(IsEmbedding);
}

/// <summary>The names of tensors in each convention.</summary>
internal static class AdapterConventions
{
    private static readonly (AdapterConvention Convention, string Name, string SuffixA, string SuffixB)[] Table =
    [
        (AdapterConvention.Peft, "peft", ".lora_A.weight", ".lora_B.weight"),
        (AdapterConvention.LoraLib, "loralib", ".lora_A", ".lora_B"),
        (AdapterConvention.Tutorial, "tutorial", ".lora.A", ".lora.B"),
    ];

    private const string EmbeddingSuffixA = ".lora_embedding_A", EmbeddingSuffixB = ".lora_embedding_B";

    /// <summary>What the command line calls them.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Table.Select(entry => entry.Name)];

    /// <summary>The convention of a name.</summary>
    /// <exception cref="InputException">There is no such name.</exception>
    public static AdapterConvention Parse(string name) =>
        Table.FirstOrDefault(entry => entry.Name == name) is { Name: not null } found
        ? found.Convention
        : throw new InputException($"There is no convention '{name}'; the names are {string.Join(", ", Names)}.");

    public static string Name(this AdapterConvention convention) => Table[(int)convention].Name;

    /// <summary>Whether A is stored as [r, in] and B as [out, r].</summary>
    public static bool StoresTransposed(this AdapterConvention convention) => convention != AdapterConvention.Tutorial;

    public static string KeyOfA(this AdapterConvention convention, string path, bool isEmbedding) =>
        Prefix(convention) + path + (isEmbedding ? EmbeddingSuffixA : Table[(int)convention].SuffixA);

    public static string KeyOfB(this AdapterConvention convention, string path, bool isEmbedding) =>
        Prefix(convention) + path + convention.SuffixOfB(isEmbedding);

    public static string SuffixOfB(this AdapterConvention convention, bool isEmbedding) =>
        isEmbedding ? EmbeddingSuffixB : Table[(int)convention].SuffixB;

    /// <summary>What every name begins with.</summary>
    public static string Prefix(this AdapterConvention convention) =>
        convention == AdapterConvention.Peft ? PeftAdapter.Prefix : "";

    /// <summary>Takes the name of a low-rank matrix apart.</summary>
    /// <param name="name">A tensor's name.</param>
    /// <returns>Null where it is no low-rank matrix.</returns>
    public static LowRankName? Read(string name)
    {
        var embedding = (AdapterConvention.Peft, "", EmbeddingSuffixA, EmbeddingSuffixB);
        foreach (var (convention, _, suffixA, suffixB) in Table.Append(embedding))
        {
            var isA = name.EndsWith(suffixA, StringComparison.Ordinal);
            if (isA || name.EndsWith(suffixB, StringComparison.Ordinal))
            {
                var path = name[..^suffixA.Length];                         // both suffixes have the same length
                return new LowRankName(path, convention, isA, suffixA == EmbeddingSuffixA);
            }
        }
        return null;
    }
}
