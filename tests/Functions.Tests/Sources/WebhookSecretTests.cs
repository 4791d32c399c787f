using System.Text;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Sources;

/// <summary>Signatures as receivers of Standard Webhooks check them.</summary>
public sealed class WebhookSecretTests
{
    /// <summary>The example of https://docs.svix.com/receiving/verifying-payloads/how-manual.</summary>
    [Fact]
    public void The_example_of_the_specification_is_signed_as_there()
    {
        var secret = new WebhookSecret("whsec_plJ3nmyCDGBKInavdOK15jsl");
        string signature = secret.Sign("msg_loFOjxBNrRLzqYUf", 1731705121, Encoding.UTF8.GetBytes("""{"event_type":"ping","data":{"success":true}}"""));
        Assert.Equal("v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=", signature);
    }

    [Fact]
    public void While_one_secret_gives_way_to_another_both_sign()
    {
        var (old, next) = (new WebhookSecret("whsec_plJ3nmyCDGBKInavdOK15jsl"), new WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        var both = new WebhookSecret("whsec_plJ3nmyCDGBKInavdOK15jsl whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        Assert.Equal($"{old.Sign("id", 1, "x"u8)} {next.Sign("id", 1, "x"u8)}", both.Sign("id", 1, "x"u8));
    }

    [Theory]
    [InlineData("secret")]
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
