using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>libtorch's memory as loops see it.</summary>
internal static unsafe class Memory
{
    /// <summary>Where the numbers of a contiguous tensor on the CPU stand; whoever uses it keeps the tensor alive.</summary>
    public static T* Of<T>(Tensor tensor)
        where T : unmanaged
    {
        fixed (byte* start = tensor.bytes)
            return (T*)start; // the garbage collector does not move it
    }
}
