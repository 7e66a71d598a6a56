using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace LoraScratch.Tests.Hub;

/// <summary>A request as it arrived.</summary>
internal sealed record HubRequest(string Method, string Path, IReadOnlyDictionary<string, string> Headers)
{
    /// <summary>The value of a header; null where there is none.</summary>
    public string? this[string header] => Headers.GetValueOrDefault(header);

    public override string ToString() => $"{Method} {Path}";
}

/// <summary>What is sent back.</summary>
/// <param name="Status">The code.</param>
/// <param name="Body">All bytes that Content-Length tells.</param>
/// <param name="Headers">Others than Content-Length.</param>
internal sealed record HubAnswer(int Status, byte[] Body, params (string Name, string Value)[] Headers)
{
    /// <summary>After so many bytes the connection ends; null: after all.</summary>
    public int? CutAfter { get; init; }

    /// <summary>Goes on with the body when it is set; null: at once.</summary>
    public ManualResetEventSlim? Gate { get; init; }

    public static HubAnswer Refusal(int status, string? code = null, params (string, string)[] headers) =>
        new(status, "{}"u8.ToArray(), code is null ? headers : [("X-Error-Code", code), .. headers]);
}

/// <summary>
/// A Hugging Face hub on loopback: its listing, HEAD and GET of files, and a second server with
/// another name, where it redirects to for large files, as the real one does to its CDN. What is
/// asked is written down, and a test may answer anything else.
/// </summary>
internal sealed class FakeHub : IDisposable
{
    private readonly Dictionary<(string Name, string Commit), Dictionary<string, byte[]>> commits = [];
    private readonly Dictionary<(string Name, string Revision), string> references = [];
    private readonly TcpListener hub = Listen(), cdn = Listen();

    public FakeHub()
    {
        _ = Serve(hub, Requests, Answer);
        _ = Serve(cdn, CdnRequests, AnswerOfCdn);
    }

    /// <summary>What HF_ENDPOINT is to be.</summary>
    public string Address => $"http://127.0.0.1:{Port(hub)}";

    /// <summary>Another host, for whom the token is not.</summary>
    public string CdnAddress => $"http://localhost:{Port(cdn)}";

    public ConcurrentQueue<HubRequest> Requests { get; } = [];

    public ConcurrentQueue<HubRequest> CdnRequests { get; } = [];

    /// <summary>An answer in place of the usual one; null: that one.</summary>
    public Func<HubRequest, HubAnswer?> Instead { get; set; } = _ => null;

    /// <summary>Puts the files of a folder on the hub.</summary>
    /// <param name="name">ORG/NAME</param>
    /// <param name="folder">With the files.</param>
    /// <param name="revision">The branch or tag that then means them.</param>
    /// <returns>The commit.</returns>
    public string Add(string name, string folder, string revision = "main") => Add(name,
        Directory.GetFiles(folder).ToDictionary(file => Path.GetFileName(file), File.ReadAllBytes), revision);

    /// <summary>The same with files from memory.</summary>
    public string Add(string name, Dictionary<string, byte[]> files, string revision = "main")
    {
        var commit = Convert.ToHexStringLower(SHA1.HashData(Encoding.UTF8.GetBytes($"{name} {commits.Count}")));
        commits[(name, commit)] = files;
        references[(name, revision)] = commit;
        return commit;
    }

    /// <summary>As the hub names contents: large ones by SHA-256, others as Git does.</summary>
    public static string HashOf(string file, byte[] bytes) => IsLarge(file)
        ? Convert.ToHexStringLower(SHA256.HashData(bytes))
        : Convert.ToHexStringLower(SHA1.HashData(
            [.. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {bytes.Length}\0")),
                .. bytes]));

    public void Dispose()
    {
        hub.Dispose();
        cdn.Dispose();
    }

    /// <summary>The usual answer, which a test may change.</summary>
    public HubAnswer Answer(HubRequest request)
    {
        var path = request.Path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (path is ["api", "models", .. var rest] && Array.LastIndexOf(rest, "revision") is > 0 and var at)
        {
            return List(string.Join('/', rest[..at]), Uri.UnescapeDataString(string.Join('/', rest[(at + 1)..])));
        }
        if (Array.IndexOf(path, "resolve") is > 0 and var marker && path.Length == marker + 3)
        {
            return Resolve(request, string.Join('/', path[..marker]), path[marker + 1],
                Uri.UnescapeDataString(path[marker + 2]));
        }
        return HubAnswer.Refusal(404);
    }

    /// <summary>The usual answer of the other host.</summary>
    public HubAnswer AnswerOfCdn(HubRequest request)
    {
        var hash = request.Path.Split('/')[^1];
        var file = commits.Values.SelectMany(files => files).First(file => HashOf(file.Key, file.Value) == hash);
        return Contents(request, file.Value);
    }

