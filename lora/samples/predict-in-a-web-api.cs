#:sdk Microsoft.NET.Sdk.Web
#:project ../LoraScratch.Lora.csproj
#:project ../base/LoraScratch.Base.csproj
#:property PublishAot=false

// A service: many callers at a time, whose texts are computed together. train-from-a-csv.cs leaves "my-adapter".
//     dotnet run -c Release lora/samples/predict-in-a-web-api.cs --urls http://127.0.0.1:5000
//     curl -d '{"text": "a lovely film"}' -H 'Content-Type: application/json' http://127.0.0.1:5000/predict

using LoraScratch.Engine;
using LoraScratch.Lora.Classification;

using var classifier = TextClassifier.Load("my-adapter");
var app = WebApplication.CreateBuilder(args).Build();

// A caller who hangs up leaves the queue; one whose text cannot be answered is told why.
app.MapPost("/predict", async (Request request, CancellationToken cancellation) =>
{
    if (request.Text is null)
    {
        return Results.BadRequest(new { error = "A text is expected: {\"text\": \"…\"}." });
    }
    try
    {
        var prediction = await classifier.PredictAsync((request.Text, request.TextPair), cancellation);
        return Results.Ok(new { prediction.Label, prediction.Probability, prediction.Probabilities });
    }
    catch (InputException e)
    {
        return Results.BadRequest(new { error = e.Message });
    }
});

app.Run();

internal sealed record Request(string? Text, string? TextPair);
