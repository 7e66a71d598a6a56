#:project ../embeddings/LoraScratch.Embeddings.csproj
#:project ../base/LoraScratch.Base.csproj
#:property PublishAot=false

// Finds the text that is nearest to a question. A model that was trained for that, such as all-MiniLM-L6-v2, finds far
// more than the built-in base, which knows how film reviews are written and no more.
//     dotnet run -c Release lora/samples/embed-texts.cs -- all-MiniLM-L6-v2

using LoraScratch.Embeddings;
using LoraScratch.Engine;
using Microsoft.Extensions.AI;

string[] texts = ["The actors are wonderful.", "My parcel has not arrived.", "How do I change my password?"];
try
{
    using var generator = TextEmbeddingGenerator.Load(args.ElementAtOrDefault(0), warn: Console.Error.WriteLine);
    var question = await generator.GenerateVectorAsync("The cast is great.");
    foreach (var (text, embedding) in await generator.GenerateAndZipAsync(texts))
    {
        // the vectors have the length 1, so that their product is the cosine
        var cosine = embedding.Vector.ToArray().Zip(question.ToArray(), (a, b) => a * b).Sum();
        Console.WriteLine($"{cosine:F3}  {text}");
    }
    return 0;
}
catch (InputException e)                // what a user can mend: the message says all there is to say
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
