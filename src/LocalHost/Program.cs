using System.CommandLine;
using System.CommandLine.Parsing;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Cli;
using RlhfFunctions.LocalHost.Hosting;
using Spectre.Console;

var port = new Option<int>("--port") { Description = "Where HTTP is served.", DefaultValueFactory = _ => HostOptions.Default.Port };
var azuritePort = new Option<int>("--azurite-port") { Description = "The first of Azurite's three ports: blobs, queues, tables.", DefaultValueFactory = _ => HostOptions.Default.AzuritePort };
var data = new Option<string>("--data")
{
    Description = "Where Azurite and downloads keep their files.",
    DefaultValueFactory = _ => HostOptions.Default.DataFolder,
    HelpName = "DIR",
};
var app = new Option<string>("--app")
{
    Description = "The built or published function app (default: that of this repository).",
    DefaultValueFactory = _ => HostOptions.Default.AppFolder,
    HelpName = "DIR",
};
var verbose = new Option<bool>("--verbose") { Description = "Log what is ordinary too: functions, storage, the engine." };
var output = new Option<string?>("--output")
{
    Description = "Where to write report.html, adapter/, metrics.jsonl, evaluation.json and samples.jsonl (default: a folder of the run in --data).",
    HelpName = "DIR",
};
var request = new Option<string>("--request")
{
    Description = "The run request.",
    DefaultValueFactory = _ => Path.Combine(Repository.Root, "samples", "demo.json"),
    HelpName = "FILE",
};
var seed = new Option<long?>("--seed") { Description = "Every random draw derives from this (default: the request's)." };
var seeds = new Option<string?>("--seeds") { Description = "A run for each of several seeds, such as 0..4 or 0,3,7, and one table of them all." };
var steps = new Option<int?>("--steps") { Description = "PPO steps (default: the request's)." };

var algorithms = new Option<AlgorithmName[]>("--algorithms")
{
    Description = "The seeds by each of several algorithms, each with the sample request of its own, and one table of them all.",
    HelpName = "ppo,grpo,rloo,dpo",
    CustomParser = result => [.. result.Tokens[0].Value.Split(',').Select(name => Enum.TryParse<AlgorithmName>(name, ignoreCase: true, out var algorithm)
        ? algorithm : RefuseAlgorithm(result, name))],
};

var demo = new Command("demo", "Run the whole pipeline on the sample models: dialogues in, a less toxic adapter out.") { request, output, seed, seeds, steps, algorithms };
demo.SetAction((arguments, cancellation) => DemoCommand.RunAsync(DemoOptionsOf(arguments), AnsiConsole.Console, cancellation));

var simulate = new Option<bool>("--simulate") { Description = "Let the oracle of the sample dialogues vote, with --errors." };
var recorded = new Option<string?>("--votes") { Description = "Replay votes that were recorded (votes.jsonl); the oracle judges.", HelpName = "FILE" };
var budget = new Option<int>("--budget") { Description = "Votes to collect at most.", DefaultValueFactory = _ => 200 };
var errors = new Option<double>("--errors") { Description = "Share of the oracle's votes that are wrong.", DefaultValueFactory = _ => 0.1 };
var name = new Option<string>("--name") { Description = "Names what is made; the same name and seed go on where they were.", DefaultValueFactory = _ => "feedback" };
var feedback = new Command("feedback", "From votes to a better model: vote on pairs of summaries, train a reward model, learn, judge old against new.")
{
    simulate, recorded, budget, errors, name, request, output, seed,
};
feedback.SetAction((arguments, cancellation) => FeedbackCommand.RunAsync(
    new FeedbackOptions(DemoOptionsOf(arguments), arguments.GetValue(simulate), arguments.GetValue(recorded), arguments.GetValue(budget), arguments.GetValue(errors), arguments.GetValue(name)!),
    AnsiConsole.Console, cancellation));

var kills = new Option<int>("--kills") { Description = "Processes to kill in all.", DefaultValueFactory = _ => 20 };
var soaked = new Option<string>("--request") { Description = "The run that is started again and again.", DefaultValueFactory = _ => Path.Combine(Repository.Root, "samples", "soak.json"), HelpName = "FILE" };
var draws = new Option<int>("--seed") { Description = "Of the draws of what is killed, and when." };
var soak = new Command("soak", "Kill host, worker and Azurite again and again, and see that every run ends in the bytes of an undisturbed one.") { kills, soaked, draws };
soak.SetAction((arguments, cancellation) => SoakCommand.RunAsync(
    new SoakOptions(HostOptionsOf(arguments), arguments.GetValue(soaked)!, arguments.GetValue(kills), arguments.GetValue(draws)), AnsiConsole.Console, cancellation));

