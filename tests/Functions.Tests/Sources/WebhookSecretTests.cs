using System.Text;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Sources;

/// <summary>Signatures as receivers of Standard Webhooks check them.</summary>
public sealed class WebhookSecretTests
{
    private const string First = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Second = WebhookReceiver.Secret;

    /// <summary>The example that the libraries of https://github.com/standard-webhooks/standard-webhooks are tested with.</summary>
    [Fact]
    public void The_example_of_the_libraries_is_signed_as_there()
    {
        string signature = new WebhookSecret(First).Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, Encoding.UTF8.GetBytes("""{"test": 2432232314}"""));
        Assert.Equal("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", signature);
    }

    [Fact]
    public void While_one_secret_gives_way_to_another_both_sign()
    {
        var (old, next, both) = (new WebhookSecret(First), new WebhookSecret(Second), new WebhookSecret($"{First} {Second}"));
        Assert.Equal($"{old.Sign("id", 1, "x"u8)} {next.Sign("id", 1, "x"u8)}", both.Sign("id", 1, "x"u8));
    }

    [Theory]
    [InlineData("hunter2")]
    [InlineData("whsec_")]
    [InlineData("whsec_c2hvcnQ=")]
    [InlineData("whsec_not base64")]
    [InlineData("plJ3nmyCDGBKInavdOK15jsl")]
    public void What_is_no_secret_is_refused_and_not_repeated(string text)
    {
        var error = Assert.Throws<InvalidInputException>(() => new WebhookSecret(text));
        Assert.Contains(WebhookSecret.Setting, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(text.Replace("whsec_", "~", StringComparison.Ordinal), error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    public void There_need_be_none(string? text)
    {
        Assert.False(new WebhookSecret(text).IsSet);
    }
}
