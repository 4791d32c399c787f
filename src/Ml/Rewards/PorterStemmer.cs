namespace RlhfFunctions.Ml.Rewards;

/// <summary>
/// English stems as rouge_score makes them: Porter's algorithm ("An algorithm for suffix stripping", 1980) with NLTK's departures (a few
/// irregular words, y → i after consonants only, milder on short words).
/// </summary>
internal static class PorterStemmer
{
    private static readonly Dictionary<string, string> Irregular = new()
    {
        ["sky"] = "sky",
        ["skies"] = "sky",
        ["dying"] = "die",
        ["lying"] = "lie",
        ["tying"] = "tie",
        ["news"] = "news",
        ["innings"] = "inning",
        ["inning"] = "inning",
        ["outings"] = "outing",
        ["outing"] = "outing",
        ["cannings"] = "canning",
        ["canning"] = "canning",
        ["howe"] = "howe",
        ["proceed"] = "proceed",
        ["exceed"] = "exceed",
        ["succeed"] = "succeed",
    };

    // In each list the first suffix that fits decides, whether its condition holds or not.
    private static readonly (string Suffix, string Replacement)[] Step2 =
    [
        ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"), ("alli", "al"),
        ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"),
        ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"), ("fulli", "ful"),
    ];

    private static readonly (string Suffix, string Replacement)[] Step3 =
        [("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

    private static readonly string[] Step4 =
    [
        "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize",
    ];

    /// <summary>The stem of a lower-case word.</summary>
    public static string Stem(string word)
    {
        if (Irregular.TryGetValue(word, out var stem))
            return stem;
        if (word.Length <= 2)
            return word;
        word = Plural(word);
        word = PastAndGerund(word);
        if (word.Length > 2 && word[^1] == 'y' && IsConsonant(word, word.Length - 2))
            word = word[..^1] + "i";
        word = DoubleSuffix(word);
        word = Replace(word, Step3);
        word = LastSuffix(word);
        word = FinalE(word);
        return word.EndsWith("ll", StringComparison.Ordinal) && Measure(word[..^1]) > 1 ? word[..^1] : word;
    }

    private static string Plural(string word)
    {
        if (word.EndsWith("ies", StringComparison.Ordinal))
            return word.Length == 4 ? word[..^1] : word[..^2]; // ties → tie, ponies → poni
        if (word.EndsWith("sses", StringComparison.Ordinal))
            return word[..^2];
        return word[^1] == 's' && word[^2] != 's' ? word[..^1] : word;
    }

    private static string PastAndGerund(string word)
    {
        if (word.EndsWith("ied", StringComparison.Ordinal))
            return word.Length == 4 ? word[..^1] : word[..^2]; // tied → tie, spied → spi
        if (word.EndsWith("eed", StringComparison.Ordinal))
            return Measure(word[..^3]) > 0 ? word[..^1] : word;
        var cut = word.EndsWith("ed", StringComparison.Ordinal) ? 2 : word.EndsWith("ing", StringComparison.Ordinal) ? 3 : 0;
        var stem = word[..^cut];
        if (cut == 0 || !HasVowel(stem))
            return word;
        if (stem.EndsWith("at", StringComparison.Ordinal) || stem.EndsWith("bl", StringComparison.Ordinal) || stem.EndsWith("iz", StringComparison.Ordinal))
            return stem + "e";
        if (EndsInDoubleConsonant(stem))
            return stem[^1] is 'l' or 's' or 'z' ? stem : stem[..^1];
        return Measure(stem) == 1 && EndsInShortSyllable(stem) ? stem + "e" : stem;
    }

    private static string DoubleSuffix(string word)
    {
        if (word.EndsWith("alli", StringComparison.Ordinal) && Measure(word[..^4]) > 0)
            return DoubleSuffix(word[..^2]);
        if (word.EndsWith("logi", StringComparison.Ordinal)) // the l counts towards the measure: geologi → geolog
            return Measure(word[..^3]) > 0 ? word[..^1] : word;
        return Replace(word, Step2);
    }

    private static string LastSuffix(string word)
    {
        foreach (var suffix in Step4)
        {
            if (!word.EndsWith(suffix, StringComparison.Ordinal))
                continue;
            var stem = word[..^suffix.Length];
            return Measure(stem) > 1 && (suffix != "ion" || stem[^1] is 's' or 't') ? stem : word;
        }
        return word;
    }

    private static string FinalE(string word)
    {
        if (word[^1] != 'e')
            return word;
        var stem = word[..^1];
        return Measure(stem) is var measure && (measure > 1 || (measure == 1 && !EndsInShortSyllable(stem))) ? stem : word;
    }

    /// <summary>Replaces the first suffix that fits, if its stem has a measure above 0.</summary>
    private static string Replace(string word, (string Suffix, string Replacement)[] rules)
    {
        foreach (var (suffix, replacement) in rules)
        {
            if (!word.EndsWith(suffix, StringComparison.Ordinal))
                continue;
            var stem = word[..^suffix.Length];
            return Measure(stem) > 0 ? stem + replacement : word;
        }
        return word;
    }

    private static bool IsConsonant(string word, int i) => word[i] switch
    {
        'a' or 'e' or 'i' or 'o' or 'u' => false,
        'y' => i == 0 || !IsConsonant(word, i - 1),
        _ => true,
    };

    /// <summary>Porter's m: how often a consonant follows a vowel.</summary>
    private static int Measure(string stem) =>
        Enumerable.Range(1, Math.Max(0, stem.Length - 1)).Count(i => IsConsonant(stem, i) && !IsConsonant(stem, i - 1));

    private static bool HasVowel(string stem) => Enumerable.Range(0, stem.Length).Any(i => !IsConsonant(stem, i));

    private static bool EndsInDoubleConsonant(string stem) =>
        stem.Length >= 2 && stem[^1] == stem[^2] && IsConsonant(stem, stem.Length - 1);

    /// <summary>Consonant, vowel, consonant other than w, x, y ("hop"); or a word of just vowel and consonant.</summary>
    private static bool EndsInShortSyllable(string stem)
    {
        var last = stem.Length - 1;
        if (stem.Length == 2)
            return !IsConsonant(stem, 0) && IsConsonant(stem, 1);
        return stem.Length >= 3 && IsConsonant(stem, last - 2) && !IsConsonant(stem, last - 1) && IsConsonant(stem, last)
            && stem[^1] is not ('w' or 'x' or 'y');
    }
}
