using System.ComponentModel.DataAnnotations;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using Spectre.Console;
using TorchSharp;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Tells from a config.json alone how many parameters a model has, what is trained of them, and the memory they take.</summary>
internal static class DescribeCommand
{
    /// <param name="path">A model folder, or its config.json.</param>
    /// <param name="lora">The adapter to count on a language model.</param>
    /// <param name="console">Where the tables go.</param>
    /// <exception cref="UserErrorException">There is no such model, or it is of a kind that is not supported.</exception>
    public static void Run(string path, LoraSettings lora, IAnsiConsole console)
    {
        try
        {
            Validator.ValidateObject(lora, new ValidationContext(lora), validateAllProperties: true);
            var config = ConfigFile.Open(Directory.Exists(path) ? Path.Combine(path, "config.json") : path);
            config.Require("model_type", null, [.. LlamaConfig.ModelTypes, .. RobertaConfig.ModelTypes]);
            if (!RobertaConfig.ModelTypes.Contains(config.Text("model_type"))) Describe(LlamaConfig.Read(config), lora, console);
            else Describe(RobertaConfig.Read(config), console);
        }
        catch (Exception e) when (e is InvalidDataException or ArgumentException or ValidationException)
        {
            throw new UserErrorException(e.Message, e);
        }
    }

    private static void Describe(LlamaConfig config, LoraSettings lora, IAnsiConsole console)
    {
        var counts = PolicyCounts.Of(config, lora);
        var weights = WeightInventory.Of(config);

        console.WriteLine(
            $"{Name(config.ModelType)}: {config.Layers} layers, hidden size {config.HiddenSize}, "
            + $"{config.Heads} heads ({config.KeyValueHeads} for keys and values), vocabulary {config.VocabularySize:N0}, "
            + $"context {config.ContextLength:N0}, output layer {(config.TieWordEmbeddings ? "tied to the embedding" : "of its own")}");
        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumn("parameters");
        foreach (string column in new[] { "all", "trained", "share" }) table.AddColumn(new TableColumn(column).RightAligned().NoWrap());
        AddCounts(table, "base model", counts.Base, 0);
        string adapter = $"with the adapter: rank {lora.Rank} on {string.Join(", ", lora.TargetModules)}";
        AddCounts(table, adapter, counts.Base + counts.Adapter, counts.Adapter);
        AddCounts(table, "… 4-bit layers counted in bytes", counts.PackedBase + counts.Adapter, counts.Adapter);
        AddCounts(table, "with the value head", counts.Base + counts.Trained, counts.Trained);
        AddCounts(table, "… 4-bit layers counted in bytes", counts.PackedBase + counts.Trained, counts.Trained);
        AddCounts(table, "reference: the same, adapter off", counts.PackedBase + counts.Trained, 0);
        console.Write(table);

        var memory = MemoryTable();
        memory.AddRow("base model in float32", Megabytes(weights.Bytes(ModelPrecision.Float32)));
        memory.AddRow("base model in bfloat16 or float16", Megabytes(weights.Bytes(ModelPrecision.Float16)));
        memory.AddRow("base model in nf4 on a CPU (the rest bfloat16 or float32)", Megabytes(weights.Bytes(ModelPrecision.Nf4)));
        memory.AddRow("base model in nf4 on a GPU (the rest float16)", Megabytes(weights.Bytes(ModelPrecision.Nf4, DeviceType.CUDA)));
        memory.AddRow("adapter and value head, their gradients and Adam's moments", Megabytes(counts.TrainedBytes));
        console.Write(memory);
    }

    private static void Describe(RobertaConfig config, IAnsiConsole console)
    {
        var weights = WeightInventory.Of(config);
        console.WriteLine(
            $"RoBERTa classifier: {config.Layers} layers, hidden size {config.HiddenSize}, {config.Heads} heads, "
            + $"vocabulary {config.VocabularySize:N0}, texts up to {config.MaxLength} tokens, "
            + $"labels {string.Join(", ", config.Labels.OrderBy(label => label.Key).Select(label => label.Value))}");
        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumns("parameters", "all");
        table.AddRow("classifier", $"{weights.Count:N0}");
        console.Write(table);
        var memory = MemoryTable();
        memory.AddRow("classifier in float32", Megabytes(weights.Bytes(ModelPrecision.Float32)));
        console.Write(memory);
    }

    private static string Name(string modelType)
    {
        return char.ToUpperInvariant(modelType[0]) + modelType[1..];
    }

    private static void AddCounts(Table table, string what, long all, long trained)
    {
        table.AddRow(Markup.Escape(what), $"{all:N0}", $"{trained:N0}", $"{100.0 * trained / all:F4} %");
    }

    private static Table MemoryTable()
    {
        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumn("memory");
        table.AddColumn(new TableColumn("MB").RightAligned().NoWrap());
        return table;
    }

    private static string Megabytes(long bytes)
    {
        return (bytes / 1e6).ToString("N1", null);
    }
}
