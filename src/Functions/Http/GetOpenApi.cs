using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Http;

/// <summary>GET /api/openapi.json: every address, made from the functions themselves; what they read and answer, from the types of our JSON.</summary>
public static partial class GetOpenApi
{
    /// <summary>What each function does, the type of its body and of its answer where they are of our JSON, and its usual status.</summary>
    private static readonly Dictionary<string, Operation> Operations = new()
    {
        [FunctionNames.StartRun] = new("Starts a run, or with validate=true tells what it would take.", typeof(RunRequest), Status: 202, Query: ["validate"]),
        [FunctionNames.ListRuns] = new("Lists runs, the newest first.", Answer: typeof(RunListItem[]), Query: ["limit", "after", "status", "tag"]),
        [FunctionNames.GetRun] = new("Tells how a run fares.", Answer: typeof(RunView)),
        [FunctionNames.DeleteRun] = new("Cancels a run and deletes all there is of it.", Status: 204),
        [FunctionNames.SuspendRun] = new("Lets a run pause.", Status: 202, Query: ["reason"]),
        [FunctionNames.ResumeRun] = new("Lets a run go on, also one that failed or was cancelled.", Status: 202, Query: ["reason"]),
        [FunctionNames.CancelRun] = new("Ends a run.", Status: 202, Query: ["reason"]),
        [FunctionNames.ListEvents] = new("Tells what happened to a run.", Answer: typeof(RunEvent[])),
        [FunctionNames.ListCheckpoints] = new("Lists the states of a run that are kept.", Answer: typeof(RunCheckpoint[])),
        [FunctionNames.GetMetrics] = new("Tells the metrics of each step.", Query: ["from", "limit"]),
        [FunctionNames.GetReport] = new("Shows a run as a page."),
        [FunctionNames.GetFile] = new("Gives a file that a finished run has published."),
        [FunctionNames.RunsPage] = new("Shows the list of runs as a page."),
        [FunctionNames.ComparePage] = new("Shows up to six runs beside each other.", Query: ["run"]),
        [FunctionNames.HistoryPage] = new("Shows what led to a run's policy, and what it led to.", Query: ["run"]),
        [FunctionNames.Generate] = new("Continues prompts or dialogues.", typeof(GenerateRequest), typeof(GenerateAnswer)),
        [FunctionNames.Score] = new("Lets a run's reward judge texts.", typeof(ScoreRequest), typeof(ScoreAnswer)),
        [FunctionNames.ChatCompletions] = new("Goes on with a conversation, as OpenAI's API does."),
        [FunctionNames.ListChatModels] = new("Lists what can be chatted with, as OpenAI's API does."),
        [FunctionNames.ListAdapters] = new("Lists the adapters of finished runs.", Answer: typeof(AdapterList)),
        [FunctionNames.PromoteAdapter] = new("Lets the adapter of a run serve.", Query: ["campaign"]),
        [FunctionNames.RollBackAdapter] = new("Lets the adapter serve that served well before.", Query: ["reason"]),
        [FunctionNames.PutDialogues] = new("Uploads a file of dialogues.", Status: 201),
        [FunctionNames.ListModels] = new("Lists the models in storage, and what is still missing of those that are being uploaded.", Answer: typeof(ModelListItem[])),
        [FunctionNames.PutModelFile] = new("Uploads a file of a model.", Answer: typeof(ModelListFile), Status: 201),
        [FunctionNames.CompleteModel] = new("Makes a model of the files that were uploaded.", Status: 201),
        [FunctionNames.StartCampaign] = new("Begins to have people judge pairs of responses.", Status: 202),
        [FunctionNames.GetCampaign] = new("Tells how a campaign fares."),
        [FunctionNames.GetCampaignPage] = new("Shows the page on which people vote.", Query: ["annotator"]),
        [FunctionNames.GetNextPairs] = new("Gives an annotator pairs to judge.", Query: ["annotator", "count"]),
        [FunctionNames.AddVotes] = new("Keeps votes."),
        [FunctionNames.DeleteVotes] = new("Deletes all that an annotator said.", Status: 204),
        [FunctionNames.ExportVotes] = new("Gives the votes for learning.", Query: ["format"]),
        [FunctionNames.GetVoteStatistics] = new("Tells how far annotators agree.", Query: ["format"]),
        [FunctionNames.StartReward] = new("Trains a reward model from votes.", Status: 202),
        [FunctionNames.GetReward] = new("Tells how a reward model fares."),
        [FunctionNames.GetRewardReport] = new("Shows a reward model as a page."),
        [FunctionNames.GetHealth] = new("Tells that the app answers."),
        [FunctionNames.GetReady] = new("Tells whether what the app needs answers too."),
        [FunctionNames.GetVersion] = new("Tells what is running."),
        [FunctionNames.GetOpenApi] = new("Gives this description."),
    };

