using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using RlhfFunctions.Benchmarks;
using static TorchSharp.torch;

string[] stages = ["kernels", "rollout", "prefill", "update", "step", "reward", "sample", "overhead", "all"];
var stage = new Argument<string>("stage") { Description = string.Join(", ", stages) };
stage.AcceptOnlyFromAmong(stages);
var model = new Option<string>("--model") { Description = "tinyllama or sample", DefaultValueFactory = _ => "tinyllama" };
model.AcceptOnlyFromAmong("tinyllama", "sample");
var batch = new Option<int?>("--batch") { Description = "Sequences side by side; by itself 1, 8 and 32 to write, 8 to learn." };
var json = new Option<FileInfo?>("--json") { Description = "Writes the figures there too." };
var command = new RootCommand("Measures speed and memory, beside libtorch and llama.cpp on the same shape, in one run.") { stage, model, batch, json };
command.SetAction(parsed => Run(parsed.GetRequiredValue(stage), parsed.GetRequiredValue(model), parsed.GetValue(batch), parsed.GetValue(json)));
return command.Parse(args).Invoke();

static void Run(string stage, string model, int? batch, FileInfo? json)
{
    if (stage == "kernels")
    {
        // In this process: the libraries that libtorch needs lie beside this program, not beside one that is made for the occasion.
        BenchmarkRunner.Run<KernelBenchmarks>(DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(new InProcessEmitToolchain(new()))));
        return;
    }
    set_num_threads(Environment.ProcessorCount);
    var machine = Machine.Measure();
    Console.WriteLine($"{get_num_threads()} threads; memory is read at {machine.BytesPerSecond / 1e9:F0} GB/s, bfloat16 matrices are multiplied at {machine.Flops / 1e9:F0} GFLOP/s");
    Console.WriteLine($"{"",-26}{"median",10} {"",-7} {"low – high",-19}{"× libtorch",11}{"× llama.cpp",12}{"of limit",10}{"peak MB",9}");
    var figures = new List<Measurement>();
    foreach (var figure in Figures(stage, model, batch, machine))
    {
        figures.Add(figure);
        Console.WriteLine($"{figure.Name,-26}{figure.Value,10:G4} {figure.Unit,-7} {$"{figure.Low:G4} – {figure.High:G4}",-19}"
            + $"{figure.RatioToLibtorch,11:F2}{figure.RatioToLlamaCpp,12:F2}{figure.ShareOfLimit,10:P0}{figure.PeakMemoryMb,9:F0}");
    }
    if (json is not null)
        File.WriteAllText(json.FullName, JsonSerializer.Serialize(figures, new JsonSerializerOptions(JsonSerializerDefaults.Web) { WriteIndented = true }));
}

static IEnumerable<Measurement> Figures(string stage, string model, int? batch, Machine machine)
{
    CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
    var samples = Path.Combine(Root(), "samples");
    var isSample = model == "sample";
    return stage switch
    {
        "rollout" => isSample ? SampleBenchmarks.Rollout(samples) : TinyLlamaBenchmarks.Rollout(machine, batch is { } b ? [b] : [1, 8, 32]),
        "prefill" => TinyLlamaBenchmarks.Prefill(machine),
        "update" or "step" => isSample ? SampleBenchmarks.Step(samples) : TinyLlamaBenchmarks.Step(machine, batch ?? 8),
        "reward" => RewardBenchmark.Run(),
        "overhead" => OverheadBenchmark.Run(Root()),
        "sample" => SampleBenchmarks.Rollout(samples).Concat(SampleBenchmarks.Step(samples)),
        _ => SampleBenchmarks.Rollout(samples).Concat(SampleBenchmarks.Step(samples)).Concat(RewardBenchmark.Run())
            .Concat(TinyLlamaBenchmarks.Rollout(machine, [1, 8, 32])).Concat(TinyLlamaBenchmarks.Prefill(machine)).Concat(TinyLlamaBenchmarks.Step(machine, 8))
            .Concat(OverheadBenchmark.Run(Root())),
    };
}

static string Root()
{
    for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        if (File.Exists(Path.Combine(folder.FullName, "RlhfFunctions.sln")))
            return folder.FullName;
    throw new DirectoryNotFoundException("The benchmarks need the repository around them: run them from a clone.");
}
