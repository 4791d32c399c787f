using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Lets libLibTorchSharp.so load on a libstdc++ older than 13.2. Exactly one symbol of it carries the version
/// GLIBCXX_3.4.32: ios_base_library_init, which makes sure that iostreams are initialised; older libraries do that by
/// themselves. The task points the need at a symbol every libstdc++ has, and the version at one every libstdc++ has.
/// The file is rewritten beside itself and moved into place, so a hard link into the package cache is left untouched.
/// </summary>
public class CureTorchSharp : Task
{
    private const string NewSymbol = "_ZSt21ios_base_library_initv";
    private const string OldSymbol = "_ZSt18uncaught_exceptionv";
    private const string NewVersion = "GLIBCXX_3.4.32";
    private const string OldVersion = "GLIBCXX_3.4";

    [Required]
    public string Library { get; set; }

    public override bool Execute()
    {
        if (!File.Exists(Library) || SystemHasNewVersion()) return true;
        byte[] bytes = File.ReadAllBytes(Library);
        List<int> symbols = Find(bytes, Entry(NewSymbol));
        List<int> versions = Find(bytes, Entry(NewVersion));
        if (symbols.Count == 0 && versions.Count == 0) return true; // cured already, or built against an older library
        List<int> hashes = Find(bytes, BitConverter.GetBytes(ElfHash(NewVersion)));
        if (symbols.Count != 1 || versions.Count != 1 || hashes.Count != 1)
        {
            Log.LogError("{0} is not the library this cure was written for: it names {1} {2} time(s), {3} {4} time(s) and its hash {5} time(s), "
                + "and each must stand once. Use TorchSharp 0.107.0, or a system with libstdc++ 13.2 or newer (Ubuntu 24.04, Debian 13).",
                Library, NewSymbol, symbols.Count, NewVersion, versions.Count, hashes.Count);
            return false;
        }

        Overwrite(bytes, symbols[0] + 1, OldSymbol, NewSymbol.Length);
        Overwrite(bytes, versions[0] + 1, OldVersion, NewVersion.Length);
        BitConverter.GetBytes(ElfHash(OldVersion)).CopyTo(bytes, hashes[0]);

        string cured = Library + ".cured";
        File.WriteAllBytes(cured, bytes);
        // Size and time stay those of the package's file, so that the next incremental build leaves the cured copy in place.
        File.SetLastWriteTimeUtc(cured, File.GetLastWriteTimeUtc(Library));
        File.Delete(Library);
        File.Move(cured, Library);
        Log.LogMessage(MessageImportance.Normal, "{0}: rewritten to load on this system's libstdc++.", Library);
        return true;
    }

    /// <summary>Whether the machine's own libstdc++ offers GLIBCXX_3.4.32. Where none is found the library is cured: that is harmless.</summary>
    private static bool SystemHasNewVersion()
    {
        foreach (string folder in new[] { "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/lib/x86_64-linux-gnu", "/usr/lib" })
        {
            string path = Path.Combine(folder, "libstdc++.so.6");
            if (File.Exists(path)) return Find(File.ReadAllBytes(path), Entry(NewVersion)).Count > 0;
        }

        return false;
    }

    /// <summary>The bytes of a whole entry of a string table: the unstripped .strtab also holds "symbol@version".</summary>
    private static byte[] Entry(string text)
    {
        return Encoding.ASCII.GetBytes("\0" + text + "\0");
    }

    private static void Overwrite(byte[] bytes, int at, string text, int length)
    {
        Array.Clear(bytes, at, length);
        Encoding.ASCII.GetBytes(text).CopyTo(bytes, at);
    }

    private static List<int> Find(byte[] bytes, byte[] pattern)
    {
        var found = new List<int>();
        for (int i = Array.IndexOf(bytes, pattern[0]); i >= 0 && i <= bytes.Length - pattern.Length; i = Array.IndexOf(bytes, pattern[0], i + 1))
        {
            int j = 1;
            while (j < pattern.Length && bytes[i + j] == pattern[j]) j++;
            if (j == pattern.Length) found.Add(i);
        }

        return found;
    }

    /// <summary>The System V ABI's hash of a symbol version's name.</summary>
    private static uint ElfHash(string name)
    {
        uint hash = 0;
        foreach (char c in name)
        {
            hash = (hash << 4) + c;
            uint high = hash & 0xf0000000;
            hash = (hash ^ (high >> 24)) & ~high;
        }

        return hash;
    }
}
