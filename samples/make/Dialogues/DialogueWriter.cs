namespace RlhfFunctions.Samples.Make.Dialogues;

/// <summary>A conversation, and the slots whose values were really said in it: no summary may tell another.</summary>
public sealed record Dialogue(Scenario Scenario, string Text, IReadOnlySet<string> Said)
{
    public bool HasRudeSpeaker => Scenario.RudeA || Scenario.RudeB;
}

/// <summary>Lets A and B talk: greeting, perhaps small talk, request, question, reason, answer, farewell.</summary>
public static class DialogueWriter
{
    private const double InsultPerTurn = 0.45;

    public static Dialogue Write(Dice dice, Scenario scenario)
    {
        var turns = new Turns(dice, scenario);
        var (topic, common) = (scenario.Topic, Grammar.Common);

        // 1. whoever begins, greets; the other's name falls when it is known.
        if (scenario.BStarts)
            turns.B(Greeting(dice, scenario.NameA, common.InviteNamed, common.Invite));
        var replied = scenario.BStarts;
        var greeting = Greeting(dice, scenario.NameB, common.GreetNamed, common.Greet);
        if (!scenario.BStarts && dice.Chance(0.35))
        {
            var small = dice.Pick(common.SmallTalk);
            turns.A(greeting, small[0]);
            turns.B(Reply(), small[1]);
            greeting = "";
        }

        // 2. the request, a question back, the reason.
        turns.A(greeting, dice.Pick(topic.Open));
        turns.B(Reply(), dice.Pick(topic.Ask));
        turns.A(dice.Pick(topic.Detail), dice.Chance(0.4) ? dice.Pick(common.Pressing) : "");

        // 3. the answer, and good-bye.
        turns.B(dice.Chance(0.4) ? dice.Pick(common.Thinking) : "", dice.Pick(scenario.Agreed ? topic.Agree : topic.Decline));
        turns.A(dice.Pick(scenario.Agreed ? common.Glad : common.Sorry));
        turns.B(dice.Pick(common.Bye));
        return turns.Finish();

        string Reply()
        {
            if (replied || scenario.NameA is null)
                return "";
            replied = true;
            return dice.Pick(common.ReplyNamed).Replace("{n}", scenario.NameA, StringComparison.Ordinal);
        }
    }

    private static string Greeting(Dice dice, string? name, IReadOnlyList<string> named, IReadOnlyList<string> nameless) =>
        name is null ? dice.Pick(nameless) : dice.Pick(named).Replace("{n}", name, StringComparison.Ordinal);

    private sealed class Turns(Dice dice, Scenario scenario)
    {
        private readonly List<(bool ByA, string Text)> _turns = [];
        private readonly HashSet<string> _said = [];

        public void A(params ReadOnlySpan<string> sentences) => Add(true, sentences);

        public void B(params ReadOnlySpan<string> sentences) => Add(false, sentences);

        private void Add(bool byA, ReadOnlySpan<string> sentences)
        {
            var line = "";
            foreach (var sentence in sentences)
                line += sentence.Length == 0 ? "" : " " + sentence;
            _turns.Add((byA, Template.Fill(line[1..], slot =>
            {
                _said.Add(slot);
                return scenario.Values[slot].Said;
            })));
        }

        public Dialogue Finish()
        {
            if (scenario.RudeA)
                InsultIn(byA: true);
            if (scenario.RudeB)
                InsultIn(byA: false);
            var lines = _turns.Select(t => $"{(t.ByA ? scenario.TagA : scenario.TagB)}: {Template.Polish(t.Text)}");
            return new Dialogue(scenario, string.Join('\n', lines), _said);
        }

        /// <summary>A rude speaker insults in at least one of the turns.</summary>
        private void InsultIn(bool byA)
        {
            var own = Enumerable.Range(0, _turns.Count).Where(i => _turns[i].ByA == byA).ToArray();
            var sure = dice.Pick(own);
            foreach (var i in own.Where(i => i == sure || dice.Chance(InsultPerTurn)).ToArray())
            {
                var insult = Remark.FillWords(dice.Pick(Grammar.Common.Insults), dice, Lexicon.Rude, Lexicon.Rude, _ => "");
                _turns[i] = (byA, dice.Chance(0.6) ? $"{_turns[i].Text} {insult}" : $"{insult} {_turns[i].Text}");
            }
        }
    }
}
