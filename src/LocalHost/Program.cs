using System.CommandLine;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Cli;
using Spectre.Console;

var port = new Option<int>("--port") { Description = "Where HTTP is served.", DefaultValueFactory = _ => 7071 };
var azuritePort = new Option<int>("--azurite-port") { Description = "Where Azurite serves blobs.", DefaultValueFactory = _ => 10000 };
var data = new Option<string>("--data")
{
    Description = "Where Azurite and downloads keep their files.",
    DefaultValueFactory = _ => Path.Combine(Repository.Root, ".rlhf"),
    HelpName = "DIR",
};
var output = new Option<string?>("--output") { Description = "Also write adapter/, metrics.jsonl and evaluation.json here.", HelpName = "DIR" };
var seed = new Option<long?>("--seed") { Description = "Every random draw derives from this (default: samples/demo.json's)." };
var steps = new Option<int?>("--steps") { Description = "PPO steps (default: samples/demo.json's)." };

var demo = new Command("demo", "Run the whole pipeline on the sample models: dialogues in, a less toxic adapter out.") { output, seed, steps };
demo.SetAction((arguments, cancellation) => DemoCommand.RunAsync(
    new DemoOptions(HostOptions(arguments), arguments.GetValue(output), arguments.GetValue(seed), arguments.GetValue(steps)),
    AnsiConsole.Console,
    cancellation));

var start = new Command("start", "Only host the functions, until Ctrl-C.");
start.SetAction(async (arguments, cancellation) =>
{
    await using var host = await HostSession.StartAsync(HostOptions(arguments), AnsiConsole.WriteLine, cancellation);
    AnsiConsole.WriteLine($"Functions are served at {host.Address}api/; Ctrl-C stops them.");
    await host.WaitForShutdownAsync(cancellation);
});

var model = new Argument<string>("model") { Description = "A model folder, or its config.json; weights are not needed." };
var rank = new Option<int>("--rank") { Description = "Rank of the adapter.", DefaultValueFactory = _ => new LoraSettings().Rank };
var targets = new Option<string>("--targets")
{
    Description = "Linear layers that get an adapter, with commas between them, or all-linear.",
    DefaultValueFactory = _ => string.Join(',', new LoraSettings().TargetModules),
    HelpName = "NAMES",
};
var describe = new Command("describe", "Count a model's parameters, and what an adapter trains of them, and say how much memory they take.")
{
    model, rank, targets,
};
describe.SetAction(arguments => DescribeCommand.Run(
    arguments.GetValue(model)!,
    new LoraSettings { Rank = arguments.GetValue(rank), TargetModules = arguments.GetValue(targets)!.Split(',', StringSplitOptions.TrimEntries) },
    AnsiConsole.Console));

var root = new RootCommand("Hosts the functions of RlhfFunctions on this machine, with Azurite as Blob storage.") { demo, start, describe };
foreach (var option in new Option[] { port, azuritePort, data })
{
    option.Recursive = true;
    root.Add(option);
}

return await CommandLine.RunAsync(root.Parse(args));

HostOptions HostOptions(ParseResult arguments)
{
    return new HostOptions(arguments.GetValue(port), arguments.GetValue(azuritePort), Path.GetFullPath(arguments.GetValue(data)!));
}
