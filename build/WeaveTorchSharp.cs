using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Mono.Cecil;
using Mono.Cecil.Cil;

/// <summary>
/// Closes a race in TorchSharp 0.107 (its pull requests 1434 and 1496). Its methods read the handles of tensors and numbers and
/// pass them to native code; from then on nothing refers to the objects, and a garbage collection on another thread frees what
/// the native code is reading: an exception, or a wrong number without a word. The task writes a copy of TorchSharp.dll whose
/// methods hold on to two things until they return: what they were given, and whatever they took a handle from, which may be an
/// object of their own (linalg.vector_norm makes its Scalar itself). Left out is what survives the method: a handle in a
/// result (lambdas, whose callers hold the collection), TorchScript's boxed arguments, tensors that a lazy sequence makes.
/// </summary>
public class WeaveTorchSharp : Task
{
    private const string SupportedVersion = "0.107.0";

    private static readonly Dictionary<OpCode, OpCode> LongJumps = typeof(OpCodes).GetFields()
        .Where(field => ((OpCode)field.GetValue(null)).OperandType == OperandType.ShortInlineBrTarget)
        .ToDictionary(field => (OpCode)field.GetValue(null), field => (OpCode)typeof(OpCodes).GetField(field.Name.Replace("_S", "")).GetValue(null));

    /// <summary>The package's TorchSharp.dll; only read.</summary>
    [Required]
    public ITaskItem Source { get; set; }

    /// <summary>Where the woven copy goes.</summary>
    [Required]
    public string Target { get; set; }

    public override bool Execute()
    {
        if (Source.GetMetadata("NuGetPackageVersion") != SupportedVersion)
        {
            Log.LogError("{0} is of TorchSharp {1}, and the weaving was written for {2}. See whether the new version keeps arguments alive "
                + "during native calls: if so, drop build/WeaveTorchSharp.cs; if not, read what it weaves and raise the version there.",
                Source.ItemSpec, Source.GetMetadata("NuGetPackageVersion"), SupportedVersion);
            return false;
        }

        using (ModuleDefinition module = ModuleDefinition.ReadModule(Source.ItemSpec, new ReaderParameters { InMemory = true }))
        {
            int count = WithNested(module.Types).SelectMany(type => type.Methods).Where(TouchesNativeMemory).ToList().Count(Weave);
            string woven = Target + "." + Guid.NewGuid().ToString("n");
            Directory.CreateDirectory(Path.GetDirectoryName(Target));
            module.Write(woven, new WriterParameters { DeterministicMvid = true });
            File.Delete(Target); // which may be linked into an output folder, and mapped there
            File.Move(woven, Target);
            Log.LogMessage(MessageImportance.Normal, "{0}: {1} methods keep what they work on alive.", Target, count);
        }

        return true;
    }

    private static IEnumerable<TypeDefinition> WithNested(IEnumerable<TypeDefinition> types)
    {
        return types.SelectMany(type => WithNested(type.NestedTypes).Prepend(type));
    }

    /// <summary>Whether a method calls native code or has a native address in its hands.</summary>
    private static bool TouchesNativeMemory(MethodDefinition method)
    {
        return method.HasBody && method.Body.Instructions.Any(instruction =>
            instruction.Operand is MethodDefinition { IsPInvokeImpl: true }
            || IsAddress((instruction.Operand as MethodReference)?.ReturnType)
            || IsAddress((instruction.Operand as FieldReference)?.FieldType));
    }

    private static bool IsAddress(TypeReference type)
    {
        return type != null && (type.IsPointer || type.MetadataType == MetadataType.IntPtr);
    }

    private static bool Weave(MethodDefinition method)
    {
        MethodBody body = method.Body;
        foreach (Instruction jump in body.Instructions.Where(i => i.OpCode.OperandType == OperandType.ShortInlineBrTarget))
            jump.OpCode = LongJumps[jump.OpCode]; // it may have further to go
        List<VariableDefinition> owners = KeepOwnersOfHandles(body);
        if (Epilogue(method, owners).Count == 0) return false;
        foreach (Instruction end in body.Instructions.Where(i => i.OpCode == OpCodes.Ret).ToList())
            Prepend(body, end, Epilogue(method, owners));
        return true;
    }

    /// <summary>Copies every object whose handle is taken into a variable of its own.</summary>
    private static List<VariableDefinition> KeepOwnersOfHandles(MethodBody body)
    {
        var owners = new List<VariableDefinition>();
        foreach (Instruction taking in body.Instructions
            .Where(i => i.Operand is MethodReference { Name: "get_Handle", ReturnType.MetadataType: MetadataType.IntPtr }).ToList())
        {
            var owner = new VariableDefinition(((MethodReference)taking.Operand).DeclaringType);
            body.Variables.Add(owner);
            owners.Add(owner);
            Prepend(body, taking, new List<Instruction> { Instruction.Create(OpCodes.Dup), Instruction.Create(OpCodes.Stloc, owner) });
        }

        body.InitLocals = true; // where no handle was taken the variable is null
        return owners;
    }

    private static List<Instruction> Epilogue(MethodDefinition method, List<VariableDefinition> owners)
    {
        ModuleDefinition module = method.Module;
        var system = module.AssemblyReferences.First(reference => reference.Name == "System.Runtime");
        var keepAlive = new MethodReference("KeepAlive", module.TypeSystem.Void, new TypeReference("System", "GC", module, system));
        keepAlive.Parameters.Add(new ParameterDefinition(module.TypeSystem.Object));

        var code = new List<Instruction>();
        if (method.HasThis && !method.DeclaringType.IsValueType) Keep(Instruction.Create(OpCodes.Ldarg, method.Body.ThisParameter));
        foreach (ParameterDefinition parameter in method.Parameters)
        {
            if (IsReference(parameter.ParameterType))
            {
                Keep(Instruction.Create(OpCodes.Ldarg, parameter));
            }
            else if (parameter.ParameterType.FullName == "System.ReadOnlySpan`1<TorchSharp.torch/Tensor>")
            {
                var array = new ArrayType(((GenericInstanceType)parameter.ParameterType).ElementType.GenericParameters[0]);
                var toArray = new MethodReference("ToArray", array, parameter.ParameterType) { HasThis = true };
                Keep(Instruction.Create(OpCodes.Ldarga, parameter), Instruction.Create(OpCodes.Call, toArray));
            }
        }

        foreach (VariableDefinition owner in owners) Keep(Instruction.Create(OpCodes.Ldloc, owner));
        return code;

        void Keep(params Instruction[] loading)
        {
            code.AddRange(loading);
            code.Add(Instruction.Create(OpCodes.Call, keepAlive));
        }
    }

    private static bool IsReference(TypeReference type)
    {
        return !type.IsByReference && !type.IsPointer && !type.IsGenericParameter && !type.IsValueType;
    }

    /// <summary>Puts code before an instruction; jumps to the instruction run the code too.</summary>
    private static void Prepend(MethodBody body, Instruction instruction, List<Instruction> code)
    {
        Instruction copy = Instruction.Create(OpCodes.Nop);
        (copy.OpCode, copy.Operand) = (instruction.OpCode, instruction.Operand);
        (instruction.OpCode, instruction.Operand) = (code[0].OpCode, code[0].Operand);
        int at = body.Instructions.IndexOf(instruction);
        foreach (Instruction next in code.Skip(1).Append(copy)) body.Instructions.Insert(++at, next);
    }
}
