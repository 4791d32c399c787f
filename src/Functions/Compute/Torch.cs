using RlhfFunctions.Storage;
using TorchSharp;

namespace RlhfFunctions.Compute;

/// <summary>What must be said to libtorch before an activity computes.</summary>
internal static class Torch
{
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
