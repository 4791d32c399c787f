using System.Text.Json;
using System.Text.Json.Serialization;

namespace RlhfFunctions.Samples.Make.Dialogues;

/// <summary>
/// One everyday topic: A wants something, B asks, A explains, B agrees or declines. <see cref="Told"/>, <see cref="Agreed"/>
/// and <see cref="Declined"/> are the clauses a summary is made of; every one of them begins with its speaker, {A} or {B}.
/// </summary>
public sealed record Topic
{
    public required string Name { get; init; }
    public required IReadOnlyDictionary<string, IReadOnlyList<SlotValue>> Slots { get; init; }
    public required IReadOnlyList<string> Open { get; init; }
    public required IReadOnlyList<string> Ask { get; init; }
    public required IReadOnlyList<string> Detail { get; init; }
    public required IReadOnlyList<string> Agree { get; init; }
    public required IReadOnlyList<string> Decline { get; init; }
    public required IReadOnlyList<string> Told { get; init; }
    public required IReadOnlyList<string> Agreed { get; init; }
    public required IReadOnlyList<string> Declined { get; init; }
}

/// <summary>What every topic shares: names, times, excuses, greetings, small talk, insults.</summary>
public sealed record CommonPhrases
{
    public required IReadOnlyList<string> Names { get; init; }
    public required IReadOnlyDictionary<string, IReadOnlyList<SlotValue>> Slots { get; init; }
    public required IReadOnlyList<string> GreetNamed { get; init; }
    public required IReadOnlyList<string> Greet { get; init; }
    public required IReadOnlyList<string> ReplyNamed { get; init; }
    public required IReadOnlyList<string> InviteNamed { get; init; }
    public required IReadOnlyList<string> Invite { get; init; }
    public required IReadOnlyList<IReadOnlyList<string>> SmallTalk { get; init; }
    public required IReadOnlyList<string> Pressing { get; init; }
    public required IReadOnlyList<string> Thinking { get; init; }
    public required IReadOnlyList<string> Glad { get; init; }
    public required IReadOnlyList<string> Sorry { get; init; }
    public required IReadOnlyList<string> Bye { get; init; }
    public required IReadOnlyList<string> Insults { get; init; }
}

/// <summary>What a speaker says ("my book is gone") and how a summary reports it ("the book is gone"): <c>said =&gt; told</c>.</summary>
[JsonConverter(typeof(SlotValueConverter))]
public sealed record SlotValue(string Said, string Told);

internal sealed class SlotValueConverter : JsonConverter<SlotValue>
{
    public override SlotValue Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var parts = reader.GetString()!.Split(" => ");
        return new SlotValue(parts[0], parts[^1]);
    }

    public override void Write(Utf8JsonWriter writer, SlotValue value, JsonSerializerOptions options) => throw new NotSupportedException();
}
