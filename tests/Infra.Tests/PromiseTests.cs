namespace RlhfFunctions.Infra.Tests;

public sealed class PromiseTests(PromiseTests.Ours ours) : IClassFixture<PromiseTests.Ours>
{
    public static TheoryData<string> Names => [.. Promises.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Our_deployment_keeps_its_promise(string promise)
    {
        Promises.All[promise](ours.Deployment);
    }

    /// <summary>Every promise notices when a line of the templates breaks it.</summary>
    [Theory]
    [InlineData("Keys_open_nothing", "modules/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true")]
    [InlineData("Keys_open_nothing", "modules/monitoring.bicep", "DisableLocalAuth: true", "DisableLocalAuth: false")]
    [InlineData("Nothing_is_secret", "main.bicep", "param deployerId", "@secure()\nparam deployerId")]
    [InlineData("Nothing_is_secret", "main.bicep", "{ name: 'AzureWebJobsStorage__accountName'", "{ name: 'HF_TOKEN', value: 'x' }\n  { name: 'AzureWebJobsStorage__accountName'")]
    [InlineData("Storage_is_private", "modules/storage.bicep", "publicAccess: 'None'", "publicAccess: 'Blob'")]
    [InlineData("Storage_is_private", "main.bicep", "'models', 'runs'", "'models', 'run'")]
    [InlineData("Every_connection_is_by_identity", "modules/gpu.bicep", "              identity: identityResourceId\n", "")]
    [InlineData("Roles_are_what_settings_need", "modules/storage.bicep", "  'Storage Table Data Contributor': '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'\n", "")]
    [InlineData("Roles_are_what_settings_need", "modules/storage.bicep", "  'Storage Table Data", "  'Storage Account Contributor': '17d1049b-9a84-46fb-8f53-869881c3d3ab'\n  'Storage Table Data")]
    [InlineData("Only_gpu_has_a_gpu", "modules/api.bicep", "workloadProfileName: 'Consumption'", "workloadProfileName: 'gpu'")]
    [InlineData("Only_gpu_has_a_gpu", "main.bicep", "'RlhfServingDevice', value: 'cpu'", "'RlhfServingDevice', value: 'cuda'")]
    [InlineData("Gpu_scales_to_zero_by_the_hubs_queues", "main.bicep", "'${hub}-workitems'", "'${durable.hubName}-workitems'")]
    [InlineData("Gpu_scales_to_zero_by_the_hubs_queues", "modules/gpu.bicep", "minReplicas: 0", "minReplicas: 1")]
    [InlineData("Api_is_always_there", "modules/api.bicep", "minReplicas: 1", "minReplicas: 0")]
    [InlineData("Gpu_takes_one_activity_at_a_time", "main.bicep", "durableTask__maxConcurrentActivityFunctions", "durableTask__maxConcurrentActivities")]
    [InlineData("Rollouts_age_out", "modules/storage.bicep", "value: 'rollout'", "value: 'checkpoint'")]
    [InlineData("Everything_is_described_and_bounded", "main.bicep", "@description('Azure region. It must offer the GPU profile.')\n", "")]
    [InlineData("The_owners_hear_of_the_cost", "modules/budget.bicep", "percent: 90", "percent: 99")]
    [InlineData("Apps_are_probed", "modules/api.bicep", "/api/health", "/health")]
    [InlineData("Apps_are_probed", "modules/api.bicep", "type: 'Liveness', httpGet: health", "type: 'Liveness', httpGet: ready")]
    [InlineData("Storage_is_private", "main.bicep", ", 'rewards']", "]")]
    [InlineData("Azd_finds_what_it_needs", "modules/gpu.bicep", "'azd-service-name': 'gpu'", "'azd-service-name': 'worker'")]
    [InlineData("Azd_finds_what_it_needs", "modules/api.bicep", "resource app 'Microsoft.App/containerApps@2025-07-01'", "resource app 'Microsoft.App/containerApps@2026-01-01'")]
    public void A_breach_is_noticed(string promise, string file, string from, string to)
    {
        using var copy = new InfraCopy();
        copy.Replace(file, from, to);
        var deployment = new Deployment(copy.Folder);
        Assert.ThrowsAny<Exception>(() => Promises.All[promise](deployment));
    }

    [Fact]
    public void Every_promise_has_a_breach()
    {
        var breached = typeof(PromiseTests).GetMethod(nameof(A_breach_is_noticed))!.GetCustomAttributesData()
            .Where(attribute => attribute.AttributeType == typeof(InlineDataAttribute))
            .Select(attribute => (string)((IReadOnlyList<System.Reflection.CustomAttributeTypedArgument>)attribute.ConstructorArguments[0].Value!)[0].Value!);
        Assert.Equal(Promises.All.Keys.Order(), breached.Distinct().Order());
    }

    public sealed class Ours
    {
        private readonly Lazy<Deployment> _deployment = new(() => new Deployment(Repository.Path("infra", "bicep")));

        internal Deployment Deployment => _deployment.Value;
    }
}
