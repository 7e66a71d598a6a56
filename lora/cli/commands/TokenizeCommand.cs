using System.CommandLine;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Cli;

/// <summary>lora tokenize: the token ids and pieces of texts, as the model sees them.</summary>
internal static class TokenizeCommand
{
    public static Command Create()
    {
        var vocabulary = OptionKinds.Path("--vocab", "FILE",
            "A vocab.txt, a tokenizer.json, or a model folder, or model of the Hugging Face hub, that has one. "
                + "[default: that of "
                + $"{PretrainedBase.Description}]");
        var input = new TextInputOptions();
        var maxLength = OptionKinds.MaxLength();
        var json = new Option<bool>("--json")
        {
            Description =
            "One JSON object per line on standard output: ids, pieces, truncated and types, 1 for the tokens of a "
                + "second text."
        };
        var command = new ExampleCommand("tokenize",
            "Splits texts into the tokens of a vocabulary, as the model sees them.",
            "lora tokenize --text \"not cheap but good\"",
                "lora tokenize --vocab my-model --text \"not cheap but good\"",
                    "lora tokenize --vocab vocab.txt --input texts.jsonl --json") { vocabulary, maxLength, json };
        input.AddTo(command);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(maxLength) is < 3 and var tooFew)
            {
                throw new InputException($"--max-length is {tooFew}; expected at least 3: [CLS], one token, [SEP].");
            }
            var tokenizer = parsed.GetValue(vocabulary) is { } file
                ? Tokenizer.Load(new HubFolders().Folder(file)) : ModelSource.BuiltIn.ReadTokenizer();
            var longest = parsed.GetValue(maxLength) ?? tokenizer.MaxLength;
            var (texts, cut) = (0, 0);
            foreach (var example in input.Read(parsed))
            {
                var tokens = tokenizer.Encode(example.Text, longest, example.TextPair);
                Console.WriteLine(parsed.GetValue(json)
                    ? JsonSerializer.Serialize(
                        new
                        {
                            ids = tokens.Ids,
                            pieces = tokens.Pieces,
                            truncated = tokens.Truncated,
                            types = Types(tokens),
                        }, JsonOutput.Options)
                    : $"{string.Join(' ', tokens.Pieces)}\n{string.Join(' ', tokens.Ids)}"
                        + $"{(tokens.Truncated ? $"\n(cut at {tokens.Ids.Length} tokens)" : "")}");
                texts++;
                cut += tokens.Truncated ? 1 : 0;
            }
            Text.SayCut(cut, texts, longest);
            return 0;
        });
        return command;
    }

    private static IEnumerable<int> Types(TokenizedText tokens) =>
        tokens.Ids.Select((_, i) => i < tokens.SecondSegment ? 0 : 1);
}
