using System.CommandLine;
using RlhfFunctions.Samples.Make;

var output = new Option<DirectoryInfo>("--output")
{
    Description = "The folder to write to; dialogues/ and models/ come to lie in it.",
    Required = true,
};
var seed = new Option<int>("--seed")
{
    Description = "Everything is drawn from this number: the same seed gives the same bytes.",
    DefaultValueFactory = _ => 1,
};
var runs = new Argument<DirectoryInfo[]>("runs") { Description = "Folders that `demo --output` wrote.", Arity = ArgumentArity.OneOrMore };
var dialogues = new Option<FileInfo>("--dialogues")
{
    Description = "The held-out dialogues of the runs.",
    DefaultValueFactory = _ => new FileInfo(Path.Combine(Repository.Root, "samples", "dialogues", "test.csv")),
};
var show = new Option<int>("--show") { Description = "Prints so many summaries after learning that the grammar could not have written." };
var check = new Command("check", "Asks the oracle, which knows every phrase of the grammar, what runs of the demo did.") { runs, dialogues, show };
check.SetAction(parsed => Steps.Check(parsed.GetRequiredValue(runs), parsed.GetRequiredValue(dialogues), parsed.GetValue(show)));

var request = new Option<FileInfo>("--request")
{
    Description = "The run request whose settings all runs share.",
    DefaultValueFactory = _ => new FileInfo(Path.Combine(Repository.Root, "samples", "demo.json")),
};
var seeds = new Option<int[]>("--seeds") { Description = "Of the runs with a planted fault.", DefaultValueFactory = _ => [0, 1, 2, 3], AllowMultipleArgumentsPerToken = true };
var honestSeeds = new Option<int[]>("--honest-seeds")
{
    Description = "Of the runs without one.",
    DefaultValueFactory = _ => [.. Enumerable.Range(0, 20)],
    AllowMultipleArgumentsPerToken = true,
};
var hacks = new Command("hacks", "Plants faults in the reward and sees whether the watch catches the policies that exploit them.") { request, seeds, honestSeeds };
hacks.SetAction(parsed => Steps.Hacks(parsed.GetRequiredValue(request), parsed.GetRequiredValue(seeds), parsed.GetRequiredValue(honestSeeds)));

return new RootCommand("Makes the samples that ship with RlhfFunctions, from nothing but the grammars in this folder.")
{
    Command("dialogues", "Writes train.csv, validation.csv and test.csv in DialogSum's layout.", Steps.Dialogues),
    Command("tokenizers", "Trains the tokenizers of the three models.", Steps.Tokenizers),
    Command("llama", "Pre-trains the small Llama; its tokenizer must be there.", Steps.Llama),
    Command("classifiers", "Trains the reward model and the judge; their tokenizers must be there.", Steps.Classifiers),
    Command("models", "Trains the three models and their tokenizers, measures them, and compares them with those that ship.", Steps.Models),
    Command("compare", "Measures models that are there already, writes their cards, and compares them with those that ship.", Steps.Compare),
    Command("preferences", "Samples the Llama and writes what the judge prefers; both must be there.", Steps.Preferences),
    Command("all", "Dialogues, models and preferences.", (data, folder) =>
    {
        Steps.Dialogues(data, folder);
        Steps.Models(data, folder);
        Steps.Preferences(data, folder);
    }),
    check,
    hacks,
}.Parse(args).Invoke();

Command Command(string name, string description, Action<SampleData, DirectoryInfo> step)
{
    var command = new Command(name, description) { output, seed };
    command.SetAction(parsed => step(new SampleData(parsed.GetValue(seed), new SampleSizes()), parsed.GetRequiredValue(output)));
    return command;
}
