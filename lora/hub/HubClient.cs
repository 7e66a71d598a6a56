using System.Net;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Hub;

/// <summary>A file as the hub has it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Hash">
/// 64 hexadecimal digits: SHA-256 of a large file (LFS); 40: Git's SHA-1 of another.
/// </param>
/// <param name="Size">Bytes.</param>
internal sealed record HubFile(string Name, string Hash, long Size);

/// <summary>What the hub is asked: what a revision has, what a file is, and its bytes.</summary>
internal sealed class HubClient : IDisposable
{
    private const int LargestListing = 32 << 20;
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(2);

    private readonly HubSettings settings;
    private readonly HubTransport transport;

    /// <param name="settings">Where the hub is, and who asks.</param>
    public HubClient(HubSettings settings) => (this.settings, transport) = (settings, new HubTransport(settings));

    /// <summary>What a revision has.</summary>
    /// <exception cref="InputException">
    /// There is none, it may not be read, or the hub cannot be reached.
    /// </exception>
    public Task<HubListing> List(HubName name, CancellationToken cancellation) => Ask(name, async () =>
    {
        var address = $"{settings.Address}/api/models/{name.Name}/revision/{Uri.EscapeDataString(name.Revision)}";
        using var response = await transport.Send(HttpMethod.Get, name, new Uri(address), 0, null, cancellation);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            throw HubErrors.Refused(settings, name, response);
        }
        await using var stream = await response.Content.ReadAsStreamAsync(cancellation);
        var bytes = new MemoryStream();
        await foreach (var part in Parts(stream, cancellation))
        {
            bytes.Write(part.Span);
            if (bytes.Length > LargestListing)
            {
                throw HubErrors.NoHub(settings, "its answer about a model does not end");
            }
        }
        return HubListing.Parse(settings, bytes.ToArray());
    }, cancellation);

    /// <summary>Size and hash of a file.</summary>
    /// <exception cref="InputException">
    /// As from <see cref="List"/>; or it does not say them.
    /// </exception>
    public Task<HubFile> Describe(HubName name, string commit, string file, CancellationToken cancellation) =>
        Ask(name, async () =>
        {
            // a redirect to where a large file lies says what the file is; its own length is another
            string? hash = null, said = null, size = null;
            using var response = await transport.Send(HttpMethod.Head, name, AddressOf(name, commit, file), 0, answer =>
            {
                said ??= Header(answer, "X-Repo-Commit");
                hash ??= Header(answer, "X-Linked-Etag");
                size ??= Header(answer, "X-Linked-Size");
            }, cancellation);
            if (response.StatusCode != HttpStatusCode.OK && !(HubTransport.IsRedirect(response) && hash is not null))
            {
                throw HubErrors.Refused(settings, name, response);
            }
            hash ??= Header(response, "ETag")?.Replace("W/", "", StringComparison.Ordinal);
            hash = hash?.Trim('"').ToLowerInvariant();
            long? length = size is not null ? long.TryParse(size, out var linked) ? linked : null
                : HubTransport.IsRedirect(response) ? null : response.Content.Headers.ContentLength;
            return said == commit && hash?.Length is 40 or 64 && hash!.All(char.IsAsciiHexDigitLower) && length >= 0
                ? new HubFile(file, hash!, length.Value)
                : throw HubErrors.NoHub(settings, $"it does not say commit, size and hash of {file}");
        }, cancellation);

    /// <summary>Opens the contents of a file.</summary>
    /// <param name="name">The model.</param>
    /// <param name="commit">Its commit.</param>
    /// <param name="file">The file.</param>
    /// <param name="from">How many bytes of it are there.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>
    /// The answer, and whether it goes on from there; else it begins with the first byte. An answer
    /// of null: the file has no such byte.
    /// </returns>
    public async Task<(HttpResponseMessage? Response, bool GoesOn)> Open(HubName name, string commit, string file,
        long from, CancellationToken cancellation)
    {
        var response = await transport.Send(HttpMethod.Get, name, AddressOf(name, commit, file), from, null,
            cancellation);
        switch (response.StatusCode)
        {
            case HttpStatusCode.PartialContent when response.Content.Headers.ContentRange?.From == from:
                return (response, true);
            case HttpStatusCode.OK:
                return (response, false);
            case HttpStatusCode.RequestedRangeNotSatisfiable:
                response.Dispose();
                return (null, false);
            case HttpStatusCode.PartialContent:
                response.Dispose();
                throw HubErrors.NoHub(settings, $"it gives another part of {file} than it is asked for");
            default:
                using (response)
                {
                    throw HubErrors.Refused(settings, name, response);
                }
        }
    }

    /// <summary>The bytes of an answer as they arrive.</summary>
    /// <exception cref="TimeoutException">None come any more.</exception>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> Parts(Stream stream,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        var buffer = new byte[1 << 17];
        while (true)
        {
            var count = await transport.InTime(token => stream.ReadAsync(buffer, token).AsTask(), cancellation);
            if (count == 0)
            {
                yield break;
            }
            yield return buffer.AsMemory(0, count);
        }
    }

    /// <summary>
    /// Whether the same request may succeed later: the connection was cut, or the hub is busy.
    /// </summary>
    public static bool IsPassing(Exception e) => e is HubBusyException or HttpRequestException or TimeoutException
        or IOException;

    /// <summary>Waits before the next attempt, as long as the hub says.</summary>
    /// <param name="name">For messages.</param>
    /// <param name="e">What made it necessary; see <see cref="IsPassing"/>.</param>
    /// <param name="attempt">How many there were.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="InputException">There were enough, or the hub wants too long.</exception>
    public async Task Pause(HubName name, Exception e, int attempt, CancellationToken cancellation)
    {
        var busy = e as HubBusyException;
        var wait = busy?.RetryAfter ?? TimeSpan.FromSeconds(Math.Min(1 << (attempt - 1), 8));
        if (attempt >= settings.Attempts || wait > LongestPause)
        {
            throw busy?.Refusal ?? HubErrors.Unreachable(settings, name, e);
        }
        await settings.Wait(wait < TimeSpan.Zero ? TimeSpan.Zero : wait, cancellation);
    }

    public void Dispose() => transport.Dispose();

    /// <summary>Asks until there is an answer.</summary>
    private async Task<T> Ask<T>(HubName name, Func<Task<T>> ask, CancellationToken cancellation)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await ask();
            }
            catch (HttpRequestException e) when (e.HttpRequestError is HttpRequestError.NameResolutionError
                or HttpRequestError.ConnectionError or HttpRequestError.SecureConnectionError
                or HttpRequestError.ProxyTunnelError)
            {
                throw HubErrors.Unreachable(settings, name, e);         // there is no network: it is said at once
            }
            catch (Exception e) when (IsPassing(e))
            {
                await Pause(name, e, attempt, cancellation);
            }
        }
    }

    private Uri AddressOf(HubName name, string commit, string file) =>
        new($"{settings.Address}/{name.Name}/resolve/{commit}/{Uri.EscapeDataString(file)}");

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) ? values.FirstOrDefault() : null;
}
