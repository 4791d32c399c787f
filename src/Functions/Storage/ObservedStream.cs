namespace RlhfFunctions.Storage;

/// <summary>Passes a stream on as it is read, once and from front to back, and shows each piece to an observer.</summary>
/// <param name="inner">What is read; disposed with this stream.</param>
/// <param name="observe">Sees every piece in order; empty at the end.</param>
public sealed class ObservedStream(Stream inner, Action<ReadOnlyMemory<byte>> observe) : ForwardStream
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int read = await inner.ReadAsync(buffer, cancellationToken);
        observe(buffer[..read]);
        return read;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
