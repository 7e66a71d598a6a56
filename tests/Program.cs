using LoraScratch.Tests.Lora.Processes;
using LoraScratch.Tests.Mutations;

return args is ["mpi"] ? SharedRunsCommand.Run()
    : args is ["break", .. var rest] ? BreakCommand.Run(rest, Console.Out, Console.Error)
    : BreakCommand.Usage(Console.Error);
