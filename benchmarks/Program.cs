using LoraScratch.Benchmarks;

const string usage = """
    Benchmarks. Usage: dotnet run -c Release --project benchmarks -- COMMAND
      matmul [--threads N] [--json]    products of large and of LoRA's skinny shapes against the peak of the machine
    """;

switch (args.FirstOrDefault())
{
    case "matmul":
        return MatMulCommand.Run(args[1..]);
    case null or "help" or "-h" or "--help":
        Console.WriteLine(usage);
        return 0;
    default:
        Console.Error.WriteLine($"There is no benchmark '{args[0]}'.{Environment.NewLine}{usage}");
        return 1;
}
