using System.Runtime.CompilerServices;
using System.Text;

namespace RlhfFunctions.Ml.Text.Jinja;

/// <summary>
/// Jinja as far as chat templates use it: loops, conditions, assignments, macros, expressions, the filters, tests and methods of
/// <see cref="JinjaFunctions"/>. It is compiled to functions at once, so that what is not supported is named before a run begins.
/// </summary>
internal sealed class JinjaTemplate
{
    private delegate Flow Statement(JinjaScope scope, StringBuilder output);

    private readonly JinjaExpressions _read;
    private readonly Statement _run;

    private enum Flow
    {
        GoesOn,
        Breaks,
        Continues,
    }

    /// <param name="template">Its text.</param>
    /// <exception cref="InvalidDataException">It is broken, or uses what is not supported.</exception>
    public JinjaTemplate(string template)
    {
        _read = new JinjaExpressions(JinjaLexer.Read(template));
        _run = Block();
        if (_read.Next.Kind != TokenKind.EndOfTemplate)
            throw _read.Unexpected();
    }

    /// <summary>Fills it in.</summary>
    /// <param name="names">Strings, bools, longs, lists and dictionaries by name.</param>
    /// <exception cref="InvalidDataException">The template refuses them, or does what has no value.</exception>
    public string Render(IEnumerable<KeyValuePair<string, object?>> names)
    {
        var scope = JinjaFunctions.Globals();
        foreach (var (name, value) in names)
            scope[name] = value;
        var output = new StringBuilder();
        _run(scope, output);
        return output.ToString();
    }

    /// <summary>Statements up to a tag that is none of its own, such as {% endfor %}; whose name is then next.</summary>
    private Statement Block(params string[] ends)
    {
        var statements = new List<Statement>();
        while (_read.Next.Kind != TokenKind.EndOfTemplate)
        {
            var token = _read.Take();
            if (token.Kind == TokenKind.Text)
            {
                statements.Add((_, output) => Write(output, token.Value));
                continue;
            }
            if (token.Is("{{"))
            {
                var value = _read.Expression();
                _read.Take("}}");
                statements.Add((scope, output) => Write(output, JinjaValues.AsText(value(scope))));
                continue;
            }
            if (ends.Contains(_read.Next.Value))
                break;
            statements.Add(TagStatement());
        }
        return Sequence(statements);
    }

    private static Statement Sequence(List<Statement> statements) => (scope, output) =>
    {
        foreach (var statement in statements)
            if (statement(scope, output) is not Flow.GoesOn and var flow)
                return flow;
        return Flow.GoesOn;
    };

    private static Flow Write(StringBuilder output, string text)
    {
        output.Append(text);
        return Flow.GoesOn;
    }

    private Statement TagStatement()
    {
        var name = _read.Take();
        switch (name.Value)
        {
            case "if":
                return If();
            case "for":
                return For();
            case "set":
                return Set();
            case "macro":
                return Macro();
            case "generation": // marks what an assistant wrote, for training elsewhere
                _read.Take("%}");
                return End(Block("endgeneration"));
            case "break" or "continue":
                _read.Take("%}");
                var flow = name.Value == "break" ? Flow.Breaks : Flow.Continues;
                return (_, _) => flow;
            default:
                throw new InvalidDataException($"the chat template has a {{% {name.Value} %}} in line {name.Line}, which is not supported");
        }
    }

    /// <summary>Takes the tag that ends a block.</summary>
    private Statement End(Statement block)
    {
        _read.Take();
        _read.Take("%}");
        return block;
    }

    private Statement If()
    {
        var condition = _read.Expression();
        _read.Take("%}");
        var then = Block("elif", "else", "endif");
        Statement? otherwise = null;
        if (_read.TakeIf("elif"))
        {
            otherwise = If();
        }
        else if (_read.TakeIf("else"))
        {
            _read.Take("%}");
            otherwise = End(Block("endif"));
        }
        else
        {
            End(then);
        }
        return (scope, output) => JinjaValues.IsTrue(condition(scope)) ? then(scope, output) : otherwise?.Invoke(scope, output) ?? Flow.GoesOn;
    }

