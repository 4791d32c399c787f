using RlhfFunctions.Contracts;
using RlhfFunctions.Hub;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Rewards;

namespace RlhfFunctions.Storage;

/// <summary>Turns a request's sources into what they name: files on the host's disk, artefacts and blobs in storage, or files of the hub.</summary>
public sealed class SourceFiles(BlobFiles blobs, ArtifactStore artifacts, FileRoot root, HubClient hub)
{
    /// <summary>What is wrong with a model's source, or null. A hub that does not answer now is no reason: it may when the run gets there.</summary>
    public Task<string?> CheckModelAsync(string source, CancellationToken cancellation)
    {
        return ProblemAsync(async () =>
        {
            switch (Source.Parse(source))
            {
                case FileSource file when !Directory.Exists(PathOf(file)):
                    throw new InvalidInputException(
                        $"The model folder {PathOf(file)} does not exist. Relative paths start at {root.Path}; correct the path, or put the model there.");
                case FileSource file:
                    ModelFiles.In(PathOf(file));
                    break;
                case BlobSource blob when await artifacts.FindAsync<object>(blob.Path, cancellation) is null:
                    throw new InvalidInputException($"There is no model under {blob.Path} in Blob storage: it has no manifest.json. "
                        + $"Name a folder with \"{Source.File}…\" or a repository with \"{Source.Hub}…\" to have it imported.");
                case HubSource repository when await hub.TryResolveAsync(CheckedModel(repository), cancellation) is { } resolved:
                    ModelFiles.Of(resolved);
                    break;
            }
        });
    }

    /// <summary>What is wrong with a classifier's source, or null; the labels are looked for where the model is a folder.</summary>
    public async Task<string?> CheckClassifierAsync(string source, IReadOnlyList<string> labels, CancellationToken cancellation)
    {
        if (await CheckModelAsync(source, cancellation) is { } problem) return problem;
        if (Source.Parse(source) is not FileSource file) return null;
        string folder = PathOf(file);
        try
        {
            var known = TextClassifier.LabelsOf(folder);
            // What scores and does not classify has one label, and no hate to tell of.
            return (known.Count == 1 ? labels.Take(1) : labels)
                .Select(label => TextClassifier.ProblemWith(label, known, folder)).FirstOrDefault(found => found is not null);
        }
        catch (InvalidDataException e)
        {
            return e.Message;
        }
    }

    /// <summary>What is wrong with a file's source, or null; of the hub as for a model.</summary>
    public Task<string?> CheckFileAsync(string source, CancellationToken cancellation)
    {
        return ProblemAsync(async () =>
        {
            switch (Source.Parse(source))
            {
                case FileSource file when !File.Exists(PathOf(file)):
                    throw new InvalidInputException(
                        $"The file {PathOf(file)} does not exist. Relative paths start at {root.Path}; correct the path, or put the file there.");
                case BlobSource blob when !await (await blobs.BlobAsync(blob.Path)).ExistsAsync(cancellation):
                    throw new InvalidInputException($"There is no blob {blob.Path}. Upload the file there, or name a file with \"{Source.File}…\".");
                case HubSource repository when await hub.TryResolveAsync(CheckedData(repository), cancellation) is { } resolved:
                    FileOf(resolved);
                    break;
            }
        });
    }

    /// <summary>Opens the file a source names. One of the hub is fetched and checked whole before anything is read from it.</summary>
    /// <exception cref="InvalidInputException">There is no such file.</exception>
    public async Task<Stream> OpenAsync(string source, CancellationToken cancellation)
    {
        var parsed = Source.Parse(source);
        if (parsed is HubSource repository) return await FetchAsync(await hub.ResolveAsync(CheckedData(repository), cancellation), cancellation);
        if (await CheckFileAsync(source, cancellation) is { } problem) throw new InvalidInputException(problem);
        return parsed is BlobSource blob
            ? await (await blobs.BlobAsync(blob.Path)).OpenReadAsync(cancellationToken: cancellation)
            : File.OpenRead(PathOf((FileSource)parsed));
    }

    /// <summary>The source of a file of dialogues: of a folder on disk, its file with that part of the data.</summary>
    /// <param name="source">A file, blob, file of the hub, or folder.</param>
    /// <param name="part">train or test.</param>
    public string PartOf(string source, string part)
    {
        if (Source.Parse(source) is not FileSource file || PathOf(file) is var folder && !Directory.Exists(folder)) return source;
        return new FileSource(DialogueReader.FindPart(folder, part) ?? Path.Combine(folder, $"{part}.csv")).ToString();
    }

    /// <summary>The absolute path of a source on disk.</summary>
    public string PathOf(FileSource source)
    {
        return Path.GetFullPath(source.Path, root.Path);
    }

    /// <exception cref="InvalidInputException">The source is a file of a data set.</exception>
    public static HubSource CheckedModel(HubSource source)
    {
        return source.DataFile is null ? source : throw new InvalidInputException(
            $"\"{source}\" is a file of a data set, where a model is needed. Name one as \"{Source.Hub}owner/name\".");
    }

    private static HubSource CheckedData(HubSource source)
    {
        return source.DataFile is not null ? source : throw new InvalidInputException(
            $"\"{source}\" is a model, where a file of dialogues is needed. Name one as \"{Source.Hub}datasets/owner/name/file.csv\".");
    }

    private static HubFile FileOf(HubRepository repository)
    {
        string wanted = repository.Source.DataFile!;
        if (repository.Files.FirstOrDefault(file => file.Name == wanted) is { } found) return found;
        string[] readable = [.. repository.Files.Select(file => file.Name).Where(name => Path.GetExtension(name) is ".csv" or ".jsonl").Take(10)];
        throw new InvalidInputException($"\"{repository.Source.Name}\" has no file \"{wanted}\" at revision {repository.Source.Revision}. "
            + (readable.Length == 0 ? "It has no CSV or JSONL file at all; name another data set." : $"It has {string.Join(", ", readable)}."));
    }

    private static async Task<string?> ProblemAsync(Func<Task> check)
    {
        try
        {
            await check();
            return null;
        }
        catch (InvalidInputException e)
        {
            return e.Message;
        }
    }

    private async Task<Stream> FetchAsync(HubRepository repository, CancellationToken cancellation)
    {
        await using var content = hub.Open(repository, FileOf(repository));
        var file = new FileStream(
            Path.Combine(Path.GetTempPath(), Path.GetRandomFileName()), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
        try
        {
            await content.CopyToAsync(file, cancellation);
            file.Position = 0;
            return file;
        }
        catch
        {
            await file.DisposeAsync();
            throw;
        }
    }
}

/// <summary>The folder where relative paths of a request start.</summary>
public sealed record FileRoot(string Path);
