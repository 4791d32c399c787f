using System.Text;
using System.Text.Json.Nodes;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;

namespace RlhfFunctions.Ml.Tests.Models;

public sealed class RobertaConfigTests
{
    /// <summary>As classifiers built on DistilRoBERTa have it: RoBERTa with half the layers.</summary>
    private const string Distilled = """
        {"architectures":["RobertaForSequenceClassification"],"model_type":"roberta","vocab_size":40,"hidden_size":24,"num_hidden_layers":6,
         "num_attention_heads":2,"intermediate_size":48,"max_position_embeddings":20,"type_vocab_size":1,"pad_token_id":1,"hidden_act":"gelu",
         "id2label":{"0":"anger","1":"joy","2":"neutral"},"label2id":{"anger":0,"joy":1,"neutral":2},"problem_type":"single_label_classification",
         "output_past":true,"gradient_checkpointing":false,"position_embedding_type":"absolute","classifier_dropout":null}
        """;

    [Fact]
    public void A_distilled_classifier_is_RoBERTa_with_fewer_layers_and_labels_of_its_own()
    {
        var config = Read(Distilled);
        Assert.Equal(6, config.Layers);
        Assert.Equal(["anger", "joy", "neutral"], config.Labels.OrderBy(label => label.Key).Select(label => label.Value));
        Assert.Equal(6, WeightInventory.Of(config).Weights.Count(weight => weight.Name.EndsWith("attention.self.query.weight", StringComparison.Ordinal)));
    }

    [Fact]
    public void XLM_RoBERTa_is_the_same_architecture() =>
        Assert.Equal(40, Read(Distilled.Replace("\"roberta\"", "\"xlm-roberta\"", StringComparison.Ordinal)).VocabularySize);

    [Theory]
    [InlineData("\"roberta\"", "\"distilbert\"", "distilbert")]
    [InlineData("\"gelu\"", "\"relu\"", "relu")]
    [InlineData("single_label", "token", "token_classification")]
    public void Other_encoders_are_refused_by_name(string from, string to, string named) => Assert.Contains(
        named, Assert.Throws<InvalidDataException>(() => Read(Distilled.Replace(from, to, StringComparison.Ordinal))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("single_label_classification", 3, LabelRule.OneOfAll)]
    [InlineData("single_label_classification", 1, LabelRule.Scores)] // a softmax of one is always one
    [InlineData(null, 1, LabelRule.Scores)]
    [InlineData(null, 3, LabelRule.OneOfAll)]
    [InlineData("multi_label_classification", 3, LabelRule.EachByItself)]
    [InlineData("multi_label_classification", 1, LabelRule.EachByItself)]
    [InlineData("regression", 1, LabelRule.Scores)]
    public void The_type_of_problem_says_what_the_outputs_are(string? problem, int outputs, LabelRule rule)
    {
        var json = JsonNode.Parse(Distilled)!;
        json["problem_type"] = problem;
        json["id2label"] = new JsonObject(Enumerable.Range(0, outputs).Select(i => KeyValuePair.Create($"{i}", (JsonNode?)JsonValue.Create($"label {i}"))));
        var config = Read(json.ToJsonString());
        Assert.Equal((outputs, rule), (config.Labels.Count, config.Rule));
    }

    private static RobertaConfig Read(string json) => RobertaConfig.Read(ConfigFile.Parse(Encoding.UTF8.GetBytes(json), "config.json"));
}