    private Statement For()
    {
        var names = new List<string> { _read.TakeName() };
        while (_read.TakeIf(","))
            names.Add(_read.TakeName());
        _read.Take("in");
        var items = _read.Disjunction();
        var filter = _read.TakeIf("if") ? _read.Expression() : null;
        _read.Take("%}");
        var body = Block("else", "endfor");
        Statement? otherwise = null;
        if (_read.TakeIf("else"))
        {
            _read.Take("%}");
            otherwise = Block("endfor");
        }
        End(body);
        return (scope, output) =>
        {
            JinjaScope Inner(object? item)
            {
                var inner = new JinjaScope(scope);
                object?[] values = names.Count == 1 ? [item] : [.. JinjaValues.Items(item)];
                foreach (var (name, value) in names.Zip(values))
                    inner[name] = value;
                return inner;
            }
            var all = JinjaValues.Items(items(scope)).Where(item => filter is null || JinjaValues.IsTrue(filter(Inner(item)))).ToList();
            if (all.Count == 0)
                return otherwise?.Invoke(scope, output) ?? Flow.GoesOn;
            for (var i = 0; i < all.Count; i++)
            {
                var inner = Inner(all[i]);
                inner["loop"] = Loop(all, i);
                if (body(inner, output) == Flow.Breaks)
                    break;
            }
            return Flow.GoesOn;
        };
    }

    private static Dictionary<string, object?> Loop(List<object?> items, int place) => new()
    {
        ["index"] = place + 1L,
        ["index0"] = (long)place,
        ["revindex"] = (long)(items.Count - place),
        ["revindex0"] = items.Count - place - 1L,
        ["first"] = place == 0,
        ["last"] = place == items.Count - 1,
        ["length"] = (long)items.Count,
        ["previtem"] = place > 0 ? items[place - 1] : Undefined.Value,
        ["nextitem"] = place < items.Count - 1 ? items[place + 1] : Undefined.Value,
    };

    private Statement Set()
    {
        var name = _read.TakeName();
        var member = _read.TakeIf(".") ? _read.TakeName() : null;
        JinjaExpressions.Compiled value;
        if (_read.TakeIf("="))
        {
            value = _read.ExpressionList();
            _read.Take("%}");
        }
        else
        {
            _read.Take("%}");
            var block = End(Block("endset"));
            value = scope =>
            {
                var text = new StringBuilder();
                block(scope, text);
                return text.ToString();
            };
        }
        return (scope, _) =>
        {
            if (member is null)
                scope[name] = value(scope);
            else if (scope[name] is Dictionary<string, object?> space)
                space[member] = value(scope);
            else
                throw JinjaValues.Wrong($"{name} is no namespace");
            return Flow.GoesOn;
        };
    }

    private Statement Macro()
    {
        var name = _read.TakeName();
        var parameters = new List<(string Name, JinjaExpressions.Compiled? Otherwise)>();
        _read.Take("(");
        while (!_read.TakeIf(")"))
        {
            parameters.Add((_read.TakeName(), _read.TakeIf("=") ? _read.Expression() : null));
            _read.TakeIf(",");
        }
        _read.Take("%}");
        var body = End(Block("endmacro"));
        return (scope, _) =>
        {
            scope[name] = (Callable)((arguments, named) =>
            {
                RuntimeHelpers.EnsureSufficientExecutionStack();
                var inner = new JinjaScope(scope);
                for (var i = 0; i < parameters.Count; i++)
                    inner[parameters[i].Name] = i < arguments.Count ? arguments[i]
                        : named.TryGetValue(parameters[i].Name, out var given) ? given
                        : parameters[i].Otherwise is { } otherwise ? otherwise(scope) : Undefined.Value;
                var text = new StringBuilder();
                body(inner, text);
                return text.ToString();
            });
            return Flow.GoesOn;
        };
    }
}
