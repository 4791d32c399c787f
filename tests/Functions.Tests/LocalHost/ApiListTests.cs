using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.DurableTask;

namespace RlhfFunctions.Functions.Tests.LocalHost;

/// <summary>What compiles against the stand-ins must compile against Microsoft's packages.</summary>
public class ApiListTests
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<string, HashSet<string>> Real = ReadList();

    public static TheoryData<Type> StandIns() => new(typeof(TaskOrchestrationContext).Assembly.GetExportedTypes()
        .Where(type => type.Namespace?.StartsWith("Microsoft.", StringComparison.Ordinal) == true));

    [Theory]
    [MemberData(nameof(StandIns))]
    public void Every_visible_member_of_a_stand_in_exists_in_the_real_type(Type standIn)
    {
        Assert.True(Real.TryGetValue(NameOf(standIn), out var members), $"{standIn} is not in functions-api.txt.");
        var invented = Describe(standIn).Where(member => !members.Contains(member)).ToList();
        Assert.True(invented.Count == 0, $"{standIn} declares what the real type does not:\n{string.Join('\n', invented)}");
    }

    [Theory]
    [InlineData(typeof(TaskOrchestrationContext), "abstract Task CreateTimer(DateTime fireAt, CancellationToken cancellationToken)")]
    [InlineData(typeof(TaskRetryOptions), "static TaskRetryOptions op_Implicit(RetryPolicy policy)")]
    [InlineData(typeof(RetryPolicy), "Func<TaskFailureDetails,bool> HandleFailure { init; }")]
    public void Members_are_described_as_the_list_has_them(Type type, string expected) =>
        Assert.Contains(expected, Describe(type));

    private static IEnumerable<string> Describe(Type type)
    {
        if (type.IsEnum)
            return Enum.GetNames(type).Select(name => $"{name}={(int)Enum.Parse(type, name)}");
        return type.GetConstructors(Declared).Where(IsVisible)
                .Select(constructor => $"{(constructor.IsFamily ? "protected " : "")}.ctor({Parameters(constructor)})")
            .Concat(type.GetFields(Declared).Where(field => field.IsPublic || field.IsFamily).Select(field => $"field {field.Name}"))
            .Concat(type.GetProperties(Declared).Where(property => property.Name != "EqualityContract"
                && property.GetAccessors(true).Any(IsVisibleAccessor)).Select(Describe))
            .Concat(type.GetMethods(Declared).Where(method => IsVisible(method)
                && (!method.IsSpecialName || method.Name.StartsWith("op_", StringComparison.Ordinal))).Select(Describe));
    }

    private static string Describe(PropertyInfo property)
    {
        var accessors = new[]
        {
            property.GetMethod is { } get && IsVisibleAccessor(get) ? "get;" : null,
            property.SetMethod is { } set && IsVisibleAccessor(set) ? IsInit(set) ? "init;" : "set;" : null,
        };
        var anAccessor = property.GetAccessors(true)[0];
        var type = Name(property.PropertyType) + Mark(new NullabilityInfoContext().Create(property), property.PropertyType);
        return $"{Modifiers(anAccessor)}{type} {property.Name} {{ {string.Join(' ', accessors.OfType<string>())} }}";
    }

    private static string Describe(MethodInfo method)
    {
        var result = Name(method.ReturnType) + Mark(new NullabilityInfoContext().Create(method.ReturnParameter), method.ReturnType);
        var generics = method.IsGenericMethod ? $"<{string.Join(',', method.GetGenericArguments().Select(Name))}>" : "";
        var extends = method.IsDefined(typeof(ExtensionAttribute)) ? "this " : "";
        return $"{Modifiers(method)}{result} {method.Name}{generics}({extends}{Parameters(method)})";
    }

    private static string Modifiers(MethodInfo method) =>
        (method.IsFamily ? "protected " : "")
        + (method.IsStatic ? "static " : "")
        + (method.IsAbstract ? "abstract "
            : method.GetBaseDefinition() != method ? "override "
            : method.IsVirtual && !method.IsFinal ? "virtual " : "");

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(parameter =>
        $"{Name(parameter.ParameterType)}{Mark(new NullabilityInfoContext().Create(parameter), parameter.ParameterType)} {parameter.Name}"
        + (parameter.HasDefaultValue ? $" = {DefaultOf(parameter)}" : "")));

    private static string DefaultOf(ParameterInfo parameter) => parameter.DefaultValue switch
    {
        null when parameter.ParameterType.IsValueType && Nullable.GetUnderlyingType(parameter.ParameterType) is null => "default",
        null => "null",
        bool truth => truth ? "true" : "false",
        var value => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private static string Mark(NullabilityInfo nullability, Type type) =>
        nullability.ReadState == NullabilityState.Nullable && !type.IsValueType
        || nullability.WriteState == NullabilityState.Nullable && !type.IsValueType ? "?" : "";

    private static string Name(Type type)
    {
        if (Nullable.GetUnderlyingType(type) is { } value)
            return $"{Name(value)}?";
        if (type.IsArray)
            return $"{Name(type.GetElementType()!)}[]";
        if (type.IsGenericType)
            return $"{type.Name.Split('`')[0]}<{string.Join(',', type.GetGenericArguments().Select(Name))}>";
        return type.Name switch
        {
            "String" => "string",
            "Object" => "object",
            "Boolean" => "bool",
            "Int32" => "int",
            "Double" => "double",
            "Void" => "void",
            var name => name,
        };
    }

    private static bool IsVisible(MethodBase method) =>
        IsVisibleAccessor(method) && !method.IsDefined(typeof(CompilerGeneratedAttribute)) && !IsObjectMethod(method);

    private static bool IsVisibleAccessor(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static bool IsObjectMethod(MethodBase method) =>
        method is MethodInfo { IsVirtual: true } overriding && overriding.GetBaseDefinition().DeclaringType == typeof(object);

    private static bool IsInit(MethodInfo setter) =>
        setter.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit));

    private static string NameOf(Type type) => $"{type.Namespace}.{Name(type)}";

    private static Dictionary<string, HashSet<string>> ReadList()
    {
        var list = new Dictionary<string, HashSet<string>>();
        HashSet<string>? members = null;
        foreach (var line in File.ReadLines(Path.Combine(Repository.Root, "tests/Functions.Tests/LocalHost/functions-api.txt")))
        {
            if (line.StartsWith('#') || line.Length == 0)
                continue;
            if (!line.StartsWith(' '))
                list[line.Split(' ').First(word => word.StartsWith("Microsoft.", StringComparison.Ordinal))] = members = [];
            else
                members!.UnionWith(line.Contains('=') && !line.Contains('(')
                    ? line.Trim().Split(", ")
                    : [line.Trim().Replace("  [Obsolete]", "")]);
        }
        return list;
    }
}