    private static readonly string Document = Describe().ToJsonString(ContractsJson.Indented);

    [Function(FunctionNames.GetOpenApi)]
    public static IActionResult Run([HttpTrigger(AuthorizationLevel.Function, "get", Route = "openapi.json")] HttpRequest http)
    {
        return new ContentResult { StatusCode = 200, ContentType = "application/json", Content = Document };
    }

    private static JsonObject Describe()
    {
        var (paths, schemas) = (new JsonObject(), new JsonObject());
        foreach (var (name, trigger) in Functions())
        {
            string address = "/api/" + CatchAll().Replace(trigger.Route!, "{");
            if (paths[address] is not JsonObject path) paths[address] = path = [];
            foreach (string method in trigger.Methods!) path[method] = Describe(name, trigger, Operations[name], schemas);
        }

        return new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject { ["title"] = "RlhfFunctions", ["version"] = "1" },
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["schemas"] = schemas,
                ["securitySchemes"] = new JsonObject { ["key"] = new JsonObject { ["type"] = "apiKey", ["in"] = "header", ["name"] = "x-functions-key" } },
            },
        };
    }

    private static JsonObject Describe(string name, HttpTriggerAttribute trigger, Operation operation, JsonObject schemas)
    {
        var inPath = PathPart().Matches(trigger.Route!).Select(part => (JsonNode)Parameter(part.Groups[1].Value, "path"));
        var inQuery = (operation.Query ?? []).Select(query => (JsonNode)Parameter(query, "query"));
        var usual = new JsonObject { ["description"] = operation.Summary };
        if (operation.Answer is { } answer) usual["content"] = Json("application/json", answer, schemas);
        var described = new JsonObject
        {
            ["operationId"] = name,
            ["summary"] = operation.Summary,
            ["parameters"] = new JsonArray([.. inPath, .. inQuery]),
            ["responses"] = new JsonObject
            {
                [$"{operation.Status}"] = usual,
                ["default"] = new JsonObject { ["description"] = "What was wrong.", ["content"] = Json("application/problem+json", typeof(Problem), schemas) },
            },
        };
        if (operation.Body is { } body) described["requestBody"] = new JsonObject { ["required"] = true, ["content"] = Json("application/json", body, schemas) };
        if (trigger.AuthLevel != AuthorizationLevel.Anonymous) described["security"] = new JsonArray(new JsonObject { ["key"] = new JsonArray() });
        return described;
    }

    private static IEnumerable<(string Name, HttpTriggerAttribute Trigger)> Functions()
    {
        return from method in typeof(GetOpenApi).Assembly.GetExportedTypes().SelectMany(type => type.GetMethods())
               let name = method.GetCustomAttribute<FunctionAttribute>()?.Name
               from parameter in method.GetParameters()
               let trigger = parameter.GetCustomAttribute<HttpTriggerAttribute>()
               where name is not null and not FunctionNames.NoSuchAddress && trigger is not null
               orderby trigger.Route, name
               select (name, trigger);
    }

    private static JsonObject Parameter(string name, string place)
    {
        return new JsonObject { ["name"] = name, ["in"] = place, ["required"] = place == "path", ["schema"] = new JsonObject { ["type"] = "string" } };
    }

    private static JsonObject Json(string contentType, Type type, JsonObject schemas)
    {
        var element = type.IsArray ? type.GetElementType()! : type;
        string place = $"#/components/schemas/{element.Name}";
        if (!schemas.ContainsKey(element.Name)) // what occurs twice in a type is told once, and referred to from the type's own root
            schemas[element.Name] = JsonNode.Parse(ContractsJson.Options.GetJsonSchemaAsNode(element).ToJsonString().Replace("\"$ref\":\"#", $"\"$ref\":\"{place}", StringComparison.Ordinal));
        var schema = new JsonObject { ["$ref"] = place };
        return new JsonObject { [contentType] = new JsonObject { ["schema"] = type.IsArray ? new JsonObject { ["type"] = "array", ["items"] = schema } : schema } };
    }

    [GeneratedRegex(@"\{\*")]
    private static partial Regex CatchAll();

    [GeneratedRegex(@"\{\*?(\w+)\}")]
    private static partial Regex PathPart();

    private sealed record Operation(string Summary, Type? Body = null, Type? Answer = null, int Status = 200, string[]? Query = null);
}
