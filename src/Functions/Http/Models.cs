using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Sources;

namespace RlhfFunctions.Http;

/// <summary>Models in storage, and how one gets there without a key of the storage: file by file, and then completed.</summary>
public sealed class Models(ModelUploads uploads, RewardRecords rewards, Limits limits)
{
    /// <summary>GET models: those that a run can name, and what others lack.</summary>
    [Function(FunctionNames.ListModels)]
    public async Task<IActionResult> List([HttpTrigger(AuthorizationLevel.Function, "get", Route = "models")] HttpRequest http)
    {
        return Answers.Json(await uploads.ListAsync(http.HttpContext.RequestAborted));
    }

    /// <summary>PUT models/{name}/{file}: a file of a model that is not complete.</summary>
    [Function(FunctionNames.PutModelFile)]
    public async Task<IActionResult> Put(
        [HttpTrigger(AuthorizationLevel.Function, "put", Route = "models/{name}/{file}")] HttpRequest http, string name, string file)
    {
        var cancellation = http.HttpContext.RequestAborted;
        if (ModelUploads.ProblemWith(name) is { } problem) return new Problem(400, "invalid-name", "The model cannot have that name.", problem).ToResult();
        if (!ModelFiles.IsKnown(file))
            return new Problem(400, "invalid-name", "No model has such a file.", $"Those that are read are {string.Join(", ", ModelFiles.Names)}.").ToResult();
        if (await rewards.FindAsync(name, cancellation) is not null || await uploads.IsCompleteAsync(name, cancellation))
            return new Problem(409, "model-exists", "Another model has this name.", $"{name} is complete, or being trained, and does not change. Choose another name.").ToResult();

        await using var body = http.OpenUpload(limits.ModelFileBytes, nameof(Limits.ModelFileBytes));
        var stored = await uploads.PutAsync(name, file, body, cancellation);
        return Answers.Json(new ModelListFile(file, stored.Length, stored.Sha256), 201);
    }

    /// <summary>POST models/{name}: makes a model of the files that were uploaded, if none is missing.</summary>
    [Function(FunctionNames.CompleteModel)]
    public async Task<IActionResult> Complete([HttpTrigger(AuthorizationLevel.Function, "post", Route = "models/{name}")] HttpRequest http, string name)
    {
        if (ModelUploads.ProblemWith(name) is { } problem) return new Problem(400, "invalid-name", "No model that is uploaded has that name.", problem).ToResult();
        return await uploads.CompleteAsync(name, http.HttpContext.RequestAborted) is { } missing
            ? new Problem(409, "model-incomplete", "The model is not complete.", missing).ToResult()
            : Answers.Json(new { Source = Source.Blob + BlobPaths.Model(name) }, 201);
    }
}
