using System.Globalization;
using Azure.Identity;
using Azure.Storage.Blobs;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Serving;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Hosting;

/// <summary>The product's services, registered alike by the Functions worker and by the local host.</summary>
public static class RlhfServices
{
    private const double GiB = 1L << 30;

    /// <summary>
    /// Settings: <c>AzureWebJobsStorage</c> (connection string), or by identity <c>AzureWebJobsStorage__accountName</c> or
    /// <c>AzureWebJobsStorage__blobServiceUri</c>, and of a user-assigned one <c>AzureWebJobsStorage__clientId</c>;
    /// <c>RlhfFileRoot</c>, where relative file: sources start, and <c>RlhfFileRoots</c>, further folders that may be read (default: of
    /// the app's folder only samples/, which is how it is in Azure); <c>RlhfLimits__…</c>, see <see cref="Limits"/>; <c>RlhfCache</c>, where downloaded
    /// models are kept (default: the system's temporary folder); <c>RlhfServingDevice</c>, where POST /api/generate computes
    /// (default: where the run did); <c>RlhfComputeDevices</c>, what runs can compute on where other machines compute than answer;
    /// <c>RlhfPricePerHour</c>, what an hour of a computing replica costs, such as "0.90 EUR" (default: costs are told in seconds only);
    /// <c>RlhfModelMemoryGiB</c> and <c>RlhfModelIdleMinutes</c>, how much of models may lie in memory
    /// before idle ones go (default: half of the memory) and how long one may be idle (default: 30); <c>RlhfSweepAfterDays</c>, how
    /// old what killed attempts and abandoned imports left must be to be deleted (default: 7); <c>RlhfVotesKeptDays</c>, how long after its last
    /// vote a campaign is kept (default: until it is deleted); <c>HF_ENDPOINT</c> and <c>HF_TOKEN</c>, the hub that hf: sources are on (default:
    /// huggingface.co) and the token to read private and gated ones; <c>RlhfRewardHosts</c>, the hosts that http reward terms may call;
    /// <c>RlhfWebhookHosts</c>, those that may be told of a run's end, and <c>RlhfWebhookSecret</c>, what that is signed with.
    /// </summary>
    public static IServiceCollection AddRlhf(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddLogging();
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton(_ => ReadLimits(configuration));
        services.AddSingleton(_ => OpenStorage(configuration));
        services.AddSingleton(new ReadableFolders(configuration["RlhfFileRoot"], configuration["RlhfFileRoots"]));
        services.AddSingleton(new ModelCacheFolder(configuration["RlhfCache"] ?? Path.Combine(Path.GetTempPath(), "rlhf-models")));
        services.AddSingleton(new ServingDevice(configuration["RlhfServingDevice"]));
        services.AddSingleton(new PriceSetting(Price.Parse(configuration[Price.Setting])));
        services.AddSingleton(_ => HubSettings.Read(configuration));
        services.AddSingleton<HubConnection>();
        services.AddSingleton<HubClient>();
        services.AddSingleton<BlobFiles>();
        services.AddSingleton<ArtifactStore>();
        services.AddSingleton<Readiness>();
        services.AddSingleton(new SweepAge(TimeSpan.FromDays(Number(configuration, "RlhfSweepAfterDays", 7))));
        services.AddSingleton<StorageSweep>();
        services.AddSingleton<RunRequests>();
        services.AddSingleton<SourceFiles>();
        services.AddSingleton<Checkpoints>();
        services.AddSingleton<ModelFolders>();
        services.AddSingleton<ModelImports>();
        services.AddSingleton<ModelUploads>();
        services.AddSingleton<Datasets>();
        services.AddSingleton<StepSamples>();
        services.AddSingleton<StepMetrics>();
        services.AddSingleton<RunEvents>();
        services.AddSingleton<RunCancellation>();
        services.AddSingleton<RunRecords>();
        services.AddSingleton(new WebhookSecret(configuration[WebhookSecret.Setting]));
        services.AddSingleton(provider => ActivatorUtilities.CreateInstance<RunNotices>(provider, configuration));
        services.AddSingleton<RunEstimates>();
        services.AddSingleton<RunControl>();
        services.AddSingleton(new ComputeDevices(configuration["RlhfComputeDevices"]));
        services.AddSingleton<RequestChecks>();
        services.AddSingleton<RunRetention>();
        services.AddSingleton(new ComputeGate(Environment.ProcessorCount));
        services.AddSingleton(new IdleLimits(
            (long)(Number(configuration, "RlhfModelMemoryGiB", GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2.0 / GiB) * GiB),
            TimeSpan.FromMinutes(Number(configuration, "RlhfModelIdleMinutes", 30))));
        services.AddSingleton<LoadedModels>();
        services.AddSingleton<PolicyPool>();
        services.AddSingleton(_ => new RewardServices(configuration));
        services.AddSingleton<Classifiers>();
        services.AddSingleton<PolicyMeasuring>();
        services.AddSingleton<StepUpdates>();
        services.AddSingleton<PublishedAdapters>();
        services.AddSingleton<ServedPolicies>();
        services.AddSingleton<TextWriting>();
        services.AddSingleton<CampaignRecords>();
        services.AddSingleton<CampaignVotes>();
        services.AddSingleton<CampaignPreferences>();
        services.AddSingleton(new VoteAge(configuration["RlhfVotesKeptDays"] is { Length: > 0 } ? TimeSpan.FromDays(Number(configuration, "RlhfVotesKeptDays", 365)) : null));
        services.AddSingleton<VoteRetention>();
        services.AddSingleton<HumanJudgement>();
        services.AddSingleton<PolicyHistories>();
        services.AddSingleton<RewardRecords>();
        return services;
    }

    private static Limits ReadLimits(IConfiguration configuration)
    {
        var limits = configuration.GetSection("RlhfLimits").Get<Limits>() ?? new Limits();
        return RequestValidation.Check(limits).FirstOrDefault() is ({ } name, var problems)
            ? throw new InvalidInputException($"The setting RlhfLimits__{name} {problems[0]}")
            : limits;
    }

    private static double Number(IConfiguration configuration, string setting, double otherwise)
    {
        if (configuration[setting] is not { Length: > 0 } text) return otherwise;
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && number > 0 && number <= 1e6
            ? number
            : throw new InvalidInputException($"The setting {setting} is \"{text}\": give a number above 0, such as {otherwise.ToString("0.##", CultureInfo.InvariantCulture)}.");
    }

    private static BlobServiceClient OpenStorage(IConfiguration configuration)
    {
        if (configuration["AzureWebJobsStorage"] is { Length: > 0 } connection) return new BlobServiceClient(connection);
        if (BlobServiceAddress(configuration) is { } address)
        {
            return new BlobServiceClient(new Uri(address), new DefaultAzureCredential(new DefaultAzureCredentialOptions
            {
                ManagedIdentityClientId = configuration["AzureWebJobsStorage:clientId"],
            }));
        }

        throw new InvalidInputException("No storage account is configured: set AzureWebJobsStorage to a connection string "
            + "(UseDevelopmentStorage=true for Azurite) or AzureWebJobsStorage__accountName to an account's name.");
    }

    /// <summary>As the Functions host reads it: an account's name is one of the public cloud's.</summary>
    private static string? BlobServiceAddress(IConfiguration configuration)
    {
        if (configuration["AzureWebJobsStorage:blobServiceUri"] is { Length: > 0 } address) return address;
        return configuration["AzureWebJobsStorage:accountName"] is { Length: > 0 } name ? $"https://{name}.blob.core.windows.net" : null;
    }
}
