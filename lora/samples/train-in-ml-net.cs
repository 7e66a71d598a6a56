#:project ../ml/LoraScratch.ML.csproj
#:project ../base/LoraScratch.Base.csproj
#:property PublishAot=false

// A pipeline of ML.NET that fine-tunes the built-in base model, is saved as ML.NET saves, and is asked after loading.
//     dotnet run -c Release lora/samples/train-in-ml-net.cs -- lora/samples/reviews.csv reviews.zip

using LoraScratch.Lora.Training;
using LoraScratch.ML;
using Microsoft.ML;
using Microsoft.ML.Data;

var file = args.ElementAtOrDefault(0) ?? "lora/samples/reviews.csv";
var saved = args.ElementAtOrDefault(1) ?? "reviews.zip";

var ml = new MLContext(seed: 1);
var rows = ml.Data.LoadFromTextFile<Review>(file, separatorChar: ',', hasHeader: true, allowQuoting: true);
var pipeline = ml.Transforms.Conversion.MapValueToKey("Label")
    .Append(ml.MulticlassClassification.Trainers.LoraText(
        options: new TrainingOptions { Epochs = 5, LearningRate = 4e-3f }))
    .Append(ml.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
var model = pipeline.Fit(rows);
ml.Model.Save(model, rows.Schema, saved);

// another program would begin here; the assembly LoraScratch.ML must be at hand
using var engine = ml.Model.CreatePredictionEngine<Review, Answer>(ml.Model.Load(saved, out _));
var answer = engine.Predict(new Review { Text = "a lovely film" });
Console.WriteLine($"{answer.PredictedLabel} {answer.Score.Max():P1}");

internal sealed class Review
{
    [LoadColumn(0)]
    public string Text { get; set; } = "";

    [LoadColumn(1)]
    public string Label { get; set; } = "";
}

internal sealed class Answer
{
    public string PredictedLabel { get; set; } = "";

    public float[] Score { get; set; } = [];
}
