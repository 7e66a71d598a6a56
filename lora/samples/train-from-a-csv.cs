#:project ../LoraScratch.Lora.csproj
#:project ../base/LoraScratch.Base.csproj
#:property PublishAot=false

// Fine-tunes the built-in base model on a file with a text and a label in each row, and saves the adapter.
//     dotnet run -c Release lora/samples/train-from-a-csv.cs -- lora/samples/reviews.csv my-adapter

using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Training;

var file = args.ElementAtOrDefault(0) ?? "lora/samples/reviews.csv";
var folder = args.ElementAtOrDefault(1) ?? "my-adapter";
using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, pressed) => { pressed.Cancel = true; stop.Cancel(); };

try
{
    var data = TextDataset.Load(file);
    using var classifier = TextClassifier.BuiltIn(data.Classes);
    var tuning = FineTuning.Start(classifier, data, new TrainingOptions { Epochs = 5, LearningRate = 4e-3f });
    var result = tuning.Run(new Lines(), stop.Token);
    tuning.Save(folder);

    Console.WriteLine($"{result.Steps} steps; the state after step {result.KeptStep} is in {folder}: "
        + $"validation accuracy {result.Best?.Accuracy:P1}, loss {result.Best?.Loss:F4}");
    return 0;
}
catch (InputException e)                // what a user can mend: the message says all there is to say
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

// A line for every step. A Progress<TrainingProgress> would do as well, on other threads and in any order.
internal sealed class Lines : IProgress<TrainingProgress>
{
    public void Report(TrainingProgress value)
    {
        var (step, _, best) = value;
        Console.WriteLine($"step {step.Step} of {step.Steps}: loss {step.Loss:F4}, {step.SecondsLeft:F0} s left"
            + (best is null ? "" : $"; best validation accuracy so far {best.Accuracy:P1}"));
    }
}
