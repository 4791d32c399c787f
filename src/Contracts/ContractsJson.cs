using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace RlhfFunctions.Contracts;

/// <summary>The one spelling of our JSON: camelCase, enums as strings.</summary>
public static class ContractsJson
{
    /// <summary>For what the app wrote itself: messages, blobs, answers.</summary>
    public static JsonSerializerOptions Options { get; } = Configure(new JsonSerializerOptions());

    /// <summary>For what a user wrote: unknown and duplicate fields and null where a value must be are refused.</summary>
    public static JsonSerializerOptions Strict { get; } = Configure(new JsonSerializerOptions(JsonSerializerOptions.Strict));

    /// <summary>For blobs the app wrote and relies on: what lacks a value is refused; what a later version added is passed over.</summary>
    public static JsonSerializerOptions Stored { get; } = Configure(new JsonSerializerOptions
    {
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        AllowDuplicateProperties = false,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { LetNullBeAbsent } },
    });

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

    /// <summary>Nulls are not written, so a value that may be null may be missing.</summary>
    private static void LetNullBeAbsent(JsonTypeInfo type)
    {
        foreach (var property in type.Properties.Where(property => property.AssociatedParameter is { IsNullable: true })) property.IsRequired = false;
    }
}
