using RlhfFunctions.Contracts;

namespace RlhfFunctions.Sources;

/// <summary>A repository as it was at one commit: what is fetched from it cannot change under way.</summary>
/// <param name="Source">How the request named it.</param>
/// <param name="Commit">40 hexadecimal digits.</param>
/// <param name="Files">All its files.</param>
public sealed record HubRepository(HubSource Source, string Commit, IReadOnlyList<HubFile> Files);

/// <summary>A file of a repository, with what the hub says about its content.</summary>
/// <param name="Name">Its path in the repository.</param>
/// <param name="Size">Bytes; null where the hub does not say.</param>
/// <param name="Sha256">Of a large file, kept outside of git; null otherwise.</param>
/// <param name="GitSha1">Of a file in git, the name that git gives its content; null otherwise.</param>
public sealed record HubFile(string Name, long? Size, string? Sha256, string? GitSha1);
