using BenchmarkDotNet.Running;
using LoraScratch.Benchmarks;
using LoraScratch.Benchmarks.Report;
using LoraScratch.Engine;

const string usage = """
    Benchmarks. Usage: dotnet run -c Release --project benchmarks -- COMMAND
      report [--html benchmarks-report.html] [--threads N]
          what LoRA costs on this processor: questions, figures, limits, as tables and as a page with
          pictures; some minutes
      --filter PATTERN [--device cpu|cuda|opencl] [--threads N]
          tables by BenchmarkDotNet, whose other options work too: LoRAForward and LoRATraining (what a
          low-rank adapter costs beside its layer), TokenizerSpeed. '*' runs all;
          '*LoRAForward*Width: 768*' those of one width; --list flat names them
      matmul [--device cpu|cuda|opencl] [--threads N] [--json]
          products of large and of LoRA's skinny shapes, on the CPU against the peak of the machine
      quantized [--width 4096] [--rows N] [--bits 4] [--group-size 32] [--device cpu|cuda|opencl]
                [--threads N] [--json]
          products with packed weights against float weights, 128 MiB and more of them in rotation
      step [--batch 8] [--seq 128] [--rank 8] [--targets query,value] [--mode lora|last-layers|full]
           [--threads 2] [--layers 6] [--d 768] [--heads 12] [--ffn 3072] [--reps 5] [--recompute]
           [--lora-layers last:2] [--frozen-precision float32|float16]
           [--device cpu|cuda|opencl] [--json]
          one training step of a DistilBERT-shaped classifier: seconds and peak memory
      peer --program "COMMAND" [--rounds 5] [--batch, --seq, --rank, --mode, --layers, --d, --heads,
           --ffn, --threads, --reps as for step]
          the step beside another program's, in turn: the command is run with step and these options,
          and prints a line of JSON with forward_s, step_s and peak_mib
      processes [--processes 2] [--threads 2] [--mpirun "mpirun --oversubscribe"] [--micro-batch 4] [--head]
                [--batch 8] [--seq 128] [--rounds 5] [--reps 5] [--json]
          a LoRA step by one process and by several of mpirun with the same cores, in turn; --head
          trains the head too, which travels then
      callers [--words 30] [--calls 512] [--rounds 7] [--model DIR] [--device cpu|cuda|opencl]
              [--threads N]
          texts/s of one classifier that 1, 8 and 64 callers ask at once, one text a call, text by
          text and in batches
      start --program "COMMAND[;COMMAND]" [--rounds 20]
          milliseconds from the start of a program to its end, several in turn
    """;

try
{
    if (args is [not ['-', ..], ..] && args.Contains("--help"))
    {
        Console.WriteLine(usage);
        return 0;
    }
    switch (args.FirstOrDefault())
    {
        case "report":
            return ReportCommand.Run(args[1..]);
        case "matmul":
            return MatMulCommand.Run(args[1..]);
        case "quantized":
            return QuantizedCommand.Run(args[1..]);
        case "step":
            return StepCommand.Run(args[1..]);
        case "peer":
            return PeerCommand.Run(args[1..]);
        case "processes":
            return ProcessesCommand.Run(args[1..]);
        case "callers":
            return CallersCommand.Run(args[1..]);
        case "start":
            return StartCommand.Run(args[1..]);
        case null or "help" or "-h" or "--help":
            Console.WriteLine(usage);
            return 0;
        case ['-', ..]:
            return RunBenchmarks();
        default:
            Console.Error.WriteLine($"There is no benchmark '{args[0]}'.{Environment.NewLine}{usage}");
            return 1;
    }
}
catch (InputException e)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

int RunBenchmarks()
{
    var options = new Arguments(args);
    if (options.Has("device"))
    {
        Backends.Choose(options.Text("device", "cpu"));
    }
    if (options.Has("threads"))
    {
        Backends.Threads = options.Number("threads", 2);
    }
    var summaries = BenchmarkSwitcher.FromAssembly(typeof(Backends).Assembly)
        .Run(options.Unused(), new BenchmarkSettings());
    return summaries.Any(summary => summary.HasCriticalValidationErrors
        || summary.Reports.Any(report => !report.Success)) ? 1 : 0;
}
