using System.Text;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace LoraScratch.Tests;

/// <summary>
/// What a user of the libraries can see, held by a text file for each of them in tests/public-api:
/// a change is red until it is accepted there, by
/// <code>LORASCRATCH_ACCEPT_API=1 dotnet test tests -c Release --filter PublicApiTests</code>
/// </summary>
public sealed partial class PublicApiTests
{
    private const string Accept = "LORASCRATCH_ACCEPT_API";
    // sixty, seven that take an expression and its gradients apart, one for the figures of a class, two that save
    // memory in training, two for what an application gives a classifier and gets from a training, one for what
    // the state that a training keeps is best in, two that get a model from the hub, one that exports models, two of
    // the package for embeddings, and three of that for ML.NET
    private const int MaxTypes = 60 + 7 + 1 + 2 + 2 + 1 + 2 + 1 + 2 + 3;

    private const string Usings = """
        global using System; global using System.Collections.Generic; global using System.IO;
        global using System.Linq; global using System.Threading; global using NUnit.Framework;
        """;

    /// <summary>Those with public types.</summary>
    internal static IReadOnlyList<string> Libraries { get; } =
        [.. OfTheTool, "LoraScratch.Embeddings", "LoraScratch.ML"];

    /// <summary>Those that the tool is made of.</summary>
    internal static IReadOnlyList<string> OfTheTool =>
        ["LoraScratch.Kernels", "LoraScratch.Kernels.Gpu", "LoraScratch.Engine", "LoraScratch.Lora"];

    private static readonly SymbolDisplayFormat Name = SymbolDisplayFormat.CSharpErrorMessageFormat
        .WithMiscellaneousOptions(SymbolDisplayMiscellaneousOptions.UseSpecialTypes
            | SymbolDisplayMiscellaneousOptions.IncludeNullableReferenceTypeModifier
            | SymbolDisplayMiscellaneousOptions.EscapeKeywordIdentifiers);

    private static readonly SymbolDisplayFormat Signature = new(
        SymbolDisplayGlobalNamespaceStyle.Omitted,
        SymbolDisplayTypeQualificationStyle.NameOnly,
        SymbolDisplayGenericsOptions.IncludeTypeParameters | SymbolDisplayGenericsOptions.IncludeTypeConstraints
            | SymbolDisplayGenericsOptions.IncludeVariance,
        SymbolDisplayMemberOptions.IncludeType | SymbolDisplayMemberOptions.IncludeParameters
            | SymbolDisplayMemberOptions.IncludeModifiers | SymbolDisplayMemberOptions.IncludeAccessibility
            | SymbolDisplayMemberOptions.IncludeConstantValue | SymbolDisplayMemberOptions.IncludeRef,
        parameterOptions: SymbolDisplayParameterOptions.IncludeType | SymbolDisplayParameterOptions.IncludeName
            | SymbolDisplayParameterOptions.IncludeDefaultValue | SymbolDisplayParameterOptions.IncludeModifiers
            | SymbolDisplayParameterOptions.IncludeExtensionThis,
        propertyStyle: SymbolDisplayPropertyStyle.ShowReadWriteDescriptor,
        kindOptions: SymbolDisplayKindOptions.IncludeMemberKeyword,
        miscellaneousOptions: SymbolDisplayMiscellaneousOptions.UseSpecialTypes
            | SymbolDisplayMiscellaneousOptions.IncludeNullableReferenceTypeModifier
            | SymbolDisplayMiscellaneousOptions.EscapeKeywordIdentifiers);

    [TestCaseSource(nameof(Libraries))]
    public void The_public_interface_is_the_accepted_one(string library)
    {
        var path = Path.Combine(SourceCode.Root, "tests", "public-api", $"{library}.txt");
        var found = Describe(library);
        if (Environment.GetEnvironmentVariable(Accept) == "1")
        {
            File.WriteAllText(path, found);
        }
        var accepted = File.Exists(path) ? File.ReadAllText(path) : "";
        Assert.That(Difference(accepted, found), Is.Empty,
            $"{library}: the public interface is not the one in tests/public-api/{library}.txt (− is gone, + is new). "
            + $"If that is meant, run this test once with {Accept}=1 and commit the file.");
    }

    [Test]
    public void The_libraries_have_few_public_types()
    {
        var types = Libraries.SelectMany(Types).Select(type => type.ToDisplayString(Name)).ToList();
        Assert.That(types, Has.Count.LessThanOrEqualTo(MaxTypes), string.Join(", ", types));
    }

    /// <summary>
    /// Where one parameter of a public member is described all are, as the compiler's CS1573 has
    /// it; an internal member may leave out a parameter whose name says all.
    /// </summary>
    [Test]
    public void All_parameters_of_a_public_member_are_described_or_none_is()
    {
        var halfSaid = Libraries.SelectMany(Types)
            .SelectMany(type => type.GetMembers().Where(IsShown).OfType<IMethodSymbol>())
            .Where(method => method.Parameters.Select(parameter => method.GetDocumentationCommentXml()!
                .Contains($"<param name=\"{parameter.Name}\"", StringComparison.Ordinal)).Distinct().Count() > 1);
        Assert.That(halfSaid.Select(method => method.ToDisplayString(Name)), Is.Empty);
    }

