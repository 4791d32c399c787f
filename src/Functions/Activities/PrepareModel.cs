using System.Security.Cryptography;
using System.Text;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Imports a model folder into Blob storage, once for each content; a model that is there already is only looked up.</summary>
public sealed class PrepareModel(SourceFiles sources, ArtifactStore artifacts)
{
    private static readonly string[] KnownFiles =
        ["config.json", "generation_config.json", "*.safetensors", "model.safetensors.index.json", "tokenizer.model",
         "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt"];

    /// <returns>The model's path in Blob storage, models/{name}.</returns>
    [Function(FunctionNames.PrepareModel)]
    public async Task<string> Run([ActivityTrigger] PrepareModelInput input, CancellationToken cancellation)
    {
        if (await sources.CheckModelAsync(input.Source, cancellation) is { } problem) throw new InvalidInputException(problem);
        if (SourceFiles.IsBlob(input.Source, out string imported)) return imported;

        string folder = sources.PathOf(input.Source);
        string[] files = KnownFiles.SelectMany(pattern => Directory.GetFiles(folder, pattern)).Distinct().Order(StringComparer.Ordinal).ToArray();
        string path = BlobPaths.Model($"{Path.GetFileName(folder)}-{await HashAsync(files, cancellation)}");
        return await artifacts.MakeOnceAsync(
            path,
            _ => Task.FromResult(new NewArtifact<string>(
                files.ToDictionary(file => Path.GetFileName(file), file => (Func<Stream>)(() => File.OpenRead(file))), path)),
            cancellation);
    }

    private static async Task<string> HashAsync(string[] files, CancellationToken cancellation)
    {
        var identity = new StringBuilder();
        foreach (string file in files)
        {
            await using var content = File.OpenRead(file);
            identity.Append(Path.GetFileName(file)).Append(' ').AppendLine(Convert.ToHexString(await SHA256.HashDataAsync(content, cancellation)));
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(identity.ToString())))[..12];
    }
}
