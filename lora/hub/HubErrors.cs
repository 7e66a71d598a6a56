using System.Globalization;
using System.Net;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Hub;

/// <summary>What can go wrong with the hub, in sentences that say what to do.</summary>
internal static class HubErrors
{
    private const int LongestAnswer = 200;

    /// <summary>What the hub refuses.</summary>
    /// <param name="settings">Its address, and whether a token was sent.</param>
    /// <param name="name">What was asked for.</param>
    /// <param name="response">No success.</param>
    public static InputException Refused(HubSettings settings, HubName name, HttpResponseMessage response)
    {
        var (status, code) = ((int)response.StatusCode, Header(response, "X-Error-Code"));
        var said = Header(response, "X-Error-Message") is { } message ? $" It says: {JsonFile.Cut(message,
            LongestAnswer)}" : "";
        var token = settings.Token is null
            ? "set HF_TOKEN to a token of yours, or log in with Python's 'hf auth login'"
            : "the token that is set (HF_TOKEN or the token file) may be wrong, expired or without the right to it";
        return new InputException((response.StatusCode, code) switch
        {
            (_, "GatedRepo") => $"{name}: is gated: its owner gives access to those who ask. Ask for it at "
                + $"{settings.Address}/{name.Name}; then {token}.{said}",
            (_, "RevisionNotFound") => $"{name}: {settings.Address}/{name.Name} has no revision '{name.Revision}'. A "
                + "branch, a tag or a commit of 40 digits is expected.",
            (_, "EntryNotFound") => $"{name}: {settings.Address} lists a file that it does not have. Try again.",
            (HttpStatusCode.Unauthorized, _) or (_, "RepoNotFound") => $"{name}: {settings.Address} has no such model, "
                + $"or it is private. Check the name; if it is private, {token}.{said}",
            (HttpStatusCode.Forbidden, _) => $"{name}: {settings.Address} refuses access (403). If it is private or "
                + $"gated, {token}.{said}",
            (HttpStatusCode.NotFound, _) => $"{name}: {settings.Address} answers 404, and not as a Hugging Face hub "
                + "does where there is no such model. Check the name, and HF_ENDPOINT.",
            (HttpStatusCode.TooManyRequests, _) => $"{name}: {settings.Address} has had too many requests (429)"
                + $"{After(response)}. Try again later{(settings.Token is null ? $", or {token}" : "")}.{said}",
            _ when status >= 500 => $"{name}: {settings.Address} is out of order ({status}). Try again later.{said}",
            _ => $"{name}: {settings.Address} answers {status}, which is not expected of a Hugging Face hub. Check "
                + $"HF_ENDPOINT.{said}",
        });
    }

    /// <summary>An address where something else answers.</summary>
    public static InputException NoHub(HubSettings settings, string why) =>
        new($"{settings.Address}: is no Hugging Face hub: {why}. Check HF_ENDPOINT.");

    /// <summary>A hub that cannot be reached.</summary>
    public static InputException Unreachable(HubSettings settings, HubName name, Exception e) =>
        new($"{name}: {settings.Address} cannot be reached: {e.Message.TrimEnd('.')}. Check the network (and "
            + "HTTPS_PROXY, HF_ENDPOINT). What has been downloaded so far is kept, and the next try goes on from "
            + "there.");

    /// <summary>Nothing may be asked, and the cache does not have it.</summary>
    public static InputException Offline(HubCache cache, HubName name) =>
        new($"{name}: the Hugging Face cache does not have it whole ({cache.FolderOf(name.Name)}), and HF_HUB_OFFLINE "
            + $"forbids to ask the hub. Without it, {HubCache.Download(name)}");

    /// <summary>The cache cannot be written.</summary>
    public static InputException CannotWrite(HubCache cache, Exception e) =>
        new($"{cache.Root}: the Hugging Face cache cannot be written: {e.Message.TrimEnd('.')}. Check the space on the "
            + "disk and who may write there, or name another folder (HF_HUB_CACHE). What has been downloaded so far "
            + "is kept, and the next try goes on from there.");

    /// <summary>How long the hub wants to be left alone; null: it does not say.</summary>
    public static TimeSpan? RetryAfter(HttpResponseMessage response) =>
        response.Headers.RetryAfter is not { } after ? null
            : after.Delta ?? (after.Date is { } date ? date - DateTimeOffset.UtcNow : null);

    private static string After(HttpResponseMessage response) => RetryAfter(response) is { } wait
        ? string.Create(CultureInfo.InvariantCulture, $" and wants to be asked again in {wait.TotalSeconds:F0} s") : "";

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) ? values.FirstOrDefault() : null;
}
