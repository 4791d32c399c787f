using System.Globalization;
using System.Runtime.CompilerServices;
using static RlhfFunctions.Ml.Text.Jinja.JinjaValues;

namespace RlhfFunctions.Ml.Text.Jinja;

/// <summary>Reads expressions off the tokens of a template, by the precedence Jinja gives them.</summary>
internal sealed class JinjaExpressions(List<Token> tokens)
{
    /// <summary>An expression compiled: its value, once the names are known.</summary>
    public delegate object? Compiled(JinjaScope scope);

    private int _place;

    public Token Next => tokens[_place];

    /// <summary>The next token; the template's end is never passed.</summary>
    public Token Take() => tokens[_place < tokens.Count - 1 ? _place++ : _place];

    /// <exception cref="InvalidDataException">Another token is next.</exception>
    public void Take(string value)
    {
        if (!TakeIf(value))
            throw Unexpected();
    }

    public bool TakeIf(string value)
    {
        if (!Next.Is(value))
            return false;
        _place++;
        return true;
    }

    /// <exception cref="InvalidDataException">No name is next.</exception>
    public string TakeName() => Next.Kind == TokenKind.Name ? Take().Value : throw Unexpected();

    public InvalidDataException Unexpected() => new(
        $"the chat template is broken in line {Next.Line}, or uses what is not supported: "
        + (Next.Kind == TokenKind.EndOfTemplate ? "it ends too early" : $"\"{Next.Value}\" is not expected there"));

    /// <summary>One expression, or several with commas between, which make a list.</summary>
    public Compiled ExpressionList()
    {
        var first = Expression();
        if (!Next.Is(","))
            return first;
        var items = new List<Compiled> { first };
        while (TakeIf(","))
            items.Add(Expression());
        return List(items);
    }

    /// <summary>a if condition else b</summary>
    public Compiled Expression()
    {
        RuntimeHelpers.EnsureSufficientExecutionStack(); // a template comes from anywhere, and may be nested beyond all measure
        var value = Disjunction();
        if (!TakeIf("if"))
            return value;
        var condition = Disjunction();
        var otherwise = TakeIf("else") ? Expression() : static _ => Undefined.Value;
        return scope => IsTrue(condition(scope)) ? value(scope) : otherwise(scope);
    }

    /// <summary>a or b</summary>
    public Compiled Disjunction()
    {
        var left = Conjunction();
        while (TakeIf("or"))
        {
            var (a, b) = (left, Conjunction());
            left = scope => a(scope) is var value && IsTrue(value) ? value : b(scope);
        }
        return left;
    }

    private Compiled Conjunction()
    {
        var left = Negation();
        while (TakeIf("and"))
        {
            var (a, b) = (left, Negation());
            left = scope => a(scope) is var value && IsTrue(value) ? b(scope) : value;
        }
        return left;
    }

    private Compiled Negation()
    {
        if (!TakeIf("not"))
            return Comparison();
        var value = Negation();
        return scope => !IsTrue(value(scope));
    }

    private Compiled Comparison()
    {
        var left = Calculation(0);
        while (true)
        {
            Func<object?, object?, bool>? holds = Next.Value switch
            {
                _ when Next.Kind is not (TokenKind.Sign or TokenKind.Name) => null,
                "==" => AreEqual,
                "!=" => (a, b) => !AreEqual(a, b),
                "<" => (a, b) => Compare(a, b) < 0,
                "<=" => (a, b) => Compare(a, b) <= 0,
                ">" => (a, b) => Compare(a, b) > 0,
                ">=" => (a, b) => Compare(a, b) >= 0,
                "in" => (a, b) => Contains(b, a),
                "not" when tokens[_place + 1].Is("in") => (a, b) => !Contains(b, a),
                _ => null,
            };
            if (holds is null)
                return left;
            if (Take().Value == "not")
                Take("in");
            var (first, second) = (left, Calculation(0));
            left = scope => holds(first(scope), second(scope));
        }
    }

    private static readonly string[][] Levels = [["+", "-"], ["~"], ["*", "/", "//", "%"]];

    private Compiled Calculation(int level)
    {
        if (level == Levels.Length)
            return Unary();
        var left = Calculation(level + 1);
        while (Next.Kind == TokenKind.Sign && Levels[level].Contains(Next.Value))
        {
            var sign = Take().Value;
            var (a, b) = (left, Calculation(level + 1));
            left = scope => Calculate(sign, a(scope), b(scope));
        }
        return left;
    }

    private Compiled Unary()
    {
        if (!TakeIf("-"))
            return Filtered(Postfixed(Primary()));
        var value = Unary();
        return scope => Calculate("-", 0L, value(scope));
    }

