using System.Reflection;
using System.Text.Json;
using RlhfFunctions.LocalHost.Cli;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Worker;

/// <summary>A built or published function app: its folder, and the assembly that worker.config.json in it names.</summary>
internal sealed record AppFolder(string Path, string Assembly)
{
    /// <summary>The app of this repository, as it was built together with this program.</summary>
    public static string Default { get; } = System.IO.Path.GetFullPath(System.IO.Path.Combine(
        Repository.Root,
        typeof(AppFolder).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(metadata => metadata.Key == "FunctionsApp").Value!));

    /// <exception cref="UserErrorException">The folder holds no app.</exception>
    public static AppFolder Open(string folder)
    {
        string config = System.IO.Path.Combine(folder, "worker.config.json");
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(config));
            string assembly = json.RootElement.GetProperty("description").GetProperty("defaultWorkerPath").GetString()!;
            return new AppFolder(folder, System.IO.Path.Combine(folder, assembly));
        }
        catch (Exception e) when (e is IOException or JsonException or KeyNotFoundException)
        {
            throw new UserErrorException($"{folder} holds no built function app: {config} cannot be read. Build it with 'dotnet build src/Functions', "
                + "or name the folder of a published one with --app.");
        }
    }
}
