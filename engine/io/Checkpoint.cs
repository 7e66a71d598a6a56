using System.Collections.ObjectModel;

namespace LoraScratch.Engine.IO;

/// <summary>
/// The weights of a model, in one safetensors file or in several (shards) with an index that says
/// which tensor lies where. Seen as one dictionary.
/// </summary>
internal sealed class Checkpoint : IDisposable
{
    /// <summary>The single file of a model folder.</summary>
    public const string FileName = "model.safetensors";

    /// <summary>The index of a model folder with shards.</summary>
    public const string IndexName = "model.safetensors.index.json";

    /// <summary>The files that transformers wrote before safetensors.</summary>
    private static readonly string[] Pickles = ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.bin"];

    private readonly SafeTensorsFile[] files;
    private readonly Dictionary<string, SafeTensorsFile> fileOf = [];

    private Checkpoint(string path, SafeTensorsFile[] files)
    {
        (Path, this.files) = (path, files);
        var tensors = new OrderedDictionary<string, TensorInfo>();
        foreach (var file in files)
        {
            foreach (var (name, tensor) in file.Tensors)
            {
                if (!tensors.TryAdd(name, tensor))
                {
                    throw new InputException($"{path}: tensor {Describe.Name(name)} is in two shards, "
                        + $"{fileOf[name].Path} and {file.Path}, so it does "
                        + "not say which is meant. Copy or download the model again into an empty folder.");
                }
                fileOf.Add(name, file);
            }
        }
        Tensors = new ReadOnlyDictionary<string, TensorInfo>(tensors);
    }

    /// <summary>The file or the index that was opened.</summary>
    public string Path { get; }

    /// <summary>
    /// Every tensor by name, file after file, in the order of the data. Offsets count within the
    /// tensor's own file.
    /// </summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>The files, in the order of their names.</summary>
    public IReadOnlyList<SafeTensorsFile> Files => files;

    /// <summary>
    /// Opens the weights and checks every header, and the index against the shards.
    /// </summary>
    /// <param name="path">
    /// A model folder with model.safetensors or with shards and their index; or one of these files
    /// by name.
    /// </param>
    /// <exception cref="InputException">
    /// There are no weights, a file is malformed, a shard is missing, or index and shards disagree;
    /// the message says which.
    /// </exception>
    public static Checkpoint Open(string path)
    {
        var weights = Find(path);
        var names = weights.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? ShardIndex.Read(weights) : null;
        var files = new List<SafeTensorsFile>();
        try
        {
            if (names is null)
            {
                files.Add(SafeTensorsFile.Open(weights));
            }
            else
            {
                foreach (var shard in names.Values.Distinct().Order(StringComparer.Ordinal))
                {
                    files.Add(OpenShard(weights, shard));
                }
            }
            var checkpoint = new Checkpoint(weights, [.. files]);
            if (names is not null)
            {
                checkpoint.CheckAgainst(names);
            }
            return checkpoint;
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    /// <summary>A checkpoint of one file that is open already.</summary>
    /// <param name="file">The file; it is closed with the checkpoint.</param>
    public static Checkpoint Of(SafeTensorsFile file) => new(file.Path, [file]);

    /// <summary>The file that holds a tensor.</summary>
    /// <exception cref="InputException">No such tensor.</exception>
    public SafeTensorsFile FileOf(string name) => fileOf.TryGetValue(name, out var file)
        ? file
        : throw Describe.NoSuchTensor(Path, name, Tensors.Keys);

    /// <inheritdoc cref="SafeTensorsFile.Read(string, Span{float})"/>
    public void Read(string name, Span<float> destination) => FileOf(name).Read(name, destination);

    /// <inheritdoc cref="SafeTensorsFile.Read(string, long, Span{float})"/>
    public void Read(string name, long firstElement, Span<float> destination) =>
        FileOf(name).Read(name, firstElement, destination);

    /// <inheritdoc cref="SafeTensorsFile.ReadInt64"/>
    public void ReadInt64(string name, Span<long> destination) => FileOf(name).ReadInt64(name, destination);

    /// <inheritdoc cref="SafeTensorsFile.ReadInt64"/>
    public void ReadInt32(string name, Span<int> destination) => FileOf(name).ReadInt32(name, destination);

    /// <summary>Closes every file.</summary>
    public void Dispose()
    {
        foreach (var file in files)
        {
            file.Dispose();
        }
    }

    private static string Find(string path)
    {
        if (!Directory.Exists(path))
        {
            return path;
        }
        var (single, index) = (System.IO.Path.Combine(path, FileName), System.IO.Path.Combine(path, IndexName));
        if (File.Exists(single))
        {
            return single;
        }
        if (File.Exists(index))
        {
            return index;
        }
        if (Array.Find(Pickles, name => File.Exists(System.IO.Path.Combine(path, name))) is { } pickle)
        {
            throw new InputException($"{path}: no {FileName}, but {pickle}, a pickled file of PyTorch. "
                + (pickle.EndsWith(".json", StringComparison.Ordinal)
                    ? "Such files are programs and are never run here. Convert them once, in Python: "
                        + "transformers.AutoModelForSequenceClassification.from_pretrained(DIR).save_pretrained(DIR)"
                    : OtherFile.Conversion(pickle, FileName)));
        }
        throw new InputException($"{path}: no weights: expected {FileName} or {IndexName}, found neither. "
            + "Is it a model folder?");
    }

    private static SafeTensorsFile OpenShard(string index, string shard)
    {
        var path = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(index) ?? "", shard);
        return File.Exists(path)
            ? SafeTensorsFile.Open(path)
            : throw new InputException(
                $"{index}: the shard {Describe.Name(shard)} is missing: expected it beside the index. "
                + "Copy or download it too.");
    }

    private void CheckAgainst(OrderedDictionary<string, string> names)
    {
        foreach (var (name, shard) in names)
        {
            var found = fileOf.TryGetValue(name, out var file) ? System.IO.Path.GetFileName(file.Path) : null;
            if (found != shard)
            {
                throw new InputException(
                    $"{Path}: tensor {Describe.Name(name)} is listed in {Describe.Name(shard)}, found "
                    + $"{(found is null ? "in no shard" : $"in {Describe.Name(found)}")}. Index and shards are of "
                    + "different models; "
                    + "download both again.");
            }
        }
        foreach (var (name, file) in fileOf)
        {
            if (!names.ContainsKey(name))
            {
                throw new InputException($"{Path}: tensor {Describe.Name(name)} of {file.Path} is not listed. Index "
                    + "and shards are of different "
                    + "models; download both again.");
            }
        }
    }
}