    private Compiled Primary()
    {
        var token = Take();
        switch (token.Kind)
        {
            case TokenKind.String:
                var text = token.Value;
                while (Next.Kind == TokenKind.String) // neighbours are one
                    text += Take().Value;
                return _ => text;
            case TokenKind.Number:
                object number = token.Value.Contains('.') ? (object)double.Parse(token.Value, CultureInfo.InvariantCulture) : long.Parse(token.Value, CultureInfo.InvariantCulture);
                return _ => number;
            case TokenKind.Name:
                return token.Value switch
                {
                    "true" or "True" => _ => true,
                    "false" or "False" => _ => false,
                    "none" or "None" => _ => null,
                    var name => scope => scope[name],
                };
            case TokenKind.Sign when token.Value == "(":
                var inner = ExpressionList();
                Take(")");
                return inner;
            case TokenKind.Sign when token.Value == "[":
                return List(Until("]", Expression));
            case TokenKind.Sign when token.Value == "{":
                var pairs = Until("}", () =>
                {
                    var key = Expression();
                    Take(":");
                    return (Key: key, Value: Expression());
                });
                return scope => pairs.ToDictionary(pair => AsText(pair.Key(scope)), pair => pair.Value(scope));
            default:
                _place--;
                throw Unexpected();
        }
    }

    private Compiled Postfixed(Compiled value)
    {
        while (true)
        {
            var inner = value;
            if (TakeIf("."))
            {
                var name = Next.Kind == TokenKind.Number ? (object)long.Parse(Take().Value, CultureInfo.InvariantCulture) : TakeName();
                value = scope => Member(inner(scope), name);
            }
            else if (TakeIf("["))
            {
                value = Subscript(inner);
            }
            else if (Next.Is("("))
            {
                var (line, arguments) = (Next.Line, Arguments());
                value = scope => inner(scope) is Callable function
                    ? arguments(scope) is var (positional, named) ? function(positional, named) : null
                    : throw Wrong($"what line {line} calls is no function that is supported");
            }
            else
            {
                return value;
            }
        }
    }

    private Compiled Subscript(Compiled value)
    {
        Compiled? from = Next.Is(":") ? null : Expression();
        if (TakeIf("]"))
            return scope => Member(value(scope), from!(scope));
        Take(":");
        Compiled? to = Next.Is(":") || Next.Is("]") ? null : Expression();
        Compiled? step = TakeIf(":") && !Next.Is("]") ? Expression() : null;
        Take("]");
        return scope => Slice(value(scope), Whole(from?.Invoke(scope)), Whole(to?.Invoke(scope)), Whole(step?.Invoke(scope)) ?? 1);
    }

    private Compiled Filtered(Compiled value)
    {
        while (true)
        {
            var inner = value;
            if (TakeIf("|"))
            {
                var line = Next.Line;
                var name = TakeName();
                if (!JinjaFunctions.Filters.TryGetValue(name, out var filter))
                    throw new InvalidDataException($"the chat template has the filter \"{name}\" in line {line}, which is not supported");
                var arguments = Next.Is("(") ? Arguments() : _ => ([], new());
                value = scope => arguments(scope) is var (positional, named) ? filter([inner(scope), .. positional], named) : null;
            }
            else if (TakeIf("is"))
            {
                var isNegated = TakeIf("not");
                var line = Next.Line;
                var name = TakeName();
                if (!JinjaFunctions.Tests.TryGetValue(name, out var test))
                    throw new InvalidDataException($"the chat template tests for \"{name}\" in line {line}, which is not supported");
                var arguments = Next.Is("(") ? Arguments() : _ => ([], new());
                value = scope => test([inner(scope), .. arguments(scope).Positional]) != isNegated;
            }
            else if (Next.Is("(") || Next.Is(".") || Next.Is("["))
            {
                value = Postfixed(value);
            }
            else
            {
                return value;
            }
        }
    }

    private Func<JinjaScope, (List<object?> Positional, Dictionary<string, object?> Named)> Arguments()
    {
        Take("(");
        var all = Until(")", () =>
        {
            var name = Next.Kind == TokenKind.Name && tokens[_place + 1].Is("=") ? TakeName() : null;
            if (name is not null)
                Take("=");
            return (Name: name, Value: Expression());
        });
        return scope => (
            [.. all.Where(argument => argument.Name is null).Select(argument => argument.Value(scope))],
            all.Where(argument => argument.Name is not null).ToDictionary(argument => argument.Name!, argument => argument.Value(scope)));
    }

    /// <summary>Items with commas between, and a comma behind the last allowed.</summary>
    private List<T> Until<T>(string end, Func<T> item)
    {
        var items = new List<T>();
        while (!TakeIf(end))
        {
            items.Add(item());
            if (!Next.Is(end))
                Take(",");
        }
        return items;
    }

    private static Compiled List(List<Compiled> items) => scope => items.Select(item => item(scope)).ToList();
}
