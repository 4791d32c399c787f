using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>The one spelling of our JSON: camelCase, enums as strings.</summary>
public static class ContractsJson
{
    /// <summary>For what the app wrote itself: messages, blobs, answers.</summary>
    public static JsonSerializerOptions Options { get; } = Configure(new JsonSerializerOptions());

    /// <summary>For what a user wrote: unknown and duplicate fields and null where a value must be are refused.</summary>
    public static JsonSerializerOptions Strict { get; } = Configure(new JsonSerializerOptions(JsonSerializerOptions.Strict));

    /// <summary>For files that people read.</summary>
    public static JsonSerializerOptions Indented { get; } = Configure(new JsonSerializerOptions { WriteIndented = true });

    private static JsonSerializerOptions Configure(JsonSerializerOptions options)
    {
        options.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        options.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        // Nothing of ours is pasted into HTML without being encoded there; "#Person1#: Let's" should read as that.
        options.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        options.AllowOutOfOrderMetadataProperties = true; // "kind" may stand anywhere in its object
        options.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false));
        options.MakeReadOnly(populateMissingResolver: true);
        return options;
    }
}
