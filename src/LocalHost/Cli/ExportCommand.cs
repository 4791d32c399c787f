using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.Ml.Export;
using RlhfFunctions.Storage;
using Spectre.Console;
using static TorchSharp.torch;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>What an export is written as.</summary>
internal enum ExportFormat
{
    /// <summary>A model folder, the adapter in its weights.</summary>
    Safetensors,

    /// <summary>The adapter as PEFT saves it.</summary>
    Peft,

    /// <summary>One file with merged weights, tokenizer and chat template.</summary>
    Gguf,

    /// <summary>The adapter as a GGUF file.</summary>
    GgufLora,
}

/// <summary>The type of exported weights.</summary>
internal enum ExportType
{
    F16,
    BF16,
    F32,
}

/// <param name="Run">A finished run, whose adapter and base model are taken from storage; null: the folders.</param>
/// <param name="Model">The base model's folder; of a run, in place of the one in storage.</param>
/// <param name="Adapter">A PEFT folder; null: the model alone.</param>
/// <param name="Format">What is written.</param>
/// <param name="Type">Of the weights.</param>
/// <param name="Output">The folder it goes to.</param>
internal sealed record ExportOptions(string? Run, string? Model, string? Adapter, ExportFormat Format, ExportType Type, string Output);

/// <summary>Writes a model or an adapter for other programs: transformers, PEFT, llama.cpp, Ollama, LLamaSharp.</summary>
internal static class ExportCommand
{
    /// <exception cref="UserErrorException">There is no such run, model or adapter, or they do not belong together.</exception>
    public static async Task RunAsync(ExportOptions export, HostOptions options, IAnsiConsole console, CancellationToken cancellation)
    {
        if (export.Run is not null && export.Adapter is not null)
            throw new UserErrorException("--run and --adapter both name an adapter: choose one of them.");
        if (export.Run is null && export.Model is null)
            throw new UserErrorException("Name what to export: --run ID, or --model DIR, with --adapter DIR if an adapter goes with it.");
        foreach (string folder in new[] { export.Model, export.Adapter }.OfType<string>().Where(folder => !Directory.Exists(folder)))
            throw new UserErrorException($"There is no folder {Path.GetFullPath(folder)}. Correct its path; of a run, --run ID finds model and adapter by itself.");

        string work = Directory.CreateTempSubdirectory("rlhf-export-").FullName;
        try
        {
            if (export.Run is { } run) export = await FetchAsync(run, export, work, options, console, cancellation);
            foreach (string file in Write(export)) console.WriteLine($"{file} ({new FileInfo(file).Length / 1e6:N1} MB)");
        }
        catch (Exception e) when (e is InvalidDataException or InvalidInputException or CorruptArtifactException)
        {
            throw new UserErrorException(e.Message, e);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private static IReadOnlyList<string> Write(ExportOptions export)
    {
        string Adapter() => export.Adapter ?? throw new UserErrorException($"--format {export.Format} writes an adapter: name it with --adapter DIR or --run ID.");
        var type = export.Type switch { ExportType.F16 => ScalarType.Float16, ExportType.BF16 => ScalarType.BFloat16, _ => ScalarType.Float32 };
        string model = export.Model!;
        return export.Format switch
        {
            ExportFormat.Safetensors => ModelExport.Merged(model, export.Adapter, type, export.Output),
            ExportFormat.Peft => ModelExport.Peft(model, Adapter(), export.Output),
            ExportFormat.Gguf => ModelExport.Gguf(model, export.Adapter, type, export.Output),
            _ => ModelExport.GgufAdapter(model, Adapter(), type, export.Output),
        };
    }

    /// <summary>Brings a run's adapter, and its base model unless one is named, from storage to this machine.</summary>
    private static async Task<ExportOptions> FetchAsync(
        string run, ExportOptions export, string work, HostOptions options, IAnsiConsole console, CancellationToken cancellation)
    {
        var configuration = new ConfigurationBuilder().AddEnvironmentVariables().Build();
        await using var azurite = Azurite.IsAskedFor(configuration)
            ? await Azurite.StartAsync(Repository.Root, options.DataFolder, options.AzuritePort, console.WriteLine, cancellation)
            : null;
        if (azurite is not null) configuration["AzureWebJobsStorage"] = azurite.ConnectionString;
        configuration["RlhfFileRoot"] = Environment.CurrentDirectory;
        configuration["RlhfCache"] = options.ModelsFolder;
        await using var services = new ServiceCollection().AddRlhf(configuration).BuildServiceProvider();
        var artifacts = services.GetRequiredService<ArtifactStore>();
        var finished = await artifacts.FindAsync<RunOutcome>(BlobPaths.Run(run), cancellation) ?? throw new UserErrorException(
            $"There is no finished run \"{run}\" in the storage. A run has an adapter to export when it has ended; GET /api/runs lists them.");
        foreach (var file in finished.Files.Where(file => file.Name.StartsWith($"{RunFiles.AdapterFolder}/", StringComparison.Ordinal)))
        {
            await using var target = File.Create(Path.Combine(work, Path.GetFileName(file.Name)));
            await artifacts.CopyAsync(file, target, cancellation);
        }

        string model = export.Model ?? await services.GetRequiredService<ModelFolders>().FetchAsync(finished.Result.Prepared.Base, cancellation);
        return export with { Model = model, Adapter = work };
    }
}
