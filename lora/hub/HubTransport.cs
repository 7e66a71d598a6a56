using System.Net;
using System.Net.Http.Headers;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Hub;

/// <summary>The hub is busy, or out of order for a while.</summary>
/// <param name="refusal">What is said where it stays so.</param>
/// <param name="retryAfter">How long it wants to be left alone, if it says so.</param>
internal sealed class HubBusyException(InputException refusal, TimeSpan? retryAfter) : Exception(refusal.Message)
{
    public InputException Refusal => refusal;

    public TimeSpan? RetryAfter => retryAfter;
}

/// <summary>
/// HTTP as the hub wants it. The token goes to the hub alone: files lie with others, to whom it
/// redirects.
/// </summary>
internal sealed class HubTransport : IDisposable
{
    private const int MaxRedirects = 5;

    private readonly HubSettings settings;
    private readonly HttpClient http;

    /// <param name="settings">Where the hub is, and who asks.</param>
    public HubTransport(HubSettings settings)
    {
        this.settings = settings;
        http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,                          // it would not ask where to
            UseCookies = false,
            ConnectTimeout = settings.Timeout,
            UseProxy = !settings.Endpoint.IsLoopback,
        })
        { Timeout = Timeout.InfiniteTimeSpan };
        http.DefaultRequestHeaders.UserAgent.ParseAdd($"lorascratch/{typeof(HubTransport).Assembly.GetName().Version}");
        // what is compressed on the way has neither the size nor the hash of the file
        http.DefaultRequestHeaders.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
    }

    /// <summary>
    /// Sends a request and follows redirects; a HEAD within the hub alone, for of a file elsewhere
    /// the hub knows more than whoever has it.
    /// </summary>
    /// <param name="method">GET or HEAD.</param>
    /// <param name="name">For messages.</param>
    /// <param name="address">Where to.</param>
    /// <param name="from">The first byte that is wanted.</param>
    /// <param name="seen">Is shown every answer.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task<HttpResponseMessage> Send(HttpMethod method, HubName name, Uri address, long from,
        Action<HttpResponseMessage>? seen, CancellationToken cancellation)
    {
        for (var redirects = 0; ; redirects++)
        {
            using var request = new HttpRequestMessage(method, address);
            request.Headers.Range = from > 0 ? new RangeHeaderValue(from, null) : null;
            if (settings.Token is { } token && IsOfHub(address))
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            }
            var response = await InTime(
                limit => http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit), cancellation);
            seen?.Invoke(response);
            if (response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout
                || (int)response.StatusCode >= 500)
            {
                using (response)
                {
                    throw new HubBusyException(HubErrors.Refused(settings, name, response),
                        HubErrors.RetryAfter(response));
                }
            }
            if (!IsRedirect(response) || response.Headers.Location is not { } location)
            {
                return response;
            }
            var next = new Uri(address, location);
            if (method == HttpMethod.Head && !IsOfHub(next))
            {
                return response;
            }
            response.Dispose();
            if (redirects == MaxRedirects)
            {
                throw HubErrors.NoHub(settings, "it redirects again and again");
            }
            if (next.Scheme != Uri.UriSchemeHttps && next.Scheme != address.Scheme)
            {
                throw HubErrors.NoHub(settings, $"it redirects to '{next.Scheme}', which is not to be trusted");
            }
            address = next;
        }
    }

    /// <summary>Work that must not take longer than an answer may.</summary>
    /// <exception cref="TimeoutException">It takes too long.</exception>
    public async Task<T> InTime<T>(Func<CancellationToken, Task<T>> work, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(settings.Timeout);
        try
        {
            return await work(limit.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException(FormattableString.Invariant(
                $"there was no answer within {settings.Timeout.TotalSeconds:G3} s"));
        }
    }

    /// <summary>Whether it says that the answer is elsewhere.</summary>
    public static bool IsRedirect(HttpResponseMessage response) => (int)response.StatusCode is 301 or 302 or 303
        or 307 or 308;

    public void Dispose() => http.Dispose();

    private bool IsOfHub(Uri address) => address.Scheme == settings.Endpoint.Scheme
        && address.Host == settings.Endpoint.Host && address.Port == settings.Endpoint.Port;
}
