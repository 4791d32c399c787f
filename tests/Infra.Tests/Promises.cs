using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Infra.Tests;

/// <summary>What a deployment must keep, each as a check of its own: <see cref="PromiseTests"/> sees that ours does, and that each notices a breach.</summary>
internal static partial class Promises
{
    private const string BlobOwner = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b";
    private const string QueueContributor = "974c5e8b-45b9-4653-ba55-5f855dd0fb88";
    private const string TableContributor = "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3";
    private const string MetricsPublisher = "3913510d-42f4-4e42-8a64-420c390055eb";
    private const string AcrPull = "7f951dda-4ed3-4680-a7ca-43fe172d538d";

    public static IReadOnlyDictionary<string, Action<Deployment>> All { get; } = new Action<Deployment>[]
    {
        Keys_open_nothing, Nothing_is_secret, Storage_is_private, Every_connection_is_by_identity, Roles_are_what_settings_need,
        Only_gpu_has_a_gpu, Gpu_scales_to_zero_by_the_hubs_queues, Api_is_always_there, Gpu_takes_one_activity_at_a_time,
        Rollouts_age_out, Everything_is_described_and_bounded, The_owners_hear_of_the_cost, Apps_are_probed, Azd_finds_what_it_needs,
    }.ToDictionary(promise => promise.Method.Name);

    private static void Keys_open_nothing(Deployment deployment)
    {
        Assert.False((bool)deployment.Storage["properties"]!["allowSharedKeyAccess"]!);
        Assert.False((bool)deployment.Registry["properties"]!["adminUserEnabled"]!);
        Assert.False((bool)deployment.Registry["properties"]!["anonymousPullEnabled"]!);
        Assert.True((bool)deployment.Insights["properties"]!["DisableLocalAuth"]!);
        Assert.True((bool)deployment.Single("Microsoft.OperationalInsights/workspaces")["properties"]!["features"]!["disableLocalAuth"]!);
    }

    private static void Nothing_is_secret(Deployment deployment)
    {
        Assert.DoesNotMatch(SecretWord(), deployment.Text);
        foreach (var app in deployment.Apps)
        {
            Assert.Null(app["properties"]!["configuration"]!["secrets"]);
            // Application Insights calls its address so; Keys_open_nothing sees that it opens nothing.
            var named = Deployment.SettingsOf(app).Keys.Where(name => SecretName().IsMatch(name));
            Assert.Equal(["APPLICATIONINSIGHTS_CONNECTION_STRING"], named);
            Assert.All(Container(app)["env"]!.AsArray(), setting => Assert.Null(setting!["secretRef"]));
        }
    }

    private static void Storage_is_private(Deployment deployment)
    {
        var account = deployment.Storage["properties"]!;
        Assert.False((bool)account["allowBlobPublicAccess"]!);
        Assert.False((bool)account["allowCrossTenantReplication"]!);
        Assert.True((bool)account["supportsHttpsTrafficOnly"]!);
        Assert.Equal("TLS1_2", (string)account["minimumTlsVersion"]!);
        var blobs = deployment.Single("Microsoft.Storage/storageAccounts/blobServices")["properties"]!;
        Assert.True((bool)blobs["deleteRetentionPolicy"]!["enabled"]!);
        Assert.True((bool)blobs["containerDeleteRetentionPolicy"]!["enabled"]!);

        var containers = deployment.Of("Microsoft.Storage/storageAccounts/blobServices/containers");
        Assert.All(containers, container => Assert.Equal("None", (string)container["properties"]!["publicAccess"]!));
        string[] ours = [BlobPaths.Models, BlobPaths.Runs, BlobPaths.Adapters, BlobPaths.Dialogues, BlobPaths.Summaries, BlobPaths.Evaluations, BlobPaths.Campaigns, BlobPaths.Rewards];
        Assert.Equal(ours.Order(), containers.Select(LastName).Order());
    }

