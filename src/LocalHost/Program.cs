using System.CommandLine;
using RlhfFunctions.LocalHost.Cli;
using RlhfFunctions.LocalHost.Hosting;
using Spectre.Console;

var port = new Option<int>("--port") { Description = "Where HTTP is served.", DefaultValueFactory = _ => HostOptions.Default.Port };
var azuritePort = new Option<int>("--azurite-port") { Description = "Where Azurite serves blobs.", DefaultValueFactory = _ => HostOptions.Default.AzuritePort };
var data = new Option<string>("--data")
{
    Description = "Where Azurite and downloads keep their files.",
    DefaultValueFactory = _ => HostOptions.Default.DataFolder,
    HelpName = "DIR",
};
var output = new Option<string?>("--output")
{
    Description = "Where to write report.html, adapter/, metrics.jsonl and evaluation.json (default: a folder of the run in --data).",
    HelpName = "DIR",
};
var seed = new Option<long?>("--seed") { Description = "Every random draw derives from this (default: samples/demo.json's)." };
var seeds = new Option<string?>("--seeds") { Description = "A run for each of several seeds, such as 0..4 or 0,3,7, and one table of them all." };
var steps = new Option<int?>("--steps") { Description = "PPO steps (default: samples/demo.json's)." };

var demo = new Command("demo", "Run the whole pipeline on the sample models: dialogues in, a less toxic adapter out.") { output, seed, seeds, steps };
demo.SetAction((arguments, cancellation) => DemoCommand.RunAsync(DemoOptionsOf(arguments), AnsiConsole.Console, cancellation));

var start = new Command("start", "Only host the functions, until Ctrl-C.");
start.SetAction(async (arguments, cancellation) =>
{
    await using var host = await HostSession.StartAsync(HostOptionsOf(arguments), AnsiConsole.WriteLine, cancellation);
    AnsiConsole.WriteLine($"Functions are served at {host.Address}api/; Ctrl-C stops them.");
    await host.WaitForShutdownAsync(cancellation);
});

var root = new RootCommand("Hosts the functions of RlhfFunctions on this machine, with Azurite as Blob storage.") { demo, start };
foreach (var option in new Option[] { port, azuritePort, data })
{
    option.Recursive = true;
    root.Add(option);
}

return await CommandLine.RunAsync(root.Parse(args));

DemoOptions DemoOptionsOf(ParseResult arguments)
{
    if (arguments.GetValue(seed) is not null && arguments.GetValue(seeds) is not null)
        throw new UserErrorException("--seed asks for one run and --seeds for several: choose one of them.");
    return new DemoOptions(
        HostOptionsOf(arguments), arguments.GetValue(output), arguments.GetValue(seed), SeedList.Parse(arguments.GetValue(seeds)), arguments.GetValue(steps));
}

HostOptions HostOptionsOf(ParseResult arguments)
{
    return new HostOptions(arguments.GetValue(port), arguments.GetValue(azuritePort), Path.GetFullPath(arguments.GetValue(data)!));
}
