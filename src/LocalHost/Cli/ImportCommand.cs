using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Does by hand what PrepareModel does in a run: brings a model into Blob storage, and says how a request names it there.</summary>
internal static class ImportCommand
{
    /// <param name="model">A folder, or a source as a request spells it.</param>
    /// <param name="precision">NF4: in 4 bits too.</param>
    /// <param name="options">Where Azurite and downloads keep their files; no HTTP is served.</param>
    /// <param name="console">Shows the progress; its last line is the source.</param>
    /// <param name="cancellation">Stops; nothing half imported is visible then.</param>
    /// <exception cref="UserErrorException">There is no such model, or it cannot be fetched now.</exception>
    public static async Task RunAsync(
        string model, ModelPrecision precision, HostOptions options, IAnsiConsole console, CancellationToken cancellation)
    {
        string source = SourceOf(model);
        var configuration = new ConfigurationBuilder().AddEnvironmentVariables().Build();
        await using var azurite = Azurite.IsAskedFor(configuration)
            ? await Azurite.StartAsync(Repository.Root, options.DataFolder, options.AzuritePort, console.WriteLine, cancellation)
            : null;
        if (azurite is not null) configuration["AzureWebJobsStorage"] = azurite.ConnectionString;
        configuration["RlhfFileRoot"] = Environment.CurrentDirectory;
        configuration["RlhfFileRoots"] = Path.GetPathRoot(Environment.CurrentDirectory); // who types the command may import what he may read
        configuration["RlhfCache"] = options.ModelsFolder;
        try
        {
            await using var services = new ServiceCollection().AddRlhf(configuration).BuildServiceProvider();
            string path = await new ImportDisplay(console).ShowAsync(
                progress => services.GetRequiredService<ModelImports>().ImportAsync(source, precision, progress, cancellation));
            console.WriteLine("The model is in Blob storage. In a request it is");
            console.Profile.Out.Writer.WriteLine(new BlobSource(path));
        }
        catch (Exception e) when (e is InvalidInputException or HubFaultException or CorruptArtifactException or FormatException)
        {
            throw new UserErrorException(e.Message, e);
        }
    }

    private static string SourceOf(string model)
    {
        if (new[] { Source.File, Source.Blob, Source.Hub }.Any(prefix => model.StartsWith(prefix, StringComparison.Ordinal))) return model;
        return Directory.Exists(model) ? Source.File + Path.GetFullPath(model) : throw new UserErrorException(
            $"There is no folder {Path.GetFullPath(model)}. Correct its path; a repository of the Hugging Face hub is written \"{Source.Hub}owner/name\".");
    }
}
