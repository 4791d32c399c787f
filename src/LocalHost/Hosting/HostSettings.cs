using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Configuration;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>What lies beside a built app and is read as the core tools read it.</summary>
internal static class HostSettings
{
    /// <summary>The section that the WebJobs SDK reads host.json's settings from; environment variables that start with it override them.</summary>
    private const string JobHost = "AzureFunctionsJobHost";

    /// <summary>The app's settings: the <c>Values</c> of local.settings.json, unless the environment has others.</summary>
    /// <exception cref="UserErrorException">The file cannot be read.</exception>
    public static Dictionary<string, string> ReadLocalSettings(string appFolder)
    {
        string path = Path.Combine(appFolder, "local.settings.json");
        if (!File.Exists(path)) return [];
        try
        {
            using var file = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            if (file.RootElement.TryGetProperty("IsEncrypted", out var encrypted) && encrypted.GetBoolean())
                throw new UserErrorException($"{path} is encrypted, which only the core tools can read: decrypt it with 'func settings decrypt'.");
            var values = file.RootElement.TryGetProperty("Values", out var found) ? found.EnumerateObject() : default;
            return values.Where(value => Environment.GetEnvironmentVariable(value.Name) is null)
                .ToDictionary(value => value.Name, value => value.Value.ToString());
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or IOException)
        {
            throw new UserErrorException($"{path} cannot be read: {e.Message} Compare it with local.settings.sample.json.");
        }
    }

    /// <summary>host.json, as the WebJobs SDK reads it.</summary>
    /// <exception cref="UserErrorException">There is no such file, or it is not JSON.</exception>
    public static Dictionary<string, string?> ReadHostJson(string appFolder)
    {
        try
        {
            var file = new ConfigurationBuilder().AddJsonFile(Path.Combine(Path.GetFullPath(appFolder), "host.json")).Build();
            var settings = file.AsEnumerable().Where(setting => setting.Value is not null).ToDictionary(setting => $"{JobHost}:{setting.Key}", setting => setting.Value);
            settings["AzureWebJobsConfigurationSection"] = JobHost;
            return settings;
        }
        catch (Exception e) when (e is IOException or InvalidDataException)
        {
            throw new UserErrorException($"{e.Message} It belongs beside the app: build src/Functions again.");
        }
    }

    /// <summary>The name and the number of partitions of the app's task hub.</summary>
    public static (string Name, int Partitions) ReadTaskHub(string appFolder)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(ReadHostJson(appFolder)).AddEnvironmentVariables().Build();
        string name = configuration.HostJson("extensions:durableTask:hubName") ?? "TestHubName"; // the extension's own defaults
        return (name, int.Parse(configuration.HostJson("extensions:durableTask:storageProvider:partitionCount") ?? "4", CultureInfo.InvariantCulture));
    }

    /// <summary>A setting of host.json, or null.</summary>
    public static string? HostJson(this IConfiguration configuration, string key)
    {
        return configuration[$"{JobHost}:{key}"];
    }
}
