using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>A value in a JSON file with its place, so that every complaint names it.</summary>
/// <param name="File">The file.</param>
/// <param name="Name">Its key, with those that it is in: "model.vocab".</param>
/// <param name="Value">Null where the file does not say it.</param>
internal readonly record struct Setting(string File, string Name, JsonElement? Value)
{
    /// <summary>Whether the file does not say it, or says null.</summary>
    public bool IsNothing => Value is null or { ValueKind: JsonValueKind.Null };

    /// <summary>The value of a key in this object.</summary>
    /// <param name="key">The key.</param>
    public Setting this[string key] => new(File, Join(key),
        Value is { ValueKind: JsonValueKind.Object } json && json.TryGetProperty(key, out var value) ? value : null);

    /// <summary>The elements of a list; none where it is not there.</summary>
    public IEnumerable<Setting> Items()
    {
        if (IsNothing)
        {
            yield break;
        }
        if (Value is not { ValueKind: JsonValueKind.Array } list)
        {
            throw Wrong("a list");
        }
        var index = 0;
        foreach (var item in list.EnumerateArray())
        {
            yield return new Setting(File, $"{Name}[{index++}]", item);
        }
    }

    /// <summary>The elements of a list that must be there.</summary>
    public IEnumerable<Setting> RequiredItems() => IsNothing ? throw Wrong("a list") : Items();

    /// <summary>The values of an object; none where it is not there.</summary>
    public IEnumerable<(string Key, Setting Value)> Entries()
    {
        if (IsNothing)
        {
            yield break;
        }
        if (Value is not { ValueKind: JsonValueKind.Object } json)
        {
            throw Wrong("an object");
        }
        foreach (var entry in json.EnumerateObject())
        {
            yield return (entry.Name, new Setting(File, Join(entry.Name), entry.Value));
        }
    }

    /// <summary>A string.</summary>
    public string Text() => Value is { ValueKind: JsonValueKind.String } text ? text.GetString()!
        : throw Wrong("a text");

    /// <summary>A string, or null where the file says none.</summary>
    public string? TextOrNull() => IsNothing ? null : Text();

    /// <summary>True or false.</summary>
    /// <param name="otherwise">What it is where the file does not say it; null: it must.</param>
    public bool Flag(bool? otherwise = null) => Value switch
    {
        null or { ValueKind: JsonValueKind.Null } when otherwise is { } value => value,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => throw Wrong("true or false"),
    };

    /// <summary>A whole number that is not negative.</summary>
    public int Number() => Value is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out var value)
        && value >= 0 ? value : throw Wrong("a whole number from 0");

    /// <summary>A finite number.</summary>
    public double Real() => Value is { ValueKind: JsonValueKind.Number } number && number.TryGetDouble(out var value)
        && double.IsFinite(value) ? value : throw Wrong("a number");

    /// <summary>One UTF-16 unit.</summary>
    public char Character() => Text() is [var c] && !char.IsSurrogate(c) ? c : throw Wrong("one character");

    /// <summary>Refuses what is not followed.</summary>
    /// <param name="keys">The keys of this object that are.</param>
    public void RequireOnly(params ReadOnlySpan<string> keys)
    {
        foreach (var (key, value) in Entries())
        {
            if (!keys.Contains(key))
            {
                throw new InputException($"{File}: {value.Name} is not known here, and may change the ids. "
                    + "Remove it if it does not.");
            }
        }
    }

    /// <summary>A value that is no possible one.</summary>
    /// <param name="expected">What would be.</param>
    public InputException Wrong(string expected) => new($"{File}: {Name} is {Shown}; expected {expected}.");

    /// <summary>A value that is possible and not supported.</summary>
    /// <param name="supported">What is.</param>
    public InputException Unsupported(string supported) => new($"{File}: {Name} is {Shown}, and only {supported} is "
        + "supported: another value would give other ids than the model was trained on.");

    private string Shown => Value is not { } value ? "missing"
        : value.ValueKind == JsonValueKind.String ? JsonFile.Cut(value.GetString()!) : JsonFile.Shown(value);

    private string Join(string key) => Name.Length == 0 ? key : $"{Name}.{key}";
}
