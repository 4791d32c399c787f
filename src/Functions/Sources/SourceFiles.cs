using Azure.Storage.Blobs;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Sources;

/// <summary>
/// Turns a request's sources into what they name: files in the folders that may be read, models and dialogues in the product's own
/// containers, files of the configured hub. This is all that a request can make the app read; errors name the source, never the disk.
/// </summary>
public sealed class SourceFiles(BlobFiles blobs, ArtifactStore artifacts, ReadableFolders folders, HubClient hub, Limits limits)
{
    /// <summary>A config.json of more bytes is none.</summary>
    private const int MostConfigBytes = 1 << 20;

    /// <summary>What is wrong with a model's source, or null. A hub that does not answer now is no reason: it may when the run gets there.</summary>
    public async Task<string?> CheckModelAsync(string source, CancellationToken cancellation)
    {
        try
        {
            await FindConfigAsync(source, cancellation);
            return null;
        }
        catch (InvalidInputException e)
        {
            return e.Message;
        }
    }

    /// <summary>The config.json of a model, wherever it lies; null where the hub does not give it now.</summary>
    /// <exception cref="InvalidInputException">The source names no model that can be loaded.</exception>
    public async Task<ConfigFile?> FindConfigAsync(string source, CancellationToken cancellation)
    {
        var json = Source.Parse(source) switch
        {
            FileSource file => await File.ReadAllBytesAsync(Path.Combine(ModelFolder(file, out _), ModelFiles.Config), cancellation),
            BlobSource blob => await ReadConfigAsync(blob, cancellation),
            HubSource repository => await TryReadConfigAsync(CheckedModel(repository), cancellation),
            _ => throw new NotSupportedException($"A source of the kind of \"{source}\" is not known."),
        };
        try
        {
            return json is null ? null : ConfigFile.Parse(json, $"{source}/{ModelFiles.Config}");
        }
        catch (InvalidDataException e)
        {
            throw new InvalidInputException(e.Message, e);
        }
    }

    /// <summary>The folder of a model on disk, and the files of it that are the model's.</summary>
    /// <exception cref="InvalidInputException">There is no such folder, or it may not be read, or holds no model.</exception>
    public string ModelFolder(FileSource source, out IReadOnlyList<string> files)
    {
        string folder = folders.PathOf(source);
        if (!Directory.Exists(folder))
        {
            throw new InvalidInputException(
                $"The model folder \"{source}\" does not exist. Relative paths start at the host's file root; correct the path, or put the model there.");
        }

        files = ModelFiles.Select(folders.FilesIn(folder), $"The folder \"{source}\"");
        return folder;
    }

    /// <summary>What is wrong with a file's source, or null; of the hub as for a model.</summary>
    public async Task<string?> CheckFileAsync(string source, CancellationToken cancellation)
    {
        try
        {
            switch (Source.Parse(source))
            {
                case FileSource file:
                    FileOf(file);
                    break;
                case BlobSource blob:
                    await BlobOfAsync(blob, cancellation);
                    break;
                case HubSource repository when await hub.TryResolveAsync(CheckedData(repository), cancellation) is { } resolved:
                    FileOf(resolved);
                    break;
            }

            return null;
        }
        catch (InvalidInputException e)
        {
            return e.Message;
        }
    }

    /// <summary>Opens the file a source names. One of the hub is fetched and checked whole before anything is read from it.</summary>
    /// <exception cref="InvalidInputException">There is no such file, it may not be read, or it is too large.</exception>
    public async Task<Stream> OpenAsync(string source, CancellationToken cancellation)
    {
        return Source.Parse(source) switch
        {
            FileSource file => File.OpenRead(FileOf(file)),
            BlobSource blob => await (await BlobOfAsync(blob, cancellation)).OpenReadAsync(cancellationToken: cancellation),
            HubSource repository => await FetchAsync(await hub.ResolveAsync(CheckedData(repository), cancellation), cancellation),
            _ => throw new NotSupportedException($"A source of the kind of \"{source}\" is not known."),
        };
    }

