using RlhfFunctions.Storage;
using TorchSharp;

namespace RlhfFunctions.Loading;

/// <summary>What must be said to libtorch before an activity computes.</summary>
internal static class Torch
{
    /// <summary>
    /// Sets the CPU threads of the calling thread's operations. The number is part of the result's last bits, so it comes from
    /// the request and is set on every thread anew. A thread's first use of libtorch takes over the number that any thread set
    /// last: that must be behind it, or it would undo ours.
    /// </summary>
    public static void UseThreads(int threads)
    {
        _ = torch.get_num_threads();
        torch.set_num_threads(threads);
    }

    /// <exception cref="InvalidInputException">The device is not there.</exception>
    public static torch.Device Device(string name)
    {
        if (name == "cuda" && !torch.cuda.is_available())
        {
            throw new InvalidInputException("compute.device is \"cuda\", but libtorch finds no CUDA device here. "
                + "Ask for \"cpu\", or run on a machine with an NVIDIA GPU and a build with -p:TorchBackend=cuda.");
        }

        return new torch.Device(name);
    }
}
