using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace RlhfFunctions.Ml.Tests.Pressure;

/// <summary>The TorchSharp.dll that runs here is the one that build/WeaveTorchSharp.cs made.</summary>
public class WovenTorchSharpTests
{
    [Fact]
    public void Whoever_takes_a_handle_keeps_its_owner_alive()
    {
        using var file = new PEReader(File.OpenRead(typeof(TorchSharp.torch).Assembly.Location));
        var metadata = file.GetMetadataReader();
        var keepAlive = metadata.MemberReferences.Where(member => Is(metadata.GetMemberReference(member).Name, "KeepAlive"))
            .Select(member => MetadataTokens.GetToken(member)).ToArray();
        var takeHandle = metadata.MethodDefinitions.Where(method => Is(metadata.GetMethodDefinition(method).Name, "get_Handle"))
            .Select(method => MetadataTokens.GetToken(method)).ToArray();

        var takers = 0;
        foreach (var method in metadata.MethodDefinitions.Select(metadata.GetMethodDefinition).Where(method => method.RelativeVirtualAddress != 0))
        {
            ReadOnlySpan<byte> code = file.GetMethodBody(method.RelativeVirtualAddress).GetILBytes();
            var taken = Calls(code, takeHandle);
            if (taken == 0)
                continue;
            takers++;
            Assert.True(Calls(code, keepAlive) >= taken, $"{metadata.GetString(method.Name)} takes {taken} handles and lets go of their owners.");
        }
        Assert.True(takers > 900, $"Only {takers} methods take handles: is this TorchSharp 0.107?");

        bool Is(StringHandle name, string text) => metadata.StringComparer.Equals(name, text);
    }

    private static int Calls(ReadOnlySpan<byte> code, int[] tokens)
    {
        var count = 0;
        for (var i = 0; i + sizeof(int) < code.Length; i++)
            if ((code[i] == OpCodes.Call.Value || code[i] == OpCodes.Callvirt.Value) && tokens.Contains(BitConverter.ToInt32(code[(i + 1)..])))
                count++;
        return count;
    }
}
