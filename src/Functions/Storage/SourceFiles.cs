using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Rewards;

namespace RlhfFunctions.Storage;

/// <summary>Turns a request's sources into what they name: files on the host's disk, or artefacts and blobs in storage.</summary>
public sealed class SourceFiles(BlobFiles blobs, ArtifactStore artifacts, FileRoot root)
{
    /// <summary>What is wrong with a model's source, or null.</summary>
    public async Task<string?> CheckModelAsync(string source, CancellationToken cancellation)
    {
        if (IsBlob(source, out string blobPath))
        {
            return await artifacts.FindAsync<object>(blobPath, cancellation) is null
                ? $"There is no model under {blobPath} in Blob storage: it has no manifest.json. Name a folder with \"{Source.File}…\" to have it imported."
                : null;
        }

        string folder = PathOf(source);
        if (!Directory.Exists(folder)) return $"The model folder {folder} does not exist. Relative paths start at {root.Path}; correct the path, or put the model there.";
        return File.Exists(Path.Combine(folder, "config.json"))
            ? null
            : $"The folder {folder} holds no config.json: it is no Hugging Face model folder. Name the folder that holds config.json and model.safetensors.";
    }

    /// <summary>What is wrong with a classifier's source, or null; the labels are looked for where the model is a folder.</summary>
    public async Task<string?> CheckClassifierAsync(string source, IReadOnlyList<string> labels, CancellationToken cancellation)
    {
        if (await CheckModelAsync(source, cancellation) is { } problem) return problem;
        if (!source.StartsWith(Source.File, StringComparison.Ordinal)) return null;
        string folder = PathOf(source);
        try
        {
            var config = RobertaConfig.Load(folder);
            return labels.Select(label => TextClassifier.ProblemWith(label, config, folder)).FirstOrDefault(found => found is not null);
        }
        catch (InvalidDataException e)
        {
            return e.Message;
        }
    }

    /// <summary>What is wrong with a file's source, or null.</summary>
    public async Task<string?> CheckFileAsync(string source, CancellationToken cancellation)
    {
        if (IsBlob(source, out string blobPath))
        {
            return await (await blobs.BlobAsync(blobPath)).ExistsAsync(cancellation)
                ? null
                : $"There is no blob {blobPath}. Upload the file there, or name a file with \"{Source.File}…\".";
        }

        string file = PathOf(source);
        return File.Exists(file) ? null : $"The file {file} does not exist. Relative paths start at {root.Path}; correct the path, or put the file there.";
    }

    /// <summary>Opens the file a source names.</summary>
    public async Task<Stream> OpenAsync(string source, CancellationToken cancellation)
    {
        if (await CheckFileAsync(source, cancellation) is { } problem) throw new InvalidInputException(problem);
        return IsBlob(source, out string blobPath)
            ? await (await blobs.BlobAsync(blobPath)).OpenReadAsync(cancellationToken: cancellation)
            : File.OpenRead(PathOf(source));
    }

    /// <summary>Whether the source is in Blob storage, and where.</summary>
    public static bool IsBlob(string source, out string path)
    {
        bool isBlob = source.StartsWith(Source.Blob, StringComparison.Ordinal);
        path = isBlob ? source[Source.Blob.Length..].Trim('/') : "";
        return isBlob;
    }

    /// <summary>The source of a file of dialogues: of a folder on disk, its file with that part of the data.</summary>
    /// <param name="source">A file, blob or folder.</param>
    /// <param name="part">train or test.</param>
    public string PartOf(string source, string part)
    {
        if (!source.StartsWith(Source.File, StringComparison.Ordinal) || PathOf(source) is var folder && !Directory.Exists(folder)) return source;
        return Source.File + (DialogueReader.FindPart(folder, part) ?? Path.Combine(folder, $"{part}.csv"));
    }

    /// <summary>The absolute path of a source on disk.</summary>
    public string PathOf(string source)
    {
        return Path.GetFullPath(source[Source.File.Length..], root.Path);
    }
}

/// <summary>The folder where relative paths of a request start.</summary>
public sealed record FileRoot(string Path);
