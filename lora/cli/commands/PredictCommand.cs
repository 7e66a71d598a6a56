using System.CommandLine;
using System.Globalization;
using System.Text.Json;

namespace LoraScratch.Cli;

/// <summary>lora predict: the class of texts.</summary>
internal static class PredictCommand
{
    private const int BatchSize = 32;

    public static Command Create()
    {
        var model = new ModelOptions();
        var input = new TextInputOptions();
        var maxLength = OptionKinds.OptionalWhole("--max-length", "Tokens of a text at most. [default: 512, or as many as the model has positions]");
        var json = new Option<bool>("--json") { Description = "One JSON object per line on standard output: label, label_id, logits, probabilities." };
        var device = new DeviceOptions();
        var command = new ExampleCommand("predict", "Says which class each text has.",
            "lora predict --model lora-demo/model --adapter lora-demo/adapter --text \"an unpredictable story\"",
            "lora predict --model my-model --input reviews.jsonl --json");
        model.AddTo(command);
        input.AddTo(command);
        command.Add(maxLength);
        command.Add(json);
        device.AddTo(command);
        command.SetAction(parsed =>
        {
            var texts = input.Read(parsed);
            using var backend = device.Open(parsed);
            var (classifier, _) = model.Load(parsed, backend);
            foreach (var prediction in classifier.Predict(texts.Select(example => example.Text), BatchSize, parsed.GetValue(maxLength)))
            {
                Console.WriteLine(parsed.GetValue(json)
                    ? JsonSerializer.Serialize(new { label = prediction.Label, label_id = prediction.LabelId, logits = prediction.Logits, probabilities = prediction.Probabilities }, JsonOutput.Options)
                    : string.Create(CultureInfo.InvariantCulture, $"{prediction.Label}  {Text.Percent(prediction.Probabilities[prediction.LabelId])}"));
            }
            return 0;
        });
        return command;
    }
}
