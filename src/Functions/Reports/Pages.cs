namespace RlhfFunctions.Reports;

/// <summary>What all small pages have around them.</summary>
internal static class Pages
{
    public static Html Whole(string title, Html body)
    {
        return $"""
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
            <style>{ReportStyle.Css}</style></head>
            <body><main>
            {body}</main></body></html>

            """;
    }
}
