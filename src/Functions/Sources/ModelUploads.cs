using System.Text.Json;
using System.Text.RegularExpressions;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Sources;

/// <summary>
/// Models that are uploaded file by file. A file that was not received to its end is not there; and what is there is no model until it
/// is completed, which needs every file that its own config.json, index and headers speak of. From then on it never changes.
/// </summary>
public sealed partial class ModelUploads(ArtifactStore artifacts, BlobFiles blobs)
{
    private const string ManifestName = "/manifest.json";

    /// <summary>A config.json or an index of more bytes is none.</summary>
    private const int MostJsonBytes = 16 << 20;

    /// <summary>What is wrong with a model's name, or null. Those of imports end with what they hold, so that no upload can pass for one.</summary>
    public static string? ProblemWith(string name)
    {
        if (!RunId.IsValid(name)) return $"The name {RunId.Rule}";
        return NameOfImport().IsMatch(name) ? "The name must not end with -nf4 or a dash and 12 hexadecimal digits: models that the app itself brings here are called so." : null;
    }

    /// <summary>Whether there is a complete model of this name.</summary>
    public async Task<bool> IsCompleteAsync(string name, CancellationToken cancellation)
    {
        return await artifacts.FindAsync<object>(BlobPaths.Model(name), cancellation) is not null;
    }

    /// <summary>Stores a file, in the place of an earlier one of its name.</summary>
    /// <param name="name">The model's.</param>
    /// <param name="file">One that the loaders read.</param>
    /// <param name="content">Read to its end; where that is not reached, nothing is there.</param>
    /// <param name="cancellation">Gives up.</param>
    public async Task<ArtifactFile> PutAsync(string name, string file, Stream content, CancellationToken cancellation)
    {
        string model = BlobPaths.Model(name), path = PathOf(model, file);
        await blobs.ReplaceAsync(BlobPaths.ImportMark(model), BinaryData.FromString(""), cancellation); // the sweep leaves it alone
        await artifacts.DeleteAsync(path, cancellation);
        var files = new Dictionary<string, Func<Stream>> { [file] = () => content };
        await artifacts.MakeOnceAsync(path, _ => Task.FromResult(new NewArtifact<string>(files, path)), cancellation);
        return (await artifacts.GetAsync<string>(path, cancellation)).Files.Single();
    }

    /// <summary>Makes a model of what was uploaded; one that is complete stays as it is.</summary>
    /// <returns>What is missing or wrong, or null: it is a model.</returns>
    public async Task<string?> CompleteAsync(string name, CancellationToken cancellation)
    {
        if (await IsCompleteAsync(name, cancellation)) return null;
        string model = BlobPaths.Model(name);
        var files = await UploadedAsync(model, cancellation);
        if (await ProblemWithAsync(files, cancellation) is { } problem) return problem;
        await artifacts.MakeOnceAsync(model, _ => Task.FromResult(new NewArtifact<string>(new Dictionary<string, byte[]>(), model) { Stored = files }), cancellation);
        await blobs.DeleteAsync(BlobPaths.ImportMark(model), cancellation);
        return null;
    }

    /// <summary>Every model, and what is on its way to be one; by name.</summary>
    public async Task<IReadOnlyList<ModelListItem>> ListAsync(CancellationToken cancellation)
    {
        var models = new List<ModelListItem>();
        foreach (string name in await blobs.ListFoldersAsync(BlobPaths.Models, cancellation))
            models.Add(await ItemAsync(name, cancellation));
        return models;
    }

    private async Task<ModelListItem> ItemAsync(string name, CancellationToken cancellation)
    {
        string model = BlobPaths.Model(name);
        try
        {
            if (await artifacts.FindAsync<object>(model, cancellation) is { } complete)
                return new ModelListItem(name, Source.Blob + model, Show(complete.Files));
            var files = await UploadedAsync(model, cancellation);
            string missing = await ProblemWithAsync(files, cancellation) ?? $"All files are here. POST /api/models/{name} makes a model of them.";
            return new ModelListItem(name, Source: null, Show(files)) { Problem = missing };
        }
        catch (CorruptArtifactException e)
        {
            return new ModelListItem(name, Source: null, []) { Problem = e.Message };
        }
    }

    private static IReadOnlyList<ModelListFile> Show(IEnumerable<ArtifactFile> files)
    {
        return [.. files.Select(file => new ModelListFile(file.Name, file.Length, file.Sha256))];
    }

    /// <summary>The files that are there whole.</summary>
    private async Task<IReadOnlyList<ArtifactFile>> UploadedAsync(string model, CancellationToken cancellation)
    {
        var files = new List<ArtifactFile>();
        foreach (var (path, _) in await blobs.ListAsync(PathOf(model, ""), cancellation))
        {
            if (path.EndsWith(ManifestName, StringComparison.Ordinal))
                files.AddRange((await artifacts.GetAsync<object>(path[..^ManifestName.Length], cancellation)).Files);
        }

        return files;
    }

    /// <summary>What is missing or wrong, or null.</summary>
    private async Task<string?> ProblemWithAsync(IReadOnlyList<ArtifactFile> files, CancellationToken cancellation)
    {
        try
        {
            ModelFiles.Select(files.Select(file => file.Name), "What was uploaded");
            await ReadJsonAsync(files.Single(file => file.Name == ModelFiles.Config), cancellation);
            if (files.FirstOrDefault(file => file.Name == ModelFiles.Index) is { } index)
            {
                var shards = (await ReadJsonAsync(index, cancellation)).Find("weight_map") is { ValueKind: JsonValueKind.Object } map
                    ? map.EnumerateObject().Select(tensor => $"{tensor.Value}") : [];
                if (shards.Except(files.Select(file => file.Name)).Order(StringComparer.Ordinal).ToList() is { Count: > 0 } missing)
                    return $"{ModelFiles.Index} names {string.Join(", ", missing)}, not uploaded yet.";
            }

            foreach (var file in files.Where(file => file.Name.EndsWith(".safetensors", StringComparison.Ordinal)))
            {
                await using var content = await (await blobs.BlobAsync(file.Blob)).OpenReadAsync(cancellationToken: cancellation);
                await SafetensorsFile.CheckAsync(file.Name, content, file.Length, cancellation);
            }

            return null;
        }
        catch (Exception e) when (e is InvalidInputException or InvalidDataException)
        {
            return e.Message;
        }
    }

    private async Task<ConfigFile> ReadJsonAsync(ArtifactFile file, CancellationToken cancellation)
    {
        return file.Length <= MostJsonBytes
            ? ConfigFile.Parse(await artifacts.ReadAsync(file, cancellation), file.Name)
            : throw new InvalidDataException($"{file.Name} has {file.Length} bytes, too many to be what it is called.");
    }

    private static string PathOf(string model, string file)
    {
        return $"{model}/files/{file}";
    }

    [GeneratedRegex("-(nf4|[0-9a-f]{12})$")]
    private static partial Regex NameOfImport();
}
