using LoraScratch.Tests.Mutations;

return args is ["break", .. var rest] ? BreakCommand.Run(rest, Console.Out, Console.Error)
    : BreakCommand.Usage(Console.Error);
