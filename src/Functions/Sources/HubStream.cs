using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Sources;

/// <summary>
/// A file of the hub as it comes over the network. After a cut or a stall it goes on from the last byte received; whoever has
/// read it to its end has read what the hub's list of files promised, or an exception.
/// </summary>
/// <param name="hub">Sends the requests.</param>
/// <param name="address">Where the hub serves the file.</param>
/// <param name="source">What the file is for, for errors.</param>
/// <param name="file">What the file must be.</param>
/// <param name="mostBytes">Beyond these it is refused.</param>
public sealed class HubStream(HubConnection hub, Uri address, HubSource source, HubFile file, long mostBytes) : ForwardStream
{
    private readonly IncrementalHash? _hash = StartHash(file);
    private long? _size = file.Size;
    private long _position;
    private EntityTagHeaderValue? _version;
    private HttpResponseMessage? _answer;
    private Stream? _body;
    private bool _isVerified;

    /// <exception cref="HubFaultException">The file could not be fetched whole in spite of all retries, or is not what it must be.</exception>
    /// <exception cref="InvalidInputException">It is larger than it may be.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty) return 0;
        int read = await hub.PatientlyAsync(() => ReadOnceAsync(buffer, cancellationToken), cancellationToken);
        _hash?.AppendData(buffer.Span[..read]);
        _position += read;
        CheckSize(_position);
        if (read == 0) Verify();
        return read;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Disconnect();
            _hash?.Dispose();
        }

        base.Dispose(disposing);
    }

    private static IncrementalHash? StartHash(HubFile file)
    {
        if (file.Sha256 is not null) return IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        if (file.GitSha1 is null || file.Size is null) return null;
        // Git's name of a content: of its kind and length, a zero byte, and the content itself.
        var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
        hash.AppendData(Encoding.ASCII.GetBytes($"blob {file.Size}\0"));
        return hash;
    }

    private async Task<int> ReadOnceAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        if (_position == _size) return 0;
        try
        {
            _body ??= await OpenAsync(cancellation);
            var wanted = _size is { } size && size - _position < buffer.Length ? buffer[..(int)(size - _position)] : buffer;
            int read = await ReceiveAsync(_body, wanted, cancellation);
            if (read == 0 && _size is not null) throw new HubFaultException($"{address} ended after {_position} of {_size} bytes.");
            return read;
        }
        catch (HubFaultException)
        {
            Disconnect();
            throw;
        }
    }

    /// <summary>The body from the current position on.</summary>
    private async Task<Stream> OpenAsync(CancellationToken cancellation)
    {
        _answer = await hub.GetAsync(address, source, _position, _version, cancellation);
        var content = _answer.Content.Headers;
        bool isRest = _answer.StatusCode == HttpStatusCode.PartialContent;
        if (isRest && content.ContentRange?.From != _position)
            throw new HubFaultException($"{address} sends bytes from {content.ContentRange?.From}, asked for were those from {_position}.");

        long? size = isRest ? content.ContentRange?.Length : content.ContentLength;
        CheckSize(size ?? 0);
        _size ??= size;
        if (size is not null && size != _size)
            throw new HubFaultException($"{address} announces {size} bytes, but \"{file.Name}\" has {_size}.");

        var body = await _answer.Content.ReadAsStreamAsync(cancellation);
        if (!isRest && _position > 0) await SkipAsync(body, cancellation);
        _version ??= _answer.Headers.ETag;
        return body;
    }

    /// <summary>For a server that was asked for the rest and sends the whole: passes over what is here already.</summary>
    private async Task SkipAsync(Stream body, CancellationToken cancellation)
    {
        if (_hash is null && !Equals(_version, _answer!.Headers.ETag))
            throw new HubFaultException($"{address} changed while it was fetched.");
        byte[] skipped = new byte[1 << 16];
        for (long left = _position; left > 0;)
        {
            int read = await ReceiveAsync(body, skipped.AsMemory(0, (int)Math.Min(left, skipped.Length)), cancellation);
            if (read == 0) throw new HubFaultException($"{address} ended {left} bytes before what was received already.");
            left -= read;
        }
    }

    private Task<int> ReceiveAsync(Stream body, Memory<byte> buffer, CancellationToken cancellation)
    {
        return hub.WithinStallTimeoutAsync(address, stop => body.ReadAsync(buffer, stop).AsTask(), cancellation);
    }

    private void CheckSize(long bytes)
    {
        if (bytes <= mostBytes) return;
        throw new InvalidInputException($"\"{file.Name}\" of \"{source}\" has more than the {mostBytes} bytes that this host takes. "
            + "Name a smaller one, or raise the setting RlhfLimits__DataBytes (files of dialogues) or RlhfLimits__ModelFileBytes (models).");
    }

    private void Verify()
    {
        if (_isVerified) return;
        if (_hash is not null)
        {
            string actual = Convert.ToHexStringLower(_hash.GetHashAndReset());
            string expected = file.Sha256 ?? file.GitSha1!;
            if (!actual.Equals(expected, StringComparison.OrdinalIgnoreCase))
            {
                throw new HubFaultException($"{address} came with the {(file.Sha256 is null ? "git SHA-1" : "SHA-256")} {actual}, but \"{file.Name}\" has {expected}. "
                    + "It was damaged on the way or on the server; nothing of it is kept.");
            }
        }

        _isVerified = true;
    }

    private void Disconnect()
    {
        _body?.Dispose();
        _answer?.Dispose();
        (_body, _answer) = (null, null);
    }
}