    private HubAnswer List(string name, string revision)
    {
        if (commits.Keys.All(entry => entry.Name != name))
        {
            return HubAnswer.Refusal(401, "RepoNotFound", ("X-Error-Message", "Repository not found"));
        }
        var commit = references.GetValueOrDefault((name, revision), revision);
        return commits.TryGetValue((name, commit), out var files)
            ? new HubAnswer(200, JsonSerializer.SerializeToUtf8Bytes(new
            {
                id = name,
                sha = commit,
                siblings = files.Keys.Select(file => new { rfilename = file }),
            }), ("Content-Type", "application/json"))
            : HubAnswer.Refusal(404, "RevisionNotFound");
    }

    private HubAnswer Resolve(HubRequest request, string name, string commit, string file)
    {
        if (!commits[(name, commit)].TryGetValue(file, out var bytes))
        {
            return HubAnswer.Refusal(404, "EntryNotFound", ("X-Repo-Commit", commit));
        }
        var hash = HashOf(file, bytes);
        return IsLarge(file)
            ? new HubAnswer(302, "elsewhere"u8.ToArray(), ("X-Repo-Commit", commit), ("X-Linked-Etag", $"\"{hash}\""),
                ("X-Linked-Size", bytes.Length.ToString(CultureInfo.InvariantCulture)),
                ("Location", $"{CdnAddress}/blobs/{hash}"))
            : Contents(request, bytes, ("X-Repo-Commit", commit), ("ETag", $"\"{hash}\""));
    }

    private static HubAnswer Contents(HubRequest request, byte[] bytes, params (string, string)[] headers)
    {
        if (request["Range"] is not { } range)
        {
            return new HubAnswer(200, bytes, headers);
        }
        var from = int.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture);
        return from >= bytes.Length ? new HubAnswer(416, [], headers)
            : new HubAnswer(206, bytes[from..], [.. headers, ("Content-Range", string.Create(
                CultureInfo.InvariantCulture, $"bytes {from}-{bytes.Length - 1}/{bytes.Length}"))]);
    }

    private static bool IsLarge(string file) => file.EndsWith(".safetensors", StringComparison.Ordinal);

    private static TcpListener Listen()
    {
        // localhost may be either address
        var listener = TcpListener.Create(0);
        listener.Start();
        return listener;
    }

    private static int Port(TcpListener listener) => ((IPEndPoint)listener.LocalEndpoint).Port;

    private async Task Serve(TcpListener listener, ConcurrentQueue<HubRequest> asked,
        Func<HubRequest, HubAnswer> answer)
    {
        try
        {
            while (true)
            {
                var connection = await listener.AcceptTcpClientAsync();
                _ = Task.Run(() => Converse(connection, asked, answer));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // the end
        }
    }

    private async Task Converse(TcpClient connection, ConcurrentQueue<HubRequest> asked,
        Func<HubRequest, HubAnswer> answer)
    {
        using (connection)
        {
            try
            {
                await using var stream = connection.GetStream();
                using var reader = new StreamReader(stream, Encoding.ASCII, leaveOpen: true);
                if ((await reader.ReadLineAsync())?.Split(' ') is not [var method, var path, _])
                {
                    return;
                }
                var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
                while (await reader.ReadLineAsync() is { Length: > 0 } line)
                {
                    var at = line.IndexOf(':', StringComparison.Ordinal);
                    headers[line[..at]] = line[(at + 1)..].Trim();
                }
                var request = new HubRequest(method, path, headers);
                asked.Enqueue(request);
                await Send(stream, request, Instead(request) ?? answer(request));
            }
            catch (IOException)
            {
                // whoever asked has gone
            }
        }
    }

    private static async Task Send(NetworkStream stream, HubRequest request, HubAnswer answer)
    {
        var head = new StringBuilder($"HTTP/1.1 {answer.Status} X\r\nConnection: close\r\n");
        foreach (var (name, value) in answer.Headers.Append(
            ("Content-Length", answer.Body.Length.ToString(CultureInfo.InvariantCulture))))
        {
            head.Append($"{name}: {value}\r\n");
        }
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head.Append("\r\n").ToString()));
        if (request.Method == "HEAD")
        {
            return;
        }
        var sent = Math.Min(answer.CutAfter ?? answer.Body.Length, answer.Body.Length);
        if (answer.Gate is { } gate)
        {
            await stream.WriteAsync(answer.Body.AsMemory(0, sent / 2));
            await stream.FlushAsync();
            gate.Wait(TimeSpan.FromSeconds(30));
            await stream.WriteAsync(answer.Body.AsMemory(sent / 2, sent - sent / 2));
            return;
        }
        await stream.WriteAsync(answer.Body.AsMemory(0, sent));
    }
}
