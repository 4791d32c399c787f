using System.CommandLine;
using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Scale;
using static RlhfFunctions.Scale.Limits;

string stagesFolder = Path.Combine(Root(), "tools", "scale", "stages");
var stages = new Option<FileInfo>("--stages") { Description = "Stage times of a replica, a file as in tools/scale/stages.", DefaultValueFactory = _ => new FileInfo(Path.Combine(stagesFolder, "a100.json")) };
var replicas = new Option<int>("--replicas") { Description = "Replicas, 1 to 1,000.", DefaultValueFactory = _ => 1 };
var batch = new Option<int>("--batch") { Description = "Samples a step, up to 65,536.", DefaultValueFactory = _ => 256 };
var shards = new Option<int?>("--rollout-shards") { Description = "Rollout activities of a step (default: one a replica)." };
var updateShards = new Option<int>("--update-shards") { Description = "Gradient activities of a step of the optimizer; 1: one activity updates.", DefaultValueFactory = _ => 1 };
var optimizerBatch = new Option<int?>("--optimizer-batch") { Description = "Samples between two steps of the optimizer (default: a quarter of the batch)." };
var epochs = new Option<int>("--epochs") { Description = "Passes over a batch.", DefaultValueFactory = _ => 4 };
var steps = new Option<int>("--steps") { Description = "PPO steps.", DefaultValueFactory = _ => 4 };
var cold = new Option<bool>("--cold") { Description = "Start from no replica at all." };
var seed = new Option<int>("--seed") { Description = "Response lengths and cold starts derive from this." };
var price = new Option<double>("--price") { Description = "EUR for an hour of a replica: https://azure.microsoft.com/pricing/details/container-apps/.", DefaultValueFactory = _ => Docs.RoundPrice };
stages.AcceptExistingOnly();
foreach (var (option, high) in new (Option Option, int High)[]
    { (replicas, 1000), (batch, 65_536), (shards, 1024), (updateShards, 1024), (optimizerBatch, 65_536), (epochs, 1000), (steps, 10_000) })
{
    option.Validators.Add(result =>
    {
        if (result.Tokens is [.., var token] && int.TryParse(token.Value, out int value) && (value < 1 || value > high))
            result.AddError($"{option.Name} must be 1 to {high:N0}, but is {value}.");
    });
}

var plan = new Command("plan", "Simulate a run.") { stages, replicas, batch, shards, updateShards, optimizerBatch, epochs, steps, cold, seed, price };
plan.SetAction(parsed =>
{
    var times = StageTimes.Read(parsed.GetValue(stages)!.FullName);
    var asked = new Plan
    {
        Replicas = parsed.GetValue(replicas),
        BatchSize = parsed.GetValue(batch),
        RolloutShards = parsed.GetValue(shards),
        UpdateShards = parsed.GetValue(updateShards),
        OptimizerBatch = parsed.GetValue(optimizerBatch),
        Epochs = parsed.GetValue(epochs),
        Steps = parsed.GetValue(steps),
        IsCold = parsed.GetValue(cold),
        Seed = parsed.GetValue(seed),
    };
    var outcome = Simulation.Run(times, new Platform(), asked);
    Console.WriteLine($"""
        {times.Name}: {times.Source}
        {Number(outcome.Seconds)} s for {asked.Steps} steps: rollouts {Number(outcome.RolloutSeconds)}, updates {Number(outcome.UpdateSeconds)}; the first activity after {Number(outcome.FirstActivitySeconds)}, the last replica after {Number(outcome.LastReplicaSeconds)}
        {Number(outcome.Tokens)} tokens, {Number(outcome.TokensPerSecond)} a second; replicas busy {outcome.BusySeconds / (asked.Replicas * outcome.Seconds):P0}
        {Number(outcome.PricePerMillion(parsed.GetValue(price)))} EUR a million tokens, at {parsed.GetValue(price)} EUR an hour
        One update is the bottleneck from {Number(Work.Balance(times, asked))} replicas on.
        """);
    foreach (var limit in Of(times, new Platform(), asked)) Console.WriteLine($"{limit.What}: {limit.Asked} (allowed: {limit.Allowed})");
});

var folder = new Argument<DirectoryInfo>("run") { Description = "A folder with evaluation.json and metrics.jsonl, as the demo writes it." };
var request = new Option<FileInfo>("--request") { Description = "The run's request.", DefaultValueFactory = _ => new FileInfo(Path.Combine(Root(), "samples", "demo.json")) };
folder.AcceptExistingOnly();
request.AcceptExistingOnly();
var read = new Command("stages", "Read the stage times of a real run, as a file for --stages; what a run does not tell is taken from --stages.") { folder, request, stages };
read.SetAction(parsed => Console.WriteLine(JsonSerializer.Serialize(
    RunFolder.Read(parsed.GetRequiredValue(folder).FullName, parsed.GetValue(request)!.FullName, StageTimes.Read(parsed.GetValue(stages)!.FullName)), ContractsJson.Indented)));

var docs = new Command("docs", "Make the tables of docs/scale.md and docs/scale.svg anew.");
docs.SetAction(_ =>
{
    StageTimes[] times = [.. Docs.StageFiles.Select(file => StageTimes.Read(Path.Combine(stagesFolder, file)))];
    string page = Path.Combine(Root(), "docs", "scale.md");
    File.WriteAllText(page, Docs.Fill(File.ReadAllText(page), times));
    File.WriteAllText(Path.Combine(Root(), "docs", "scale.svg"), Chart.Draw(times));
});
return new RootCommand("Simulates a run on 1 to 1,000 replicas from the measured times of its stages.") { plan, read, docs }.Parse(args).Invoke();

static string Root()
{
    for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
    {
        if (File.Exists(Path.Combine(folder.FullName, "RlhfFunctions.sln"))) return folder.FullName;
    }

    throw new DirectoryNotFoundException("The simulation needs the repository around it: run it from a clone.");
}
