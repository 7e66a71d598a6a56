using LoraScratch.Cli;

return await CommandLine.Run(args);
