using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>PUT /api/dialogues/{name}: uploads a file of dialogues, which is summarised and can be named by runs.</summary>
public sealed partial class PutDialogues(BlobFiles blobs, Limits limits)
{
    private static readonly string[] Taken = ["text/csv", "application/jsonl", "application/x-ndjson", "application/octet-stream"];

    [Function(FunctionNames.PutDialogues)]
    public async Task<IActionResult> Run([HttpTrigger(AuthorizationLevel.Function, "put", Route = "dialogues/{*name}")] HttpRequest http, string? name)
    {
        if (name is null || !Name().IsMatch(name))
        {
            return new Problem(400, "invalid-name", "The file cannot have that name.",
                "Use letters, digits, dots, dashes and underscores, with slashes between folders, and the ending .csv or .jsonl.").ToResult();
        }

        if (!Taken.Contains(http.ContentType?.Split(';')[0].Trim(), StringComparer.OrdinalIgnoreCase))
            return new Problem(415, "not-dialogues", "The body must be a file of dialogues.", $"Send it with a Content-Type of {string.Join(", ", Taken)}.").ToResult();

        long bytes = 0;
        await using var body = new ObservedStream(http.OpenUpload(limits.DataBytes, nameof(Limits.DataBytes)), piece => bytes += piece.Length);
        string path = $"{BlobPaths.Dialogues}/{name}";
        await (await blobs.BlobAsync(path)).UploadAsync(body, overwrite: true, http.HttpContext.RequestAborted);
        return Answers.Json(new { Source = Source.Blob + path, Bytes = bytes }, 201);
    }

    [GeneratedRegex(@"^(?=.{1,200}$)([A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*\.(csv|jsonl)$")]
    private static partial Regex Name();
}