    private static void Every_connection_is_by_identity(Deployment deployment)
    {
        foreach (var app in deployment.Apps)
        {
            Assert.Equal("UserAssigned", (string)app["identity"]!["type"]!);
            string identity = Assert.Single(app["identity"]!["userAssignedIdentities"]!.AsObject()).Key;
            Assert.Matches(IdentityReference(), identity);
            Assert.Matches(IdentityReference(), (string)Assert.Single(app["properties"]!["configuration"]!["registries"]!.AsArray())!["identity"]!);
            Assert.All(Rules(app), rule => Assert.Matches(IdentityReference(), (string)rule["custom"]!["identity"]!));
            Assert.All(Rules(app), rule => Assert.Null(rule["custom"]!["auth"]));

            var settings = Deployment.SettingsOf(app);
            Assert.Equal((string)deployment.Storage["name"]!, settings["AzureWebJobsStorage__accountName"]);
            Assert.Equal("managedidentity", settings["AzureWebJobsStorage__credential"]);
            Assert.EndsWith("outputs.clientId.value]", settings["AzureWebJobsStorage__clientId"], StringComparison.Ordinal);
            Assert.DoesNotContain("AzureWebJobsStorage", settings.Keys);
            Assert.Matches(@"^\[format\('ClientId=\{0\};Authorization=AAD', .*outputs\.clientId\.value\)\]$",
                settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]);
        }
    }

    /// <summary>A role for whatever a setting connects to, and none beyond.</summary>
    private static void Roles_are_what_settings_need(Deployment deployment)
    {
        string storage = Deployment.Id(deployment.Storage);
        var blobLogging = deployment.Single("Microsoft.Authorization/roleDefinitions");
        string[] actions = [.. Assert.Single(blobLogging["properties"]!["permissions"]!.AsArray())!["actions"]!.AsArray()
            .Select(action => (string)action!)];
        Assert.Equal(["Microsoft.Storage/storageAccounts/blobServices/read", "Microsoft.Storage/storageAccounts/blobServices/write"], actions);

        var needed = new HashSet<(string Scope, string Role)>();
        foreach (var app in deployment.Apps)
        {
            var settings = Deployment.SettingsOf(app);
            if (settings.ContainsKey("AzureWebJobsStorage__accountName"))
            {
                needed.UnionWith([(storage, BlobOwner), (storage, QueueContributor), (storage, TableContributor), (storage, LastName(blobLogging))]);
            }

            if (settings.ContainsKey("APPLICATIONINSIGHTS_AUTHENTICATION_STRING")) needed.Add((Deployment.Id(deployment.Insights), MetricsPublisher));
            if (app["properties"]!["configuration"]!["registries"] is not null) needed.Add((Deployment.Id(deployment.Registry), AcrPull));
            if (Rules(app).Any()) needed.Add((storage, QueueContributor));
        }

        var given = deployment.Of("Microsoft.Authorization/roleAssignments").Select(assignment => (
            Scope: Regex.Replace(Deployment.Id(assignment), "/providers/Microsoft.Authorization/.*$", ""),
            Role: ((string)assignment["properties"]!["roleDefinitionId"]!).Split('/')[^1])).ToList();
        Assert.Equal(needed.Order(), given.Order());
    }

    private static void Only_gpu_has_a_gpu(Deployment deployment)
    {
        var profiles = deployment.Single("Microsoft.App/managedEnvironments")["properties"]!["workloadProfiles"]!.AsArray()
            .ToDictionary(profile => (string)profile!["name"]!, profile => (string)profile!["workloadProfileType"]!);
        Assert.Equal("Consumption", profiles[(string)deployment.Api["properties"]!["workloadProfileName"]!]);
        Assert.Equal("cpu", Deployment.SettingsOf(deployment.Api)["RlhfServingDevice"]);
        Assert.DoesNotContain("RlhfServingDevice", Deployment.SettingsOf(deployment.Gpu).Keys);
        // api refuses what gpu cannot compute on, and neither reads files but its own samples.
        Assert.Equal("cpu,cuda", Deployment.SettingsOf(deployment.Api)["RlhfComputeDevices"]);
        foreach (var app in new[] { deployment.Api, deployment.Gpu })
            Assert.DoesNotContain(Deployment.SettingsOf(app).Keys, name => name.StartsWith("RlhfFileRoot", StringComparison.Ordinal));
        string type = profiles[(string)deployment.Gpu["properties"]!["workloadProfileName"]!];
        var resources = Container(deployment.Gpu)["resources"]!;
        var whole = new Dictionary<string, (double, string)>
        {
            ["Consumption-GPU-NC8as-T4"] = (8, "56Gi"),
            ["Consumption-GPU-NC24-A100"] = (24, "220Gi"),
        };
        Assert.Equal(whole[type], ((double)resources["cpu"]!, (string)resources["memory"]!));
    }

    private static void Gpu_scales_to_zero_by_the_hubs_queues(Deployment deployment)
    {
        var host = JsonNode.Parse(Repository.Read("host.json"))!["extensions"]!["durableTask"]!;
        string hub = (string)host["hubName"]!;
        Assert.Matches("^[A-Za-z][A-Za-z0-9]{2,44}$", hub);
        // As DurableTask.AzureStorage names them.
        string workItems = $"{hub.ToLowerInvariant()}-workitems";
        string[] control = [.. Enumerable.Range(0, (int)host["storageProvider"]!["partitionCount"]!)
            .Select(i => $"{hub.ToLowerInvariant()}-control-{i:00}")];

        var scale = deployment.Gpu["properties"]!["template"]!["scale"]!;
        Assert.Equal(0, (int)scale["minReplicas"]!);
        Assert.InRange((int)scale["maxReplicas"]!, 1, 1000);
        Assert.Equal([workItems, .. control], Rules(deployment.Gpu).Select(rule => (string)rule["custom"]!["metadata"]!["queueName"]!));
        Assert.Equal([workItems, .. control], deployment.Of("Microsoft.Storage/storageAccounts/queueServices/queues").Select(LastName));
        Assert.All(Rules(deployment.Gpu), rule =>
        {
            var metadata = rule["custom"]!["metadata"]!;
            Assert.Equal("azure-queue", (string)rule["custom"]!["type"]!);
            Assert.Equal((string)deployment.Storage["name"]!, (string)metadata["accountName"]!);
            Assert.Equal("all", (string)metadata["queueLengthStrategy"]!);
        });
        Assert.Equal("1", (string)Rules(deployment.Gpu).First()["custom"]!["metadata"]!["queueLength"]!);
        Assert.Null(deployment.Gpu["properties"]!["configuration"]!["ingress"]);
        Assert.Null(deployment.Gpu["kind"]);
        Assert.Equal(600, (int)deployment.Gpu["properties"]!["template"]!["terminationGracePeriodSeconds"]!);
    }

    private static void Api_is_always_there(Deployment deployment)
    {
        Assert.Equal("functionapp", (string)deployment.Api["kind"]!);
        Assert.Equal(1, (int)deployment.Api["properties"]!["template"]!["scale"]!["minReplicas"]!);
        Assert.Empty(Rules(deployment.Api));
        var ingress = deployment.Api["properties"]!["configuration"]!["ingress"]!;
        Assert.True((bool)ingress["external"]!);
        Assert.False((bool)ingress["allowInsecure"]!);
        // Replicas of an app share function keys only where these are blobs.
        Assert.Equal("blob", Deployment.SettingsOf(deployment.Api)["AzureWebJobsSecretStorageType"]);
    }

    private static void Gpu_takes_one_activity_at_a_time(Deployment deployment)
    {
        const string prefix = "AzureFunctionsJobHost__";
        foreach (var app in deployment.Apps)
        {
            // A setting that overrides host.json must name something that stands there.
            foreach (string name in Deployment.SettingsOf(app).Keys.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)))
            {
                var value = JsonNode.Parse(Repository.Read("host.json"));
                foreach (string part in name[prefix.Length..].Split("__")) value = value?[part];
                Assert.True(value is not null, $"{name} overrides nothing in host.json.");
            }
        }

        Assert.Equal("1", Deployment.SettingsOf(deployment.Gpu)[prefix + "extensions__durableTask__maxConcurrentActivityFunctions"]);
        string HostId(JsonNode app) => Deployment.SettingsOf(app)["AzureFunctionsWebHost__hostid"];
        Assert.NotEqual(HostId(deployment.Api), HostId(deployment.Gpu));
        Assert.All(deployment.Apps, app => Assert.Matches("^[a-z0-9][a-z0-9-]{0,31}$", HostId(app)));
    }

    private static void Rollouts_age_out(Deployment deployment)
    {
        var rule = Assert.Single(deployment.Single("Microsoft.Storage/storageAccounts/managementPolicies")["properties"]!["policy"]!["rules"]!.AsArray())!;
        Assert.True((bool)rule["enabled"]!);
        var definition = rule["definition"]!;
        Assert.Equal([$"{BlobPaths.Runs}/"], definition["filters"]!["prefixMatch"]!.AsArray().Select(prefix => (string)prefix!));
        var tag = Assert.Single(definition["filters"]!["blobIndexMatch"]!.AsArray())!;
        Assert.Equal(("kind", "==", "rollout"), ((string)tag["name"]!, (string)tag["op"]!, (string)tag["value"]!));
        Assert.Equal(30, (int)definition["actions"]!["baseBlob"]!["delete"]!["daysAfterModificationGreaterThan"]!);
    }

    private static void Everything_is_described_and_bounded(Deployment deployment)
    {
        foreach (var template in deployment.Templates)
        {
            Assert.NotEqual("", (string)template["metadata"]!["description"]!);
            foreach (var (name, value) in template["parameters"]?.AsObject() ?? [])
            {
                Assert.True(value!["metadata"]?["description"] is not null, $"The parameter {name} is not described.");
                Assert.DoesNotContain("secure", (string?)value["type"] ?? "", StringComparison.OrdinalIgnoreCase);
                bool isBounded = value["minValue"] is not null || value["allowedValues"] is not null;
                Assert.True((string?)value["type"] != "int" || isBounded, $"{name} has no least value.");
            }

            foreach (var (name, value) in template["outputs"]?.AsObject() ?? [])
                Assert.True(value!["metadata"]?["description"] is not null, $"The output {name} is not described.");
        }
    }

    private static void The_owners_hear_of_the_cost(Deployment deployment)
    {
        var budget = deployment.Single("Microsoft.Consumption/budgets")["properties"]!;
        Assert.Equal("Monthly", (string)budget["timeGrain"]!);
        var notifications = budget["notifications"]!.AsObject().Select(notification => notification.Value!).ToList();
        Assert.Equal([50, 90, 100], notifications.Select(notification => (int)notification["threshold"]!).Order());
        Assert.All(notifications, notification => Assert.Equal("Owner", (string)Assert.Single(notification["contactRoles"]!.AsArray())!));
        Assert.All(notifications, notification => Assert.True((bool)notification["enabled"]!));
    }

    private static void Apps_are_probed(Deployment deployment)
    {
        var probes = deployment.Templates.Select(template => template["variables"]?["probes"]).OfType<JsonArray>().ToList();
        int port = (int)deployment.Api["properties"]!["configuration"]!["ingress"]!["targetPort"]!;
        Assert.Contains($"ASPNETCORE_URLS=http://+:{port}", Repository.Read("Dockerfile"), StringComparison.Ordinal);
        Assert.Contains(probes, ofApi => ofApi.Select(probe => (string)probe!["type"]!).Order().SequenceEqual(["Liveness", "Readiness", "Startup"]));
        string variables = string.Concat(deployment.Templates.Select(template => template["variables"]?.ToJsonString()));
        Assert.Contains("\"health\":{\"path\":\"/api/health\"", variables, StringComparison.Ordinal);
        Assert.Contains("\"ready\":{\"path\":\"/api/ready\"", variables, StringComparison.Ordinal);
        // Where storage is away a replica gets no requests, and is not restarted for it.
        Assert.All(probes.SelectMany(ofApp => ofApp).OfType<JsonObject>(), probe =>
            Assert.Equal((string)probe["type"]! == "Readiness" ? "[variables('ready')]" : "[variables('health')]", (string)probe["httpGet"]!));
        Assert.Contains($"\"tcpSocket\":{{\"port\":{port}}}", variables, StringComparison.Ordinal);
        Assert.Equal(2, probes.Count);
    }

    private static void Azd_finds_what_it_needs(Deployment deployment)
    {
        Assert.Contains("AZURE_CONTAINER_REGISTRY_ENDPOINT", deployment.Outputs);
        Assert.Contains("AZURE_RESOURCE_GROUP", deployment.Outputs);
        Assert.Contains("SERVICE_API_URI", deployment.Outputs);
        string group = (string)deployment.Single("Microsoft.Resources/resourceGroups")["tags"]!["azd-env-name"]!;
        Assert.Equal("rlhf", group);
        Assert.All(deployment.Apps, app => Assert.Equal(
            (string)app["apiVersion"]!, AzdProject.Root.Map("services").Map((string)app["tags"]!["azd-service-name"]!).Text("apiVersion")));
        Assert.Equal(AzdProject.Services.Order(), deployment.Apps.Select(app => (string)app["tags"]!["azd-service-name"]!).Order());
    }

    private static JsonNode Container(JsonNode app)
    {
        return Deployment.Container(app);
    }

    private static IEnumerable<JsonNode> Rules(JsonNode app)
    {
        return app["properties"]!["template"]!["scale"]!["rules"]?.AsArray().Select(rule => rule!) ?? [];
    }

    private static string LastName(JsonNode resource)
    {
        return ((string)resource["name"]!).Split('/')[^1];
    }

    [GeneratedRegex("listKeys|listAccountSas|AccountKey=|SharedAccess|DefaultEndpointsProtocol|secureString|secureObject|password", RegexOptions.IgnoreCase)]
    private static partial Regex SecretWord();

    [GeneratedRegex("key|secret(?!StorageType)|token|password|connection_?string", RegexOptions.IgnoreCase)]
    private static partial Regex SecretName();

    [GeneratedRegex(@"format\('identity-\{0\}'.*outputs\.resourceId\.value\)?\]$")]
    private static partial Regex IdentityReference();
}
