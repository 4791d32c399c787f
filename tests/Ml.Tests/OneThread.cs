using System.Runtime.CompilerServices;

namespace RlhfFunctions.Ml.Tests;

/// <summary>The tests' models are tiny and xunit runs test classes side by side: more threads would only wait for one another.</summary>
internal static class OneThread
{
    [ModuleInitializer]
    internal static void Set() => TorchSharp.torch.set_num_threads(1);
}
