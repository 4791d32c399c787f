using System.Diagnostics;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Infra.Tests;

/// <summary>The app's two roles, each compiled and its assembly read.</summary>
public sealed class RoleTests(RoleTests.Roles roles) : IClassFixture<RoleTests.Roles>
{
    [Fact]
    public void Together_the_roles_are_the_app_and_nothing_is_in_both()
    {
        string[] names = [.. typeof(FunctionNames).GetFields().Select(field => (string)field.GetRawConstantValue()!)];
        Assert.Equal(names.Order(), roles.All.Keys.Order());
        Assert.Empty(roles.Api.Keys.Intersect(roles.Gpu.Keys));
        Assert.Equal(names.Order(), roles.Api.Keys.Concat(roles.Gpu.Keys).Order());
    }

    [Fact]
    public void Api_answers_and_starts_and_gpu_orchestrates_and_computes()
    {
        Assert.Equal(["BlobTriggerAttribute", "HttpTriggerAttribute", "TimerTriggerAttribute"], roles.Api.Values.Distinct().Order());
        Assert.Equal(["ActivityTriggerAttribute", "OrchestrationTriggerAttribute"], roles.Gpu.Values.Distinct().Order());
    }

    [Fact]
    public void Another_role_is_refused()
    {
        var (exitCode, output) = Roles.Build("CheckFunctionsRole", "web");
        Assert.NotEqual(0, exitCode);
        Assert.Contains("it must be api, gpu or all", output, StringComparison.Ordinal);
    }

    public sealed class Roles
    {
        private static readonly string Project = Repository.Path("src", "Functions");

        public Roles()
        {
            var (api, gpu) = (Task.Run(() => Compile("api")), Task.Run(() => Compile("gpu")));
            All = Read(Path.Combine(Project, "obj", Configuration));
            Api = Read(api.GetAwaiter().GetResult());
            Gpu = Read(gpu.GetAwaiter().GetResult());
        }

        public IReadOnlyDictionary<string, string> All { get; }

        public IReadOnlyDictionary<string, string> Api { get; }

        public IReadOnlyDictionary<string, string> Gpu { get; }

        /// <summary>Runs a target for a role beside what is built: the role has folders of its own, the other projects stay as they are.</summary>
        internal static (int ExitCode, string Output) Build(string target, string role)
        {
            string[] arguments =
            [
                "build", Project, "--no-restore", "--no-dependencies", "-nologo",
                $"-t:{target}", $"-p:FunctionsRole={role}", $"-p:Configuration={Configuration}",
            ];
            var start = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true };
            // The test host's own variables would reach MSBuild.
            string[] inherited = [.. start.Environment.Keys.Where(name => name.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase))];
            foreach (string name in inherited) start.Environment.Remove(name);
            start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
            using var process = Process.Start(start)!;
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output);
        }

        private static string Compile(string role)
        {
            var (exitCode, output) = Build("Compile", role);
            Assert.True(exitCode == 0, output);
            return Path.Combine(Project, "obj", role, Configuration);
        }

        private static string Configuration => AppContext.BaseDirectory.Split('/', '\\').Contains("Release") ? "Release" : "Debug";

        /// <summary>The functions of the assembly below a folder, each with the kind of its trigger.</summary>
        private static Dictionary<string, string> Read(string folder)
        {
            string assembly = Directory.EnumerateFiles(folder, "RlhfFunctions.Functions.dll", SearchOption.AllDirectories)
                .Single(file => !Path.GetRelativePath(folder, file).Split('/', '\\').Any(part => part is "ref" or "refint" or "WorkerExtensions"));
            using var image = new PEReader(File.OpenRead(assembly));
            var metadata = image.GetMetadataReader();
            var functions = new Dictionary<string, string>();
            foreach (var method in metadata.MethodDefinitions.Select(metadata.GetMethodDefinition))
            {
                foreach (var attribute in Attributes(metadata, method.GetCustomAttributes())
                    .Where(attribute => attribute.Type == "FunctionAttribute"))
                {
                    var triggers = method.GetParameters()
                        .SelectMany(parameter => Attributes(metadata, metadata.GetParameter(parameter).GetCustomAttributes()));
                    string trigger = triggers.Single(type => type.Type.EndsWith("TriggerAttribute", StringComparison.Ordinal)).Type;
                    functions.Add(attribute.Argument, trigger);
                }
            }

            return functions;
        }

        private static IEnumerable<(string Type, string Argument)> Attributes(MetadataReader metadata, CustomAttributeHandleCollection handles)
        {
            foreach (var attribute in handles.Select(metadata.GetCustomAttribute))
            {
                if (attribute.Constructor.Kind != HandleKind.MemberReference) continue;
                var parent = metadata.GetMemberReference((MemberReferenceHandle)attribute.Constructor).Parent;
                if (parent.Kind != HandleKind.TypeReference) continue;
                string type = metadata.GetString(metadata.GetTypeReference((TypeReferenceHandle)parent).Name);
                var value = metadata.GetBlobReader(attribute.Value);
                value.ReadUInt16(); // the prolog
                yield return (type, type == "FunctionAttribute" ? value.ReadSerializedString()! : "");
            }
        }
    }
}
