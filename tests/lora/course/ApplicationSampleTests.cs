using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace LoraScratch.Tests.Course;

/// <summary>
/// The programs in lora/samples that train and ask classifiers, one after the other.
/// </summary>
[Category(Categories.Samples)]
public sealed class ApplicationSampleTests
{
    /// <summary>Their files.</summary>
    internal static readonly string[] Samples =
    [
        "train-from-a-csv.cs", "predict-in-a-console.cs", "predict-in-a-web-api.cs", "adapter-to-python.cs",
        "embed-texts.cs", "train-in-ml-net.cs",
    ];

    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);
    private static readonly string Reviews = Path.Combine(SourceCode.Root, "lora", "samples", "reviews.csv");

    private TemporaryFolder folder = null!;
    private string before = "", training = "";
    private int exitCode;

    /// <summary>The others ask the adapter that the first one trains.</summary>
    [OneTimeSetUp]
    public void Train()
    {
        folder = new TemporaryFolder();
        before = Environment.CurrentDirectory;
        Environment.CurrentDirectory = folder.Root;
        training = SampleTests.Run("train-from-a-csv.cs", out exitCode, arguments: [Reviews, "my-adapter"]);
    }

    [OneTimeTearDown]
    public void Clean()
    {
        Environment.CurrentDirectory = before;
        folder.Dispose();
    }

    [Test]
    public void A_csv_is_trained_on_and_the_adapter_saved()
    {
        Assert.That(exitCode, Is.Zero, training);
        Assert.That(training, Does.Match(@"(?m)^45 steps; the state after step \d+ is in my-adapter: validation "
            + @"accuracy \d+\.\d %, loss \d\.\d{4}$"));
        Assert.That(training, Does.Match(@"(?m)^step 45 of 45: loss \d\.\d{4}, 0 s left; best validation accuracy"));
        Assert.That(File.Exists(folder.File($"my-adapter/{PeftAdapter.WeightsName}")));
        Assert.That(SampleTests.Run("train-from-a-csv.cs", out var code, arguments: ["none.csv", "other"]),
            Does.Contain("none.csv"));
        Assert.That((code, Directory.Exists("other")), Is.EqualTo((1, false)));
    }

    [Test]
    public void A_console_asks_about_one_text_and_whatever_is_typed()
    {
        var lines = SampleTests.Run("predict-in-a-console.cs", out var code, "a lovely film\na dull film\n")
            .Split('\n');
        Assert.That(code, Is.Zero, string.Join('\n', lines));
        Assert.That(lines, Has.Length.EqualTo(5));
        Assert.That(lines[0], Does.Match(@"^(positive|negative) \d+\.\d %$"));
        Assert.That(lines[1], Does.StartWith("  negative "));
        Assert.That(lines[2], Does.StartWith("  positive "));
        using (var classifier = TextClassifier.Load("my-adapter"))
        {
            Assert.That(lines[3..], Is.EqualTo(classifier.Predict(["a lovely film", "a dull film"])
                .Select(answer => $"{answer.Label} {answer.Probability:P1}")));
        }
        Environment.CurrentDirectory = Path.GetTempPath();
        try
        {
            Assert.That(SampleTests.Run("predict-in-a-console.cs", out code),
                Does.StartWith("my-adapter: there is no such folder"));
            Assert.That(code, Is.EqualTo(1));
        }
        finally
        {
            Environment.CurrentDirectory = folder.Root;
        }
    }

    /// <summary>
    /// 64 callers at a time on loopback, 4 requests each: every answer is the one that the text
    /// gets alone.
    /// </summary>
    [Test]
    public async Task A_service_answers_many_callers_as_one()
    {
        const int Callers = 64, Requests = 4;
        using var classifier = TextClassifier.Load("my-adapter");
        string[] texts = [.. new TextDataset([.. Enumerable.Range(0, Callers * Requests)
            .Select(i => ($"a {(i % 2 == 0 ? "lovely" : "dull")} film, number {i}, {string.Concat(
                Enumerable.Repeat("and long ", i % 23))}", $"{i % 2}"))]).Examples.Select(example => example.Text)];
        var expected = Array.ConvertAll(texts, text => classifier.Predict(text).Probabilities["positive"]);

        var service = new Service(SampleTests.Compile("predict-in-a-web-api.cs", InMemoryBuild.WebUsings));
        try
        {
            using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false })
            {
                BaseAddress = await service.Address.WaitAsync(Long),
            };
            var found = new double[texts.Length];
            await Task.WhenAll(Enumerable.Range(0, Callers).Select(async caller =>
            {
                for (var i = caller * Requests; i < (caller + 1) * Requests; i++)
                {
                    var answer = await client.PostAsJsonAsync("predict", new { text = texts[i] });
                    Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.OK));
                    var json = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
                    found[i] = (double)json["probabilities"]!["positive"]!;
                    Assert.That((double)json["probability"]!, Is.AtLeast(0.5));
                }
            })).WaitAsync(Long);
            Assert.That(found, Is.EqualTo(expected));

            var refused = await client.PostAsJsonAsync("predict", new { words = "a film" });
            var said = (string?)JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"];
            Assert.That((refused.StatusCode, said),
                Is.EqualTo((HttpStatusCode.BadRequest, "A text is expected: {\"text\": \"…\"}.")));
        }
        finally
        {
            await service.Stop().WaitAsync(Long);
        }
    }

    [Test]
    public void Python_gets_a_base_an_adapter_and_the_lines_that_load_them()
    {
        var output = SampleTests.Run("adapter-to-python.cs", out var code, arguments: [Reviews]);
        Assert.That(code, Is.Zero, output);
        Assert.That(output, Does.Contain("PeftModel.from_pretrained(base, \"python-adapter\")"));
        var config = JsonNode.Parse(File.ReadAllText($"python-adapter/{PeftAdapter.ConfigName}"))!;
        Assert.That(((string?)config["peft_type"], (string?)config["task_type"],
            (string?)config["base_model_name_or_path"]), Is.EqualTo(("LORA", "SEQ_CLS", "python-base")));
        foreach (var file in new[] { "config.json", "model.safetensors", "vocab.txt", "tokenizer.json" })
        {
            Assert.That(File.Exists(Path.Combine("python-base", file)), file);
        }
        using var classifier = TextClassifier.Load("python-adapter");
        Assert.That(output, Does.EndWith($"# {string.Join(", ", classifier.Predict("a lovely film").Logits
            .Select(logit => logit.ToString("F5")))}"));
    }

    [Test]
    public void A_pipeline_of_ML_NET_is_trained_saved_and_asked()
    {
        var output = SampleTests.Run("train-in-ml-net.cs", out var code, arguments: [Reviews, "reviews.zip"]);
        Assert.That(code, Is.Zero, output);
        Assert.That(output, Does.Match(@"^positive \d+\.\d %$"));
        Assert.That(File.Exists("reviews.zip"));
    }

    [Test]
    public void Texts_are_compared_by_their_vectors()
    {
        var lines = SampleTests.Run("embed-texts.cs", out var code).Split('\n');
        Assert.That(code, Is.Zero, string.Join('\n', lines));
        Assert.That(lines[0], Does.StartWith("the built-in base model: has no modules.json"));
        Assert.That(lines[1..], Has.Length.EqualTo(3).And.All.Match(@"^0\.\d{3}  [A-Z].*[.?]$"));
        Assert.That(SampleTests.Run("embed-texts.cs", out code, arguments: ["nowhere"]),
            Does.StartWith("nowhere: there is no such folder"));
        Assert.That(code, Is.EqualTo(1));
    }

    /// <summary>
    /// A web program within this process, on a free port of loopback: the host tells whoever
    /// listens that it is built.
    /// </summary>
    private sealed class Service : IObserver<DiagnosticListener>, IObserver<KeyValuePair<string, object?>>
    {
        private readonly TaskCompletionSource<Uri> address = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly AsyncLocal<bool> isOurs = new();
        private IHost? host;

        public Service(System.Reflection.MethodInfo program) => new Thread(() =>
        {
            isOurs.Value = true;
            using var listeners = DiagnosticListener.AllListeners.Subscribe(this);
            try
            {
                program.Invoke(null,
                    [(string[])["--urls", "http://127.0.0.1:0", "--Logging:LogLevel:Default", "None"]]);
                ended.SetResult();
            }
            catch (Exception e)
            {
                address.TrySetException(e);
                ended.SetException(e);
            }
        })
        {
            IsBackground = true,
        }.Start();

        /// <summary>Where it listens.</summary>
        public Task<Uri> Address => address.Task;

        /// <summary>As Ctrl-C does.</summary>
        public Task Stop()
        {
            host?.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
            return ended.Task;
        }

        public void OnNext(DiagnosticListener value)
        {
            if (value.Name == "Microsoft.Extensions.Hosting")
            {
                value.Subscribe(this);
            }
        }

        public void OnNext(KeyValuePair<string, object?> value)
        {
            if (value is { Key: "HostBuilt", Value: IHost built } && isOurs.Value)
            {
                host = built;
                built.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStarted.Register(() =>
                    address.SetResult(new Uri(built.Services.GetRequiredService<IServer>().Features
                        .Get<IServerAddressesFeature>()!.Addresses.First())));
            }
        }

        public void OnCompleted()
        {
        }

        public void OnError(Exception error)
        {
        }
    }
}