var start = new Command("start", "Only host the functions, until Ctrl-C.");
start.SetAction(async (arguments, cancellation) =>
{
    await using var host = await HostSession.StartAsync(HostOptionsOf(arguments), AnsiConsole.WriteLine, cancellation);
    AnsiConsole.WriteLine($"Functions are served at {host.Address}api/; Ctrl-C stops them.");
    await host.WaitAsync(cancellation);
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

var source = new Argument<string>("model") { Description = "A model's folder, or hf:owner/name with or without @revision." };
var precision = new Option<ModelPrecision>("--precision") { Description = "nf4: quantise it, and name the 4-bit form.", HelpName = "nf4" };
var import = new Command("import", "Bring a model into Blob storage, as a run does with the models it names.") { source, precision };
import.SetAction((arguments, cancellation) => ImportCommand.RunAsync(
    arguments.GetValue(source)!, arguments.GetValue(precision), HostOptionsOf(arguments), AnsiConsole.Console, cancellation));

var originalModel = new Option<string?>("--model") { Description = "TinyLlama-1.1B-Chat-v0.3, a folder with its tokenizer.", HelpName = "DIR" };
var originalReward = new Option<string?>("--reward") { Description = "roberta-hate-speech-dynabench-r4-target, a folder.", HelpName = "DIR" };
var originalDialogues = new Option<string?>("--dialogsum") { Description = "DialogSum: train.csv, validation.csv and test.csv.", HelpName = "DIR" };
var verify = new Command("verify", "Compare the original models and dialogues, where you have them, with the numbers the original notebook printed.")
{
    originalModel, originalReward, originalDialogues,
};
verify.SetAction(arguments => VerifyCommand.Run(
    new VerifyOptions(arguments.GetValue(originalModel), arguments.GetValue(originalReward), arguments.GetValue(originalDialogues)),
    AnsiConsole.Console));

var exportRun = new Option<string?>("--run") { Description = "A finished run: its adapter, and the base model it was trained on.", HelpName = "ID" };
var exportModel = new Option<string?>("--model") { Description = "The base model's folder (default: the run's, from storage).", HelpName = "DIR" };
var exportAdapter = new Option<string?>("--adapter") { Description = "A PEFT folder, such as the demo's adapter/; left out without --run: the model as it is.", HelpName = "DIR" };
var format = new Option<ExportFormat>("--format")
{
    Description = "safetensors: the merged model's folder; peft: the adapter; gguf: the merged model in one file; gguf-lora: the adapter as GGUF.",
    HelpName = "FORMAT",
    CustomParser = result => result.Tokens[0].Value switch
    {
        "safetensors" => ExportFormat.Safetensors,
        "peft" => ExportFormat.Peft,
        "gguf" => ExportFormat.Gguf,
        "gguf-lora" => ExportFormat.GgufLora,
        var other => Refuse(result, $"--format {other} is none of safetensors, peft, gguf, gguf-lora."),
    },
};
var type = new Option<ExportType>("--type") { Description = "Of the weights: f16, bf16 or f32.", HelpName = "TYPE" };
var target = new Option<string>("--output") { Description = "The folder it is written to.", HelpName = "DIR", Required = true };
var export = new Command("export", "Write a model or an adapter for transformers, PEFT, llama.cpp, Ollama or LLamaSharp.")
{
    exportRun, exportModel, exportAdapter, format, type, target,
};
export.SetAction((arguments, cancellation) => ExportCommand.RunAsync(
    new ExportOptions(
        arguments.GetValue(exportRun), arguments.GetValue(exportModel), arguments.GetValue(exportAdapter), arguments.GetValue(format),
        arguments.GetValue(type), Path.GetFullPath(arguments.GetValue(target)!)),
    HostOptionsOf(arguments), AnsiConsole.Console, cancellation));

var root = new RootCommand("Hosts the functions of RlhfFunctions on this machine, with Azurite as their storage, and talks to them wherever they are.") { demo, feedback, start, import, export, describe, verify, soak };
foreach (var command in new ClientCommands(AnsiConsole.Console).All()) root.Add(command);
foreach (var option in new Option[] { port, azuritePort, data, app, verbose })
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
        HostOptionsOf(arguments), arguments.GetValue(request)!, arguments.GetValue(output), arguments.GetValue(seed), SeedList.Parse(arguments.GetValue(seeds)), arguments.GetValue(steps),
        arguments.GetValue(algorithms) is { Length: > 0 } several ? several : null);
}

static AlgorithmName RefuseAlgorithm(ArgumentResult result, string name)
{
    result.AddError($"--algorithms {name} is none of {string.Join(", ", Enum.GetNames<AlgorithmName>()).ToLowerInvariant()}.");
    return default;
}

static ExportFormat Refuse(ArgumentResult result, string why)
{
    result.AddError(why);
    return default;
}

HostOptions HostOptionsOf(ParseResult arguments)
{
    return new HostOptions(
        arguments.GetValue(port),
        arguments.GetValue(azuritePort),
        Path.GetFullPath(arguments.GetValue(data)!),
        Path.GetFullPath(arguments.GetValue(app)!),
        arguments.GetValue(verbose));
}
