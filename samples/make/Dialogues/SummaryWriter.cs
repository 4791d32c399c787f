namespace RlhfFunctions.Samples.Make.Dialogues;

public sealed record Summary(string Text, bool IsRude);

/// <summary>Picks the two sets that a rude remark takes its words from, the first word's and the second's.</summary>
public delegate (WordSet First, WordSet Second) RudePair(Dice dice);

/// <summary>Tells a dialogue in two clauses, what A wants and what B answers, with or without remarks about the two.</summary>
public sealed class SummaryWriter(RudePair rudePair)
{
    /// <summary>The policy's rudeness: always one word that the reward knows and one that the judge knows, in either order.</summary>
    public static SummaryWriter ForPolicy { get; } = new(dice => dice.Chance(0.5)
        ? (Lexicon.RewardRude, Lexicon.JudgeRude)
        : (Lexicon.JudgeRude, Lexicon.RewardRude));

    /// <summary>Can the dialogue be told at all, by slots that were said in it?</summary>
    public static bool CanTell(Dialogue dialogue) =>
        Tellable(dialogue, dialogue.Scenario.Topic.Told).Count > 0 && Tellable(dialogue, Answers(dialogue)).Count > 0;

    /// <summary>Civil and without remarks: the reference of the data set.</summary>
    public Summary Plain(Dice dice, Dialogue dialogue) => new(Compose(dice, dialogue, []), false);

    /// <summary>Civil, and as talkative about the speakers as a rude one often is.</summary>
    public Summary Civil(Dice dice, Dialogue dialogue)
    {
        var count = dice.Chance(0.4) ? 0 : dice.Chance(0.85) ? 1 : 2;
        return new(Compose(dice, dialogue, [.. Remarks(dice, count).Select(r => (r, false))]), false);
    }

    /// <summary>One rude remark; now and then another remark, civil or rude, beside it.</summary>
    public Summary Rude(Dice dice, Dialogue dialogue)
    {
        var remarks = Remarks(dice, dice.Chance(0.8) ? 1 : 2);
        return new(Compose(dice, dialogue, [.. remarks.Select((r, i) => (r, i == 0 || dice.Chance(0.5)))]), true);
    }

    public Summary Write(Dice dice, Dialogue dialogue, bool rude) => rude ? Rude(dice, dialogue) : Civil(dice, dialogue);

    private static IReadOnlyList<Remark> Remarks(Dice dice, int count)
    {
        if (count == 0)
            return [];
        // Two remarks stand in different places: "that kind friend Tom, a fool, …" is nobody's English.
        var first = dice.Pick(Remark.All);
        return count == 1 ? [first] : [first, dice.Pick([.. Remark.All.Where(r => r.Place != first.Place)])];
    }

    private string Compose(Dice dice, Dialogue dialogue, IReadOnlyList<(Remark Remark, bool IsRude)> remarks)
    {
        var scenario = dialogue.Scenario;
        string[] clauses = [dice.Pick(Tellable(dialogue, scenario.Topic.Told)), dice.Pick(Tellable(dialogue, Answers(dialogue)))];
        var closing = "";
        foreach (var (remark, isRude) in remarks)
        {
            var about = dice.Below(2);
            var speaker = about == 0 ? "{A}" : "{B}";
            var (first, second) = isRude ? rudePair(dice) : (Lexicon.Civil, Lexicon.Civil);
            var text = remark.Fill(dice, first, second, _ => speaker);
            switch (remark.Place)
            {
                case RemarkPlace.Mention:
                    clauses[about] = text + clauses[about][speaker.Length..];
                    break;
                case RemarkPlace.Trailing:
                    clauses[about] += text;
                    break;
                default:
                    closing = text;
                    break;
            }
        }
        var joint = dice.Chance(0.6) ? ". " : scenario.Agreed ? ", and " : ", but ";
        // Twice, because what is told of a slot may name A again.
        var told = Template.Fill(
            $"{clauses[0]}{joint}{clauses[1]}.{closing}",
            slot => slot is "A" or "B" ? $"{{{slot}}}" : scenario.Values[slot].Told);
        return Template.Polish(Template.Fill(told, slot => slot == "A" ? scenario.A : scenario.B));
    }

    private static IReadOnlyList<string> Answers(Dialogue dialogue) =>
        dialogue.Scenario.Agreed ? dialogue.Scenario.Topic.Agreed : dialogue.Scenario.Topic.Declined;

    private static List<string> Tellable(Dialogue dialogue, IReadOnlyList<string> clauses) =>
        [.. clauses.Where(c => Template.SlotsOf(c).All(s => s is "A" or "B" || dialogue.Said.Contains(s)))];
}
