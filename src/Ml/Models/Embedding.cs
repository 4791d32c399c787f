using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>A row of the table for each id.</summary>
internal sealed class Embedding : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    /// <param name="weight">[rows, H]; owned by the module from here on.</param>
    public Embedding(Parameter weight)
        : base(nameof(Embedding))
    {
        _weight = weight;
        RegisterComponents();
    }

    /// <summary>[rows, H]</summary>
    public Tensor Weight => _weight;

    /// <param name="ids">[B, T] int64</param>
    /// <returns>[B, T, H]</returns>
    public override Tensor forward(Tensor ids)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(_weight.index_select(0, ids.reshape(-1)).view(ids.shape[0], ids.shape[1], _weight.shape[1]));
    }
}
