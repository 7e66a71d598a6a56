using LoraScratch.Benchmarks;

const string usage = """
    Benchmarks. Usage: dotnet run -c Release --project benchmarks -- COMMAND
      matmul [--threads N] [--json]    products of large and of LoRA's skinny shapes against the peak of the machine
      step [--batch 8] [--seq 128] [--rank 8] [--targets query,value] [--mode lora|last-layers|full] [--threads 2]
           [--layers 6] [--d 768] [--heads 12] [--ffn 3072] [--reps 5] [--json]
                                       one training step of a DistilBERT-shaped classifier: seconds and peak memory
    """;

switch (args.FirstOrDefault())
{
    case "matmul":
        return MatMulCommand.Run(args[1..]);
    case "step":
        return StepCommand.Run(args[1..]);
    case null or "help" or "-h" or "--help":
        Console.WriteLine(usage);
        return 0;
    default:
        Console.Error.WriteLine($"There is no benchmark '{args[0]}'.{Environment.NewLine}{usage}");
        return 1;
}
