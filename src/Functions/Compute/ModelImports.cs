using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Compute;

/// <summary>How far the import of a model has come.</summary>
/// <param name="Item">The file under way.</param>
/// <param name="Done">Bytes of it.</param>
/// <param name="Total">Bytes it has; null: not known.</param>
public sealed record ImportProgress(string Item, long Done, long? Total);

/// <summary>
/// Brings models into Blob storage, once for each content: from a folder, or from the hub without a stop on this machine's disk.
/// Every file is an artefact of its own, so an import that was cut off goes on with the file it was at.
/// </summary>
public sealed partial class ModelImports(
    SourceFiles sources, HubClient hub, ArtifactStore artifacts, BlobFiles blobs, ModelFolders folders, ModelCacheFolder cache, Limits limits)
{
    /// <returns>The model's path in Blob storage, models/{name}; for NF4 that of its 4-bit form.</returns>
    /// <exception cref="InvalidInputException">The source is no model, or not one that can be quantised.</exception>
    /// <exception cref="HubFaultException">The hub does not deliver it now.</exception>
    public async Task<string> ImportAsync(string source, ModelPrecision precision, IProgress<ImportProgress> progress, CancellationToken cancellation)
    {
        if (Source.Parse(source) is HubSource repository)
            return await ImportRepositoryAsync(SourceFiles.CheckedModel(repository), precision, progress, cancellation);
        if (await sources.CheckModelAsync(source, cancellation) is { } problem) throw new InvalidInputException(problem);
        return Source.Parse(source) is FileSource folder
            ? await ImportFolderAsync(folder, precision, progress, cancellation)
            : await FinishAsync(Source.Parse(source).Name, precision, import: () => Task.CompletedTask, progress, cancellation);
    }

    private async Task<string> ImportRepositoryAsync(
        HubSource source, ModelPrecision precision, IProgress<ImportProgress> progress, CancellationToken cancellation)
    {
        // A commit stands for its content: of one that is here already the hub need not even be asked.
        var resolved = Commit().IsMatch(source.Revision) ? null : await hub.ResolveAsync(source, cancellation);
        string commit = resolved?.Commit ?? source.Revision;
        string path = BlobPaths.Model($"{source.Repository.Replace("/", "--", StringComparison.Ordinal)}-{commit[..12]}");
        return await FinishAsync(path, precision, ImportAsync, progress, cancellation);

        async Task ImportAsync()
        {
            var repository = resolved ?? await hub.ResolveAsync(source, cancellation);
            var files = ModelFiles.Of(repository).Select(file => new ModelFile(file.Name, file.Size, () => hub.Open(repository, file, limits.ModelFileBytes)));
            await StoreAsync(path, files, progress, cancellation);
        }
    }

    private async Task<string> ImportFolderAsync(
        FileSource source, ModelPrecision precision, IProgress<ImportProgress> progress, CancellationToken cancellation)
    {
        string folder = sources.ModelFolder(source, out var names);
        string path = BlobPaths.Model($"{Path.GetFileName(Path.TrimEndingDirectorySeparator(folder))}-{await HashAsync(folder, names, cancellation)}");
        return await FinishAsync(path, precision, () => StoreAsync(path, FilesIn(folder, names), progress, cancellation), progress, cancellation);
    }

    /// <summary>Makes what is not there yet of the model and, where it is asked for, of its 4-bit form.</summary>
    private async Task<string> FinishAsync(
        string path, ModelPrecision precision, Func<Task> import, IProgress<ImportProgress> progress, CancellationToken cancellation)
    {
        string quantized = $"{path}-nf4";
        if (precision == ModelPrecision.Nf4 && await artifacts.FindAsync<object>(quantized, cancellation) is not null) return quantized;
        if (await artifacts.FindAsync<object>(path, cancellation) is null) await import();
        if (precision != ModelPrecision.Nf4 || await IsQuantizedAsync(path, cancellation)) return path;
        await QuantizeAsync(path, quantized, progress, cancellation);
        return quantized;
    }

    private async Task QuantizeAsync(string path, string quantized, IProgress<ImportProgress> progress, CancellationToken cancellation)
    {
        string folder = await folders.FetchAsync(path, cancellation);
        string work = Path.Combine(cache.Path, $"quantizing.{Guid.NewGuid():n}");
        try
        {
            Nf4Checkpoint.Write(folder, work, (done, total) =>
            {
                cancellation.ThrowIfCancellationRequested();
                progress.Report(new ImportProgress("4-bit weights", done, total));
            });
            var written = ModelFiles.Select(NamesIn(work), "The quantised model");
            var kept = ModelFiles.Select(NamesIn(folder), path).Where(name => !written.Contains(name) && !ModelFiles.IsWeights(name));
            await StoreAsync(quantized, FilesIn(work, written).Concat(FilesIn(folder, kept)), progress, cancellation);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidInputException($"The model {path} cannot be quantised to 4 bits. {e.Message}", e);
        }
        finally
        {
            if (Directory.Exists(work)) Directory.Delete(work, recursive: true);
        }
    }

    private async Task<string> StoreAsync(string path, IEnumerable<ModelFile> files, IProgress<ImportProgress> progress, CancellationToken cancellation)
    {
        await blobs.ReplaceAsync(BlobPaths.ImportMark(path), BinaryData.FromString(""), cancellation);
        await artifacts.MakeOnceAsync(
            path,
            async stop =>
            {
                var stored = new List<ArtifactFile>();
                foreach (var file in files) stored.Add(await StoreAsync($"{path}/files/{file.Name}", file, progress, stop));
                return new NewArtifact<string>(new Dictionary<string, byte[]>(), path) { Stored = stored };
            },
            cancellation);
        await blobs.DeleteAsync(BlobPaths.ImportMark(path), cancellation);
        return path;
    }

    private async Task<ArtifactFile> StoreAsync(string path, ModelFile file, IProgress<ImportProgress> progress, CancellationToken cancellation)
    {
        progress.Report(new ImportProgress(file.Name, 0, file.Size));
        var content = new Dictionary<string, Func<Stream>> { [file.Name] = () => Watch(file, progress) };
        await artifacts.MakeOnceAsync(path, _ => Task.FromResult(new NewArtifact<string>(content, path)), cancellation);
        var stored = (await artifacts.GetAsync<string>(path, cancellation)).Files.Single();
        progress.Report(new ImportProgress(file.Name, stored.Length, stored.Length));
        return stored;
    }

    private static ObservedStream Watch(ModelFile file, IProgress<ImportProgress> progress)
    {
        long done = 0;
        return new ObservedStream(file.Open(), piece => progress.Report(new ImportProgress(file.Name, done += piece.Length, file.Size)));
    }

    private async Task<bool> IsQuantizedAsync(string path, CancellationToken cancellation)
    {
        var config = (await artifacts.GetAsync<object>(path, cancellation)).Files.FirstOrDefault(file => file.Name == ModelFiles.Config)
            ?? throw new InvalidInputException($"{path} in Blob storage holds no {ModelFiles.Config}: it is no model. Name one that PrepareModel or import made.");
        return ConfigFile.Parse(await artifacts.ReadAsync(config, cancellation), config.Blob).Section("quantization_config") is not null;
    }

    private static IEnumerable<string> NamesIn(string folder)
    {
        return Directory.GetFiles(folder).Select(file => Path.GetFileName(file));
    }

    private static IEnumerable<ModelFile> FilesIn(string folder, IEnumerable<string> names)
    {
        return names.Select(name => new FileInfo(Path.Combine(folder, name))).Select(file => new ModelFile(file.Name, file.Length, file.OpenRead));
    }

    private static async Task<string> HashAsync(string folder, IEnumerable<string> names, CancellationToken cancellation)
    {
        var identity = new StringBuilder();
        foreach (string name in names)
        {
            await using var content = File.OpenRead(Path.Combine(folder, name));
            identity.Append(name).Append(' ').AppendLine(Convert.ToHexString(await SHA256.HashDataAsync(content, cancellation)));
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(identity.ToString())))[..12];
    }

    [GeneratedRegex("^[0-9a-f]{40}$")]
    private static partial Regex Commit();

    /// <summary>A file to be stored.</summary>
    private sealed record ModelFile(string Name, long? Size, Func<Stream> Open);
}
