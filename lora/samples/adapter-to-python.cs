#:project ../LoraScratch.Lora.csproj
#:project ../base/LoraScratch.Base.csproj
#:property PublishAot=false

// Trains an adapter here and takes it to Python: its folder is in PEFT's format, and so is that of the base model in
// the format of transformers. The Python lines that are printed give the logits that stand beside them.
//     dotnet run -c Release lora/samples/adapter-to-python.cs

using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Training;

const string baseFolder = "python-base", adapterFolder = "python-adapter", text = "a lovely film";

var data = TextDataset.Load(args.FirstOrDefault() ?? "lora/samples/reviews.csv");
using (var builtIn = TextClassifier.BuiltIn(data.Classes))
{
    builtIn.Save(baseFolder, overwrite: true);          // the hub does not have it, so Python reads it from a folder
}

using var classifier = TextClassifier.Load(baseFolder);
var tuning = FineTuning.Start(classifier, data, new TrainingOptions { Epochs = 4, LearningRate = 4e-3f });
tuning.Run();
tuning.Save(adapterFolder, overwrite: true);

Console.WriteLine($"""
    # pip install torch transformers peft; from the folder in which this program ran
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained("{baseFolder}")
    base = AutoModelForSequenceClassification.from_pretrained("{baseFolder}")
    model = PeftModel.from_pretrained(base, "{adapterFolder}").eval()
    with torch.no_grad():
        print(model(**tokenizer("{text}", return_tensors="pt")).logits.tolist())
    # {string.Join(", ", classifier.Predict(text).Logits.Select(logit => logit.ToString("F5")))}
    """);
