using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora.Adapters;

/// <summary>A and B of one layer, as the names in an adapter's file pair them.</summary>
/// <param name="Path">The layer's path in the base model.</param>
/// <param name="IsEmbedding">Whether the names say that the layer is an embedding.</param>
/// <param name="A">
/// [r, in], in the tutorials' convention [in, r]; null where the file lacks it.
/// </param>
/// <param name="B">
/// [out, r], in the tutorials' convention [r, out]; null where the file lacks it.
/// </param>
internal sealed record MatrixPair(string Path, bool IsEmbedding, TensorInfo? A, TensorInfo? B);

/// <summary>
/// An adapter as it lies in its file, apart from any model: its names are sorted when it is opened,
/// its values are read one tensor at a time when they are asked for. <see cref="PeftFolder"/> and
/// <see cref="StateDict"/> open one; checking, loading, converting and truncating begin with it.
/// </summary>
internal sealed class AdapterFile : IDisposable
{
    private static readonly DType[] FloatTypes = [DType.F32, DType.F16, DType.BF16, DType.F64];
    private readonly SafeTensorsFile file;

    /// <param name="file">The tensors; they go with this object.</param>
    /// <param name="convention">How A and B are named and stored.</param>
    public AdapterFile(SafeTensorsFile file, AdapterConvention convention)
    {
        (this.file, Convention) = (file, convention);
        Pairs = [.. file.Tensors.Keys.Select(AdapterConventions.Read).OfType<LowRankName>()
            .Where(name => name.Convention == convention
                && name.Path.StartsWith(convention.Prefix(), StringComparison.Ordinal))
            .Select(name => (Path: name.Path[convention.Prefix().Length..], name.IsEmbedding)).Distinct()
            .Select(layer => FindPair(layer.Path, layer.IsEmbedding))];
    }

    /// <summary>The file's path, for messages.</summary>
    public string Path => file.Path;

    /// <summary>How A and B are named and stored.</summary>
    public AdapterConvention Convention { get; }

    /// <summary>Every tensor, whatever it is.</summary>
    public IEnumerable<TensorInfo> Tensors => file.Tensors.Values;

    /// <summary>What the file says besides its tensors.</summary>
    public IReadOnlyDictionary<string, string> Metadata => file.Metadata;

    /// <summary>
    /// The adapted layers in the order of the file; one of the two matrices may be missing.
    /// </summary>
    public IReadOnlyList<MatrixPair> Pairs { get; }

    /// <summary>Trained heads and biases by their paths in the base model.</summary>
    public required IReadOnlyDictionary<string, TensorInfo> Whole { get; init; }

    /// <summary>Biases beside B (lora_bias) by the paths of the layers.</summary>
    public IReadOnlyDictionary<string, TensorInfo> BiasesOfB { get; init; } = new Dictionary<string, TensorInfo>();

    /// <summary>Names that nothing would be loaded from, each with the reason.</summary>
    public IReadOnlyDictionary<string, string> Useless { get; init; } = new Dictionary<string, string>();

    /// <summary>
    /// The config beside the file, made up from the tensors of a state dict. Null where it cannot
    /// be read, which only a check goes on from.
    /// </summary>
    public required PeftConfig? Config { get; init; }

    /// <summary>alpha of a layer, by its path; the convention makes s of it.</summary>
    /// <exception cref="InputException">The metadata has a number for it that is none.</exception>
    public required Func<string, double> AlphaOf { get; init; }

    /// <summary>What was odd or left out, one sentence each.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>The matrices of a layer, both of which may be missing.</summary>
    public MatrixPair FindPair(string path, bool isEmbedding) => new(path, isEmbedding,
        file.Tensors.GetValueOrDefault(Convention.KeyOfA(path, isEmbedding)),
        file.Tensors.GetValueOrDefault(Convention.KeyOfB(path, isEmbedding)));

