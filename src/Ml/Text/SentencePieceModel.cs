using Google.Protobuf;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// The pieces and scores of a SentencePiece <c>tokenizer.model</c>. Microsoft.ML.Tokenizers reads the same file but keeps the scores
/// to itself, and they decide which merge goes first (Llama's runs of spaces score −1e9, out of the order of their ids).
/// </summary>
internal sealed class SentencePieceModel
{
    // Field numbers of sentencepiece_model.proto.
    private const int Pieces = 1, Trainer = 2, PieceText = 1, PieceScore = 2, TrainerModelType = 3;
    private const int BytePairEncoding = 2;

    /// <summary>Piece texts by id.</summary>
    public IReadOnlyList<string> Texts { get; }

    /// <summary>Ids by piece text.</summary>
    public IReadOnlyDictionary<string, int> Ids { get; }

    /// <summary>Log-probability-like score by id; the pair whose merged piece scores highest is merged first.</summary>
    public IReadOnlyList<float> Scores { get; }

    /// <summary>Ids of the pieces <c>&lt;0x00&gt;</c> to <c>&lt;0xFF&gt;</c>, which spell what the vocabulary lacks.</summary>
    public IReadOnlyList<int> ByteIds { get; }

    private SentencePieceModel(List<string> texts, List<float> scores, Dictionary<string, int> ids, int[] byteIds) =>
        (Texts, Scores, Ids, ByteIds) = (texts, scores, ids, byteIds);

    /// <exception cref="InvalidDataException">The file is no SentencePiece BPE model with byte fallback.</exception>
    public static SentencePieceModel Read(string path)
    {
        var texts = new List<string>();
        var scores = new List<float>();
        var modelType = 1; // the format's default: unigram
        try
        {
            using var file = new CodedInputStream(File.OpenRead(path));
            while (file.ReadTag() is var tag && tag != 0)
            {
                switch (WireFormat.GetTagFieldNumber(tag))
                {
                    case Pieces:
                        var (text, score) = ReadPiece(file.ReadBytes());
                        texts.Add(text);
                        scores.Add(score);
                        break;
                    case Trainer:
                        modelType = ReadModelType(file.ReadBytes(), modelType);
                        break;
                    default:
                        file.SkipLastField();
                        break;
                }
            }
        }
        catch (InvalidProtocolBufferException broken)
        {
            throw new InvalidDataException($"{path} is no SentencePiece model: {broken.Message} Download it again.", broken);
        }
        if (modelType != BytePairEncoding)
            throw new InvalidDataException($"{path} is not a BPE model (model type {modelType}): only Llama's kind of tokenizer.model is supported.");
        var ids = new Dictionary<string, int>(texts.Count);
        for (var id = 0; id < texts.Count; id++)
            ids.TryAdd(texts[id], id);
        var byteIds = Enumerable.Range(0, 256).Select(value => ids.GetValueOrDefault($"<0x{value:X2}>", -1)).ToArray();
        if (byteIds.Contains(-1))
            throw new InvalidDataException($"{path} has no byte pieces <0x00> to <0xFF>: train it with byte_fallback, as Llama's is.");
        return new(texts, scores, ids, byteIds);
    }

    private static (string Text, float Score) ReadPiece(ByteString message)
    {
        var (text, score) = ("", 0f);
        using var input = message.CreateCodedInput();
        while (input.ReadTag() is var tag && tag != 0)
        {
            switch (WireFormat.GetTagFieldNumber(tag))
            {
                case PieceText: text = input.ReadString(); break;
                case PieceScore: score = input.ReadFloat(); break;
                default: input.SkipLastField(); break;
            }
        }
        return (text, score);
    }

    private static int ReadModelType(ByteString message, int modelType)
    {
        using var input = message.CreateCodedInput();
        while (input.ReadTag() is var tag && tag != 0)
        {
            if (WireFormat.GetTagFieldNumber(tag) == TrainerModelType)
                modelType = input.ReadEnum();
            else
                input.SkipLastField();
        }
        return modelType;
    }
}
