using Azure.Identity;
using Azure.Storage.Blobs;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Activities;
using RlhfFunctions.Loading;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Hosting;

/// <summary>The product's services, registered alike by the Functions worker and by the local host.</summary>
public static class RlhfServices
{
    /// <summary>
    /// Settings: <c>AzureWebJobsStorage</c> (connection string) or <c>AzureWebJobsStorage__blobServiceUri</c> (managed
    /// identity); <c>RlhfFileRoot</c>, where relative file: sources start (default: the app's folder); <c>RlhfCache</c>,
    /// where downloaded models are kept (default: the system's temporary folder).
    /// </summary>
    public static IServiceCollection AddRlhf(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton(_ => OpenStorage(configuration));
        services.AddSingleton(new FileRoot(configuration["RlhfFileRoot"] ?? AppContext.BaseDirectory));
        services.AddSingleton(new ModelCacheFolder(configuration["RlhfCache"] ?? Path.Combine(Path.GetTempPath(), "rlhf-models")));
        services.AddSingleton<BlobFiles>();
        services.AddSingleton<ArtifactStore>();
        services.AddSingleton<RunRequests>();
        services.AddSingleton<SourceFiles>();
        services.AddSingleton<Checkpoints>();
        services.AddSingleton<ModelFolders>();
        services.AddSingleton<Datasets>();
        services.AddSingleton<StepMetrics>();
        services.AddSingleton<PolicyPool>();
        services.AddSingleton<Classifiers>();
        services.AddSingleton<PolicyMeasuring>();
        return services;
    }

    private static BlobServiceClient OpenStorage(IConfiguration configuration)
    {
        if (configuration["AzureWebJobsStorage"] is { Length: > 0 } connection) return new BlobServiceClient(connection);
        if (configuration["AzureWebJobsStorage:blobServiceUri"] is { Length: > 0 } uri)
        {
            return new BlobServiceClient(new Uri(uri), new DefaultAzureCredential(new DefaultAzureCredentialOptions
            {
                ManagedIdentityClientId = configuration["AzureWebJobsStorage:clientId"],
            }));
        }

        throw new InvalidInputException("No storage account is configured: set AzureWebJobsStorage to a connection string "
            + "(UseDevelopmentStorage=true for Azurite) or AzureWebJobsStorage__blobServiceUri to a Blob service address.");
    }
}
