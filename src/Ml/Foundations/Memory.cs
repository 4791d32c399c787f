using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>libtorch's memory as loops see it.</summary>
internal static unsafe partial class Memory
{
    private const int MapThreshold = -3; // M_MMAP_THRESHOLD of malloc.h

    /// <summary>
    /// Lets every block of half a megabyte or more go back to the system when it is freed. glibc raises that limit to the largest block it
    /// has seen, up to 32 MB, and keeps the rest: of an update of TinyLlama's shape 0.7 of 2.5 GB were such gaps. For the process, and
    /// of use to large models only: small ones do not need it, and fresh pages cost time.
    /// </summary>
    public static void ReturnLargeBlocks()
    {
        try
        {
            if (OperatingSystem.IsLinux())
                _ = MallOpt(MapThreshold, 1 << 19);
        }
        catch (EntryPointNotFoundException)
        {
            // another C library, which has rules of its own
        }
    }

    /// <summary>Where the numbers of a contiguous tensor on the CPU stand; whoever uses it keeps the tensor alive.</summary>
    public static T* Of<T>(Tensor tensor)
        where T : unmanaged
    {
        fixed (byte* start = tensor.bytes)
            return (T*)start; // the garbage collector does not move it
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int MallOpt(int parameter, int value);
}
