using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Hub;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// What a folder is, a model or an adapter, and the base model that an adapter names.
/// </summary>
internal static class AdapterBase
{
    /// <summary>Whether a folder is an adapter and no model.</summary>
    /// <param name="folder">It exists.</param>
    /// <param name="hasBase">Whether somebody says its base: then it is one.</param>
    /// <exception cref="InputException">
    /// It could be either, it is neither, or it holds several adapters.
    /// </exception>
    public static bool IsAdapter(string folder, bool hasBase)
    {
        bool Has(string name) => File.Exists(Path.Combine(folder, name));
        var isModel = Has(Checkpoint.FileName) || Has(Checkpoint.IndexName);
        if (Has(PeftAdapter.ConfigName))
        {
            return !isModel || hasBase ? true : throw new InputException($"{folder}: holds an adapter "
                + $"({PeftAdapter.ConfigName}) and a model ({Checkpoint.FileName}), and either could be meant. Say "
                + "what the adapter is on (baseModel, this folder perhaps), or move one of the two.");
        }
        if (isModel || Has(RunFiles.ConfigName))
        {
            return false;
        }
        return File.Exists(PeftFolder.ConfigPath(PeftFolder.Find(folder))) ? true : throw new InputException(
            $"{folder}: holds neither {PeftAdapter.ConfigName}, as an adapter does, nor {RunFiles.ConfigName}, as a "
            + "model does.");
    }

    /// <summary>The base model that an adapter names.</summary>
    /// <param name="folder">
    /// With adapter_config.json, whose base_model_name_or_path is a built-in base, a folder (from
    /// the working directory, the adapter's, or the one that the adapter is in), or a model in the
    /// Hugging Face cache, of the revision that stands there.
    /// </param>
    /// <exception cref="InputException">
    /// It names none, or none that is there, or two different folders; or the file is malformed.
    /// </exception>
    public static ModelSource Find(string folder)
    {
        var path = PeftFolder.ConfigPath(folder);
        var config = PeftConfig.Read(path);
        if (string.IsNullOrEmpty(config.BaseModel))
        {
            throw new InputException($"{path}: does not name the model that the adapter was trained on "
                + "(base_model_name_or_path). Say which it is: baseModel, its folder or its name in the Hugging Face "
                + "cache.");
        }
        var name = config.BaseModel;
        if (BuiltInBase.IsNamedBy(name))
        {
            return BuiltInBase.IsHere && name == BuiltInBase.Name ? ModelSource.BuiltIn
                : throw new InputException($"{path}:{BaseFingerprint.Remedy(name)}");
        }
        var (found, tried) = Folders(folder, name);
        if (found.Count > 1)
        {
            throw new InputException($"{path}: the base model '{name}' could be {string.Join(" or ", found)}. Say "
                + "which it is (baseModel).");
        }
        if (found.Count == 1)
        {
            return ModelSource.Folder(found[0]);
        }
        var onHub = OnHub(path, config);
        return onHub is not null && HubCache.Default.Find(onHub) is { } snapshot ? ModelSource.FromHub(onHub, snapshot)
            : throw new InputException($"{path}: the base model '{JsonFile.Cut(name, 300)}' is not there: looked for "
                + string.Join(", ", tried) + (onHub is not null
                    ? $" and {HubCache.Default.FolderOf(name)}. {HubCache.Download(onHub)}" : ".")
                + " Or give its folder (baseModel).");
    }

    /// <summary>The base model that an adapter names, where that is one on the hub.</summary>
    /// <param name="folder">The adapter's, which exists.</param>
    /// <returns>
    /// Null where it names none or another kind, or a folder of that name is there.
    /// </returns>
    /// <exception cref="InputException">
    /// adapter_config.json is malformed, or its revision can be none.
    /// </exception>
    public static HubName? OnHub(string folder)
    {
        folder = PeftFolder.Find(folder);
        var path = PeftFolder.ConfigPath(folder);
        return File.Exists(path) && PeftConfig.Read(path) is { BaseModel: { Length: > 0 } name } config
            && Folders(folder, name).Tried.TrueForAll(tried => !Path.Exists(tried)) ? OnHub(path, config) : null;
    }

    private static HubName? OnHub(string path, PeftConfig config) =>
        config.BaseModel is not { } name || !HubName.IsName(name) ? null
            : HubName.Of(name, string.IsNullOrEmpty(config.Revision) ? null : config.Revision)
                ?? throw new InputException($"{path}: {HubCache.Default.FolderOf(name)} has no revision "
                    + $"'{JsonFile.Cut(config.Revision!, 300)}': that can be no branch, tag or commit.");

    /// <summary>The folders that a name could mean, and those of them that hold a model.</summary>
    private static (List<string> Found, List<string> Tried) Folders(string adapter, string name)
    {
        if (name.Contains('\0', StringComparison.Ordinal))
        {
            return ([], []);
        }
        List<string> tried = [.. new[] { name, Path.Combine(adapter, name), Path.Combine(adapter, "..", name) }
            .Select(Path.GetFullPath).Distinct(StringComparer.Ordinal)];
        return ([.. tried.Where(IsModel)], tried);
    }

    /// <summary>An adapter may have a config.json too, which names its classes.</summary>
    private static bool IsModel(string folder)
    {
        bool Has(string file) => File.Exists(Path.Combine(folder, file));
        return Has(RunFiles.ConfigName)
            && (!Has(PeftAdapter.ConfigName) || Has(Checkpoint.FileName) || Has(Checkpoint.IndexName));
    }
}
