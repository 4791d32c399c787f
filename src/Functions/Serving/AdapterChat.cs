using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Serving;

/// <summary>A policy as a partner in conversation.</summary>
/// <param name="served">Writes its part.</param>
/// <param name="model">What it is called.</param>
/// <param name="writing">Lets it write.</param>
public sealed class AdapterChat(ServedPolicy served, string model, TextWriting writing) : IChatClient
{
    public async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        return await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var request = new GenerateRequest
        {
            Seed = options?.Seed ?? 0,
            MaxNewTokens = options?.MaxOutputTokens,
            Temperature = options?.Temperature,
        };
        Ml.Text.ChatMessage[] turns = [.. messages.Select(message => new Ml.Text.ChatMessage(message.Role.Value, message.Text))];
        int promptTokens = 0;
        var pieces = writing.StreamAsync(
            served,
            request,
            loaded =>
            {
                int[] prompt = loaded.EncodeChat(turns);
                promptTokens = prompt.Length;
                return [prompt];
            },
            cancellationToken);
        string id = $"chatcmpl-{Guid.NewGuid():n}";
        await foreach (var piece in pieces)
        {
            var update = new ChatResponseUpdate(ChatRole.Assistant, piece.Text) { ResponseId = id, MessageId = id, ModelId = model };
            if (piece.Whole is { } whole)
            {
                update.FinishReason = whole.EndedByEos ? ChatFinishReason.Stop : ChatFinishReason.Length;
                update.Contents.Add(new UsageContent(new UsageDetails
                {
                    InputTokenCount = promptTokens,
                    OutputTokenCount = whole.Tokens,
                    TotalTokenCount = promptTokens + whole.Tokens,
                }));
            }

            yield return update;
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        return serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;
    }

    public void Dispose()
    {
        // It owns nothing.
    }
}
