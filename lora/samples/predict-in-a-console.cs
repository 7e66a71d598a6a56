#:project ../LoraScratch.Lora.csproj
#:project ../base/LoraScratch.Base.csproj
#:property PublishAot=false

// From a folder to an answer: "my-adapter" is what train-from-a-csv.cs leaves.
//     dotnet run -c Release lora/samples/predict-in-a-console.cs

using LoraScratch.Engine;
using LoraScratch.Lora.Classification;

try
{
    using var classifier = TextClassifier.Load("my-adapter");
    var prediction = classifier.Predict("Not what I expected, but I like it.");
    Console.WriteLine($"{prediction.Label} {prediction.Probability:P1}");

    // every class by its name
    foreach (var (label, probability) in prediction.Probabilities)
    {
        Console.WriteLine($"  {label} {probability:P1}");
    }

    // any number of texts, a batch at a time; whatever is typed or piped in, until it ends
    foreach (var answer in classifier.Predict(Lines()))
    {
        Console.WriteLine($"{answer.Label} {answer.Probability:P1}");
    }
    return 0;
}
catch (InputException e)                // what a user can mend: the message says all there is to say
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

static IEnumerable<string> Lines()
{
    while (Console.ReadLine() is { } line)
    {
        yield return line;
    }
}