    /// <summary>Every public type and member, a line each, sorted.</summary>
    private static string Describe(string library)
    {
        var text = new StringBuilder();
        foreach (var type in Types(library))
        {
            text.Append(Head(type)).Append('\n');
            foreach (var member in type.GetMembers().Where(IsShown)
                .Select(member => HiddenAccessor().Replace(member.ToDisplayString(Signature), ""))
                .Order(StringComparer.Ordinal))
            {
                text.Append("    ").Append(member).Append('\n');
            }
        }
        return text.ToString();
    }

    private static string Head(INamedTypeSymbol type)
    {
        var kind = type switch
        {
            { TypeKind: TypeKind.Delegate } => "delegate",
            { TypeKind: TypeKind.Enum } => "enum",
            { TypeKind: TypeKind.Interface } => "interface",
            _ => $"{(type.IsStatic ? "static " : type.IsSealed && !type.IsValueType ? "sealed " : type.IsAbstract
                ? "abstract " : "")}{(type.IsRecord ? "record " : "")}{(type.IsValueType ? "struct" : "class")}",
        };
        var bases = type.Interfaces.Where(IsPublic).Cast<ISymbol>().Select(symbol => symbol.ToDisplayString(Name))
            .Order(StringComparer.Ordinal);
        if (type.BaseType is { SpecialType: SpecialType.None } parent)
        {
            bases = bases.Prepend(parent.ToDisplayString(Name)).Order(StringComparer.Ordinal);
        }
        var list = string.Join(", ", bases);
        return $"{kind} {type.ToDisplayString(Name)}{(list.Length > 0 ? $" : {list}" : "")}";
    }

    private static IEnumerable<INamedTypeSymbol> Types(string library) =>
        Nested(SourceCode.Compilations.Single(compilation => compilation.AssemblyName == library).Assembly
            .GlobalNamespace).Where(IsPublic).OrderBy(type => type.ToDisplayString(Name), StringComparer.Ordinal);

    private static IEnumerable<INamedTypeSymbol> Nested(INamespaceOrTypeSymbol container) =>
        container.GetMembers().OfType<INamespaceOrTypeSymbol>().SelectMany(member =>
            member is INamedTypeSymbol type ? Nested(type).Prepend(type) : Nested(member));

    private static bool IsPublic(INamedTypeSymbol type) =>
        type.DeclaredAccessibility == Accessibility.Public
        && (type.ContainingType is null || IsPublic(type.ContainingType));

    private static bool IsShown(ISymbol member) =>
        member.DeclaredAccessibility is Accessibility.Public or Accessibility.Protected or
            Accessibility.ProtectedOrInternal
        && member is not INamedTypeSymbol
        && member is not IMethodSymbol
        {
            MethodKind: MethodKind.PropertyGet or MethodKind.PropertySet or MethodKind.EventAdd
                or MethodKind.EventRemove
        }
        && (!member.IsImplicitlyDeclared || member is IMethodSymbol
        {
            MethodKind: MethodKind.Constructor, ContainingType.IsRecord: false, ContainingType.TypeKind: TypeKind.Class,
        });

    private static IEnumerable<string> Difference(string accepted, string found)
    {
        var (before, now) = (Lines(accepted), Lines(found));
        return before.Except(now).Select(line => $"− {line}").Concat(now.Except(before).Select(line => $"+ {line}"));
    }

    /// <summary>
    /// Every member behind its type, so that a line means the same wherever it stands.
    /// </summary>
    private static List<string> Lines(string text)
    {
        var lines = new List<string>();
        var type = "";
        foreach (var line in text.Split('\n').Where(line => line.Length > 0))
        {
            type = line[0] == ' ' ? type : line;
            lines.Add(line[0] == ' ' ? $"{type}: {line.Trim()}" : line);
        }
        return lines;
    }

    /// <summary>
    /// The examples of the README, and the programs of <see cref="PublicUseTests"/>, as a stranger
    /// compiles them: these tests themselves see the internals.
    /// </summary>
    [Test]
    public void Examples_need_no_internals()
    {
        var use = File.ReadAllText(Path.Combine(SourceCode.Root, "tests", "PublicUseTests.cs"));
        var references = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Where(file => Path.GetFileName(file) != "LoraScratch.Tests.dll")
            .Select(file => MetadataReference.CreateFromFile(file));
        var compilation = CSharpCompilation.Create("Stranger",
            [Parse(use), Parse(ReadmeExamples()), Parse(Usings)], references,
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary,
                nullableContextOptions: NullableContextOptions.Enable));
        Assert.That(compilation.GetDiagnostics().Where(found => found.Severity == DiagnosticSeverity.Error), Is.Empty);
    }

    /// <summary>
    /// Statements in a method of their own, a member as it is; what they begin with are fields.
    /// </summary>
    private static string ReadmeExamples()
    {
        var blocks = ReadmeTests.Blocks("csharp").Select((block, i) =>
            block.StartsWith("private ", StringComparison.Ordinal)
                || block.StartsWith("static ", StringComparison.Ordinal) ? block : $"void Example{i}() {{ {block}\n}}");
        return $$"""
            using LoraScratch.Engine; using LoraScratch.Engine.NN; using LoraScratch.Engine.Optim;
            using LoraScratch.Lora; using LoraScratch.Lora.Classification;
            class Readme { RandomStream random; Tensor x, w; Indices labels; {{string.Join('\n', blocks)}} }
            """;
    }

    [GeneratedRegex("(internal|private|private protected) (set|init); ")]
    private static partial Regex HiddenAccessor();

    private static SyntaxTree Parse(string text) =>
        CSharpSyntaxTree.ParseText(text, new CSharpParseOptions(LanguageVersion.Preview));
}
