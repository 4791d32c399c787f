using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.AI;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Serving;

namespace RlhfFunctions.Http;

/// <summary>
/// The two addresses of OpenAI's API that its clients talk to; their base address is /api/v1. A model is <c>latest</c>, <c>base</c>, a
/// run, or <c>run@step</c>.
/// </summary>
public sealed class ChatCompletions(RunRecords runs, ServedPolicies policies, PublishedAdapters adapters, TextWriting writing, Limits limits, TimeProvider time)
{
    private const string Latest = "latest", Base = "base";

    /// <summary>As OpenAI spells it; what a client sends beyond what is known here is passed over.</summary>
    private static readonly JsonSerializerOptions Spelling = new(JsonSerializerDefaults.Web)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    [Function(FunctionNames.ListChatModels)]
    public async Task<IActionResult> List([HttpTrigger(AuthorizationLevel.Function, "get", Route = "v1/models")] HttpRequest http)
    {
        var list = await adapters.ListAsync(http.HttpContext.RequestAborted);
        IEnumerable<string> names = [Latest, Base, .. list.Adapters.Select(adapter => adapter.RunId)];
        return Answers.Json(new { Object = "list", Data = names.Select(name => new { Id = name, Object = "model", Created = 0, OwnedBy = "rlhf" }) }, Spelling);
    }

    [Function(FunctionNames.ChatCompletions)]
    public async Task<IActionResult> Run([HttpTrigger(AuthorizationLevel.Function, "post", Route = "v1/chat/completions")] HttpRequest http)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var request = await http.ReadAsync<ChatRequest>(limits, "The body is not a request for a chat completion.", "docs/api.md", Spelling);
        if (Check(request) is { Count: > 0 } errors) return Problem.Invalid("The request cannot be answered as it stands.", errors).ToResult();

        string model = request.Model ?? Latest;
        using var chat = new AdapterChat(await FindAsync(model, cancellation), model, writing);
        var messages = request.Messages!.Select(message => new ChatMessage(new ChatRole(message.Role!), message.Text)).ToList();
        var options = new ChatOptions { Temperature = request.Temperature, MaxOutputTokens = request.MaxCompletionTokens ?? request.MaxTokens, Seed = request.Seed };
        if (request.Stream) return await EventStream.OpenAsync(limits.InTurn(Chunks(chat, messages, options, request)), Spelling);

        var response = await limits.InTurnAsync(() => chat.GetResponseAsync(messages, options, cancellation));
        return Answers.Json(
            new
            {
                Id = response.ResponseId,
                Object = "chat.completion",
                Created = time.GetUtcNow().ToUnixTimeSeconds(),
                Model = model,
                Choices = new[] { new { Index = 0, Message = new { Role = "assistant", Content = response.Text }, FinishReason = response.FinishReason?.Value } },
                Usage = UsageOf(response.Usage),
            },
            Spelling);
    }

    private async IAsyncEnumerable<object> Chunks(
        AdapterChat chat, List<ChatMessage> messages, ChatOptions options, ChatRequest request, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        long created = time.GetUtcNow().ToUnixTimeSeconds();
        await foreach (var update in chat.GetStreamingResponseAsync(messages, options, cancellation))
        {
            var usage = update.Contents.OfType<UsageContent>().FirstOrDefault()?.Details;
            yield return Chunk(update, [new { Index = 0, Delta = new { Role = "assistant", Content = update.Text }, FinishReason = update.FinishReason?.Value }], null);
            if (usage is not null && request.StreamOptions?.IncludeUsage == true) yield return Chunk(update, [], UsageOf(usage));
        }

        object Chunk(ChatResponseUpdate update, object[] choices, object? usage)
        {
            return new { Id = update.ResponseId, Object = "chat.completion.chunk", Created = created, Model = update.ModelId, Choices = choices, Usage = usage };
        }
    }

    private static object? UsageOf(UsageDetails? usage)
    {
        return usage is null ? null : new { PromptTokens = usage.InputTokenCount, CompletionTokens = usage.OutputTokenCount, TotalTokens = usage.TotalTokenCount };
    }

    private async Task<ServedPolicy> FindAsync(string model, CancellationToken cancellation)
    {
        if (model == Latest) return await policies.LatestAsync(cancellation);
        if (model == Base) return await policies.LatestAsync(cancellation) with { Step = null };
        string[] parts = model.Split('@');
        int step = 0;
        if (parts.Length <= 2 && (parts.Length == 1 || int.TryParse(parts[1], out step)) && await runs.ExistsAsync(parts[0], cancellation))
            return await policies.GetAsync(parts[0], parts.Length == 1 ? null : step, cancellation);
        throw new ProblemException(new Problem(404, "no-such-model", "There is no such model.",
            $"\"{(model.Length <= 100 ? model : model[..100] + "…")}\" is none. GET /api/v1/models lists them: latest, base, a run's id, or one with @ and a step."));
    }

    private Dictionary<string, string[]> Check(ChatRequest request)
    {
        var errors = new Dictionary<string, string[]>();
        if (request.Messages is not { Count: > 0 } messages || messages.Count > limits.Prompts)
            errors["messages"] = [$"must hold 1 to {limits.Prompts} messages."];
        else if (messages.Any(message => message is not { Role: "system" or "developer" or "user" or "assistant", Text: not null }))
            errors["messages"] = ["must each have a role (system, user or assistant) and text as their content."];
        else if (messages.Sum(message => message.Text!.Length) > limits.PromptCharacters)
            errors["messages"] = [$"must not be longer than {limits.PromptCharacters} characters together."];
        if (request.N is not (null or 1)) errors["n"] = ["must be 1. POST /api/generate writes several samples."];
        if (request.Temperature is not (null or (>= 0 and <= 100))) errors["temperature"] = ["must be between 0 and 100."];
        if ((request.MaxCompletionTokens ?? request.MaxTokens) is not (null or (>= 1 and <= 100_000))) errors["max_completion_tokens"] = ["must be between 1 and 100000."];
        if (request.Seed < 0) errors["seed"] = ["must not be negative."];
        return errors;
    }

    /// <summary>What is read of a request.</summary>
    internal sealed record ChatRequest
    {
        public string? Model { get; init; }

        public IReadOnlyList<Turn>? Messages { get; init; }

        public bool Stream { get; init; }

        public Options? StreamOptions { get; init; }

        public float? Temperature { get; init; }

        public int? MaxTokens { get; init; }

        public int? MaxCompletionTokens { get; init; }

        public long? Seed { get; init; }

        public int? N { get; init; }
    }

    internal sealed record Options(bool IncludeUsage);

    internal sealed record Turn(string? Role, JsonElement Content)
    {
        /// <summary>A text, or parts that are all texts; null: neither.</summary>
        [JsonIgnore]
        public string? Text => Content.ValueKind switch
        {
            JsonValueKind.String => Content.GetString(),
            JsonValueKind.Array when Content.EnumerateArray().All(part => part.ValueKind == JsonValueKind.Object && part.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String) =>
                string.Concat(Content.EnumerateArray().Select(part => part.GetProperty("text").GetString())),
            _ => null,
        };
    }
}