    /// <summary>
    /// What keeps the matrices from being a pair, whatever rank a config says; null: nothing.
    /// </summary>
    public string? FaultOf(MatrixPair pair)
    {
        if (pair is not { A: { } a, B: { } b })
        {
            var (keyA, keyB) =
                (Convention.KeyOfA(pair.Path, pair.IsEmbedding), Convention.KeyOfB(pair.Path, pair.IsEmbedding));
            var (there, missing) = pair.A is null ? (keyB, keyA) : (keyA, keyB);
            return $"'{there}' stands alone: '{missing}' is missing. The file is incomplete; save the adapter again.";
        }
        return a.Shape is [> 0, > 0] && b.Shape is [> 0, > 0] && a.Shape[AxisOfRankInA] == b.Shape[1 - AxisOfRankInA]
            ? null
            : $"{a} and {b} are no pair: "
                + $"{(Convention.StoresTransposed() ? "[r, in] and [out, r]" : "[in, r] and [r, out]")} with the same "
                + $"r, none of them 0, are expected in {Convention.Name()}'s convention.";
    }

    /// <summary>
    /// What is wrong with a tensor's values, and what is merely odd about them; null: nothing.
    /// </summary>
    public (string? Fault, string? Oddity) CheckValues(TensorInfo tensor)
    {
        if (FaultOf(tensor, out var values) is { } fault)
        {
            return (fault, null);
        }
        if (AdapterConventions.Read(tensor.Name) is not { } matrix || values.Length == 0
            || !Array.TrueForAll(values, value => value == 0))
        {
            return (null, null);
        }
        var beginsAsZero = matrix.IsA == matrix.IsEmbedding;                // B of a linear layer, A of an embedding
        var hint = beginsAsZero ? "Was the adapter trained?"
            : $"{(matrix.IsA ? "A" : "B")} starts at random values; was it lost?";
        return (null, $"{tensor.Name} is all zero: this layer's update changes nothing. {hint}");
    }

    /// <summary>A tensor's values, row-major.</summary>
    /// <exception cref="InputException">
    /// It is too large, of no float type, or not finite.
    /// </exception>
    public float[] Read(TensorInfo tensor) => FaultOf(tensor, out var values) is { } fault
        ? throw new InputException($"{Path}: {fault}.")
        : values;

    /// <summary>A layer with its matrices as our layers hold them.</summary>
    /// <exception cref="InputException">
    /// They are no pair, or their values cannot be used.
    /// </exception>
    public PortableLayer ReadLayer(MatrixPair pair)
    {
        if (FaultOf(pair) is { } fault)
        {
            throw new InputException($"{Path}: {fault}");
        }
        var (a, b) = (Read(pair.A!), Read(pair.B!));                        // so neither size is beyond an int's range
        var rank = (int)pair.A!.Shape[AxisOfRankInA];
        var (inFeatures, outFeatures) = (a.Length / rank, b.Length / rank);
        if (Convention.StoresTransposed())
        {
            (a, b) = (RowMajor.Transposed(a, rank, inFeatures), RowMajor.Transposed(b, outFeatures, rank));
        }
        var rule = Convention == AdapterConvention.Tutorial ? LoRAScaling.Alpha
            : Config is { UseRsLora: true } ? LoRAScaling.AlphaOverSqrtRank
            : LoRAScaling.AlphaOverRank;
        return new PortableLayer(pair.Path, rank, inFeatures, outFeatures, a, b,
            LoRASettings.Factor(rule, AlphaOf(pair.Path), rank), pair.IsEmbedding);
    }

    /// <summary>Unmaps the file.</summary>
    public void Dispose() => file.Dispose();

    private int AxisOfRankInA => Convention.StoresTransposed() ? 0 : 1;

    private string? FaultOf(TensorInfo tensor, out float[] values)
    {
        values = [];
        if (!FloatTypes.Contains(tensor.DType))
        {
            return $"mistyped {tensor}: expected one of {string.Join(", ", FloatTypes)}";
        }
        if (tensor.ElementCount > Array.MaxLength)
        {
            return $"oversized {tensor}: is too large for an adapter; is it the right file?";
        }
        values = new float[tensor.ElementCount];
        try
        {
            file.Read(tensor.Name, values);
        }
        catch (InputException)                                              // nothing else can fail in these types
        {
            return $"damaged {tensor}: an element is beyond the range of a float";
        }
        return Array.FindIndex(values, value => !float.IsFinite(value)) is >= 0 and var wrong
            ? $"damaged {tensor}: element {wrong} is {values[wrong]}; the training diverged or the file is damaged"
            : null;
    }
}
