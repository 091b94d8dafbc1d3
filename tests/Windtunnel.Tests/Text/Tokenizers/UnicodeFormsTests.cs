using System.Text.Json;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text.Tokenizers;

public sealed class UnicodeFormsTests
{
    [Fact]
    public void Text_is_normalized_as_by_an_independent_library()
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Golden", "unicode_forms.json")));
        Assert.Equal(600, golden.RootElement.GetArrayLength());
        foreach (JsonElement test in golden.RootElement.EnumerateArray())
        {
            string text = test.GetProperty("text").GetString()!;
            foreach ((string form, bool compatibility, bool compose) in (ReadOnlySpan<(string, bool, bool)>)[("nfc", false, true), ("nfd", false, false), ("nfkc", true, true), ("nfkd", true, false)])
            {
                Assert.Equal(test.GetProperty(form).GetString(), UnicodeForms.Normalize(text, compatibility, compose));
            }
        }
    }

    [Theory]
    [InlineData("plain ASCII", "plain ASCII")]
    [InlineData("e\u0301", "é")]
    [InlineData("각", "각")]
    [InlineData("\u2126\uFB01", "Ωfi")]
    public void Known_text_is_composed_compatibly(string text, string expected) =>
        Assert.Equal(expected, UnicodeForms.Normalize(text, compatibility: true, compose: true));
}
