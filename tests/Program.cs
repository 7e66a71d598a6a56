using LoraScratch.Tests.Check;
using LoraScratch.Tests.Lora.Processes;
using LoraScratch.Tests.Mutations;

return args is ["check", .. var options] ? CheckCommand.Run(options, Console.Out, Console.Error)
    : args is ["mpi"] ? SharedRunsCommand.Run()
    : args is ["break", .. var rest] ? BreakCommand.Run(rest, Console.Out, Console.Error)
    : BreakCommand.Usage(Console.Error);
