using System.Globalization;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Hub;

/// <summary>
/// Where the hub and its cache are, and how they are used: from the environment variables that
/// Python's huggingface_hub reads too.
/// </summary>
/// <param name="Endpoint">The hub's address, with a path perhaps.</param>
/// <param name="CacheRoot">The cache's folder, which need not exist.</param>
internal sealed record HubSettings(Uri Endpoint, string CacheRoot)
{
    private const string DefaultEndpoint = "https://huggingface.co";
    private const double DefaultSeconds = 10;

    /// <summary>Says who asks; null: nobody. It is never a part of a message.</summary>
    public string? Token { get; init; }

    /// <summary>Whether nothing may be asked of the hub.</summary>
    public bool IsOffline { get; init; }

    /// <summary>How long an answer, or the next bytes of one, may take.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(DefaultSeconds);

    /// <summary>How often a request is made before the hub counts as out of reach.</summary>
    public int Attempts { get; init; } = 5;

    /// <summary>Waits between two attempts.</summary>
    public Func<TimeSpan, CancellationToken, Task> Wait { get; init; } = Task.Delay;

    /// <summary>
    /// Makes a symbolic link: the path, and what it leads to. Windows lets few users do it, and
    /// then files take the place of links.
    /// </summary>
    public Action<string, string> Link { get; init; } = (path, target) => File.CreateSymbolicLink(path, target);

    /// <summary>The address for messages, and to put paths behind.</summary>
    public string Address => Endpoint.GetLeftPart(UriPartial.Path).TrimEnd('/');

    /// <summary>
    /// As HF_ENDPOINT, HF_TOKEN (or the token file of 'hf auth login'), HF_HUB_OFFLINE,
    /// HF_HUB_DOWNLOAD_TIMEOUT and those that <see cref="HubCache.RootOf"/> reads say.
    /// </summary>
    /// <param name="variable">
    /// The value of an environment variable; null where it is not set.
    /// </param>
    /// <exception cref="InputException">A value is none that can be meant.</exception>
    public static HubSettings Of(Func<string, string?> variable)
    {
        string? Set(string name) => variable(name)?.Trim() is { Length: > 0 } value ? value : null;
        var endpoint = Set("HF_ENDPOINT") ?? DefaultEndpoint;
        if (!Uri.TryCreate(endpoint, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https")
            || address.UserInfo.Length > 0)
        {
            // an address may have a password in it
            var shown = endpoint.Contains('@', StringComparison.Ordinal) ? "is none" : $"is '{endpoint}'";
            throw new InputException($"HF_ENDPOINT {shown}; the address of a hub is expected, such as "
                + $"{DefaultEndpoint}.");
        }
        var seconds = Set("HF_HUB_DOWNLOAD_TIMEOUT");
        var timeout = DefaultSeconds;
        if (seconds is not null && !(double.TryParse(seconds, NumberStyles.Float, CultureInfo.InvariantCulture,
            out timeout) && timeout is > 0 and <= 86400))
        {
            throw new InputException($"HF_HUB_DOWNLOAD_TIMEOUT is '{seconds}'; a number of seconds is expected.");
        }
        return new HubSettings(address, HubCache.RootOf(variable))
        {
            Token = IsTrue(Set("HF_HUB_DISABLE_IMPLICIT_TOKEN")) ? null : ReadToken(variable),
            IsOffline = IsTrue(Set("HF_HUB_OFFLINE") ?? Set("TRANSFORMERS_OFFLINE")),
            Timeout = TimeSpan.FromSeconds(timeout),
        };
    }

    /// <summary>As the environment of this process says.</summary>
    /// <exception cref="InputException">As from <see cref="Of"/>.</exception>
    public static HubSettings FromEnvironment() => Of(Environment.GetEnvironmentVariable);

    private static bool IsTrue(string? value) => value?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE";

    private static string? ReadToken(Func<string, string?> variable)
    {
        foreach (var name in (string[])["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
        {
            if (variable(name)?.Trim() is { Length: > 0 } given)
            {
                return Checked(name, given);
            }
        }
        var file = variable("HF_TOKEN_PATH") is { Length: > 0 } path ? HubCache.Expanded(path, variable)
            : Path.Combine(HubCache.HomeOf(variable), "token");
        try
        {
            return File.Exists(file) && File.ReadAllText(file).Trim() is { Length: > 0 } kept
                ? Checked(file, kept) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{file}: the token cannot be read: {e.Message}");
        }
    }

    private static string Checked(string where, string token) => token.All(letter => letter is > ' ' and <= '~')
        ? token
        : throw new InputException($"{where}: holds no token of the hub: it has spaces or letters that none has.");
}