    /// <summary>The source of a file of dialogues: of a folder on disk, its file with that part of the data.</summary>
    /// <param name="source">A file, blob, file of the hub, or folder.</param>
    /// <param name="part">train or test.</param>
    /// <exception cref="InvalidInputException">It may not be read.</exception>
    public string PartOf(string source, string part)
    {
        if (Source.Parse(source) is not FileSource file || folders.PathOf(file) is var folder && !Directory.Exists(folder)) return source;
        string name = Path.GetFileName(DialogueReader.FindPart(folder, part)) ?? $"{part}.csv";
        return new FileSource($"{file.Path.TrimEnd('/')}/{name}").ToString();
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

    private string FileOf(FileSource source)
    {
        string path = folders.PathOf(source);
        if (!File.Exists(path))
        {
            throw new InvalidInputException(
                $"The file \"{source}\" does not exist. Relative paths start at the host's file root; correct the path, or put the file there.");
        }

        CheckSize(source, new FileInfo(path).Length);
        return path;
    }

    private async Task<BlobClient> BlobOfAsync(BlobSource source, CancellationToken cancellation)
    {
        if (!source.Path.StartsWith(BlobPaths.Dialogues + "/", StringComparison.Ordinal))
        {
            throw new InvalidInputException($"\"{source}\" is not in the container {BlobPaths.Dialogues}, the only one whose blobs are read as dialogues. "
                + $"Upload the file there and name it as \"{Source.Blob}{BlobPaths.Dialogues}/…\".");
        }

        CheckSize(source, await blobs.FindLengthAsync(source.Path, cancellation)
            ?? throw new InvalidInputException($"There is no blob {source.Path}. Upload the file there, or name a file with \"{Source.File}…\"."));
        return await blobs.BlobAsync(source.Path);
    }

    private void CheckSize(Source source, long bytes)
    {
        if (bytes <= limits.DataBytes) return;
        throw new InvalidInputException($"\"{source}\" has {bytes} bytes, more than the {limits.DataBytes} that this host reads of a file of dialogues. "
            + "Cut it to the rows the run needs, or raise the setting RlhfLimits__DataBytes.");
    }

    private async Task<byte[]> ReadConfigAsync(BlobSource source, CancellationToken cancellation)
    {
        if (!source.Path.StartsWith(BlobPaths.Models + "/", StringComparison.Ordinal))
        {
            throw new InvalidInputException($"\"{source}\" is not in the container {BlobPaths.Models}, the only one that models are taken from. "
                + "What import and earlier runs brought there can be named.");
        }

        if (await artifacts.FindAsync<object>(source.Path, cancellation) is not { } manifest)
        {
            throw new InvalidInputException($"There is no model under {source.Path} in Blob storage: it has no manifest.json. "
                + $"Name a folder with \"{Source.File}…\" or a repository with \"{Source.Hub}…\" to have it imported.");
        }

        var config = manifest.Files.FirstOrDefault(file => file.Name == ModelFiles.Config)
            ?? throw new InvalidInputException($"{source.Path} in Blob storage holds no {ModelFiles.Config}: it is no model.");
        if (config.Length > MostConfigBytes) throw new InvalidInputException($"The {ModelFiles.Config} under {source.Path} is too large to be one.");
        return await artifacts.ReadAsync(config, cancellation);
    }

    private async Task<byte[]?> TryReadConfigAsync(HubSource source, CancellationToken cancellation)
    {
        if (await hub.TryResolveAsync(source, cancellation) is not { } repository) return null;
        var config = ModelFiles.Of(repository).Single(file => file.Name == ModelFiles.Config);
        return await hub.TryReadAsync(repository, config, MostConfigBytes, cancellation);
    }

    private async Task<Stream> FetchAsync(HubRepository repository, CancellationToken cancellation)
    {
        var wanted = FileOf(repository);
        CheckSize(repository.Source, wanted.Size ?? 0);
        await using var content = hub.Open(repository, wanted, limits.DataBytes);
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
