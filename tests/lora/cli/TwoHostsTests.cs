using System.Runtime.Versioning;
using System.Security.Cryptography;
using LoraScratch.Cli;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Two hosts: network namespaces of this machine, each with a name of its own, joined by a cable.
/// MPICH starts a process on each, and they have nothing but the network between them.
/// </summary>
[Category(Categories.Processes)]
[Platform("Linux", Reason = "network namespaces are Linux's")]
[SupportedOSPlatform("linux")]
public sealed class TwoHostsTests
{
    private static readonly string[] Hosts = ["lora-host-a", "lora-host-b"];

    private TinyTask task = null!;

    [OneTimeSetUp]
    public void JoinTwoHosts()
    {
        task = new TinyTask();
        _ = task.Model;
        try
        {
            if (!ChildProcess.Run("mpirun.mpich", "", out _, ["--version"]).Contains("HYDRA", StringComparison.Ordinal))
            {
                Assert.Ignore("There is no mpirun of MPICH here (package mpich of Debian).");
            }
            RemoveHosts();
            Ip("netns add lora-host-a");
            Ip("netns add lora-host-b");
            Ip("link add veth-a netns lora-host-a type veth peer name veth-b netns lora-host-b");
            foreach (var (host, link, address) in new[] { (Hosts[0], "veth-a", 1), (Hosts[1], "veth-b", 2) })
            {
                Ip($"-n {host} addr add 10.77.77.{address}/24 dev {link}");
                Ip($"-n {host} link set {link} up");
                Ip($"-n {host} link set lo up");
            }
            Thread.Sleep(TimeSpan.FromSeconds(2));              // the kernel calls a new link running within a second
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            Assert.Ignore($"This machine has no mpirun.mpich or no ip (packages mpich and iproute2): {e.Message}");
        }
    }

    [OneTimeTearDown]
    public void DeleteAll()
    {
        RemoveHosts();
        task.Dispose();
    }

    [Test]
    public void Processes_on_two_hosts_leave_the_files_of_one()
    {
        string[] args = ["train", "--model", task.Model, "--data", task.Data, "--epochs", "1", "--micro-batch", "2"];
        LoraProgram.Succeed([.. args, "--out", task["one"], "--threads", "1"]);

        // in the place of ssh: options, a host, a command
        var agent = task.Write("agent", $$"""
            #!/bin/sh
            while [ "$1" != "${1#-}" ]; do shift; done
            host={{Hosts[1]}}; [ "$1" = 10.77.77.1 ] && host={{Hosts[0]}}
            shift
            exec ip netns exec $host unshare --uts sh -c "hostname $host; $*"
            """);
        File.SetUnixFileMode(agent, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var words = string.Join(' ', new[] { ChildProcess.Host, AssemblyFile.Of(typeof(CommandLine)) }.Concat(args)
            .Concat(["--out", task["two"]]));
        var output = ChildProcess.Run("ip", "", out var code, ["netns", "exec", Hosts[0], "unshare", "--uts", "sh",
            "-c", $"hostname {Hosts[0]}; mpirun.mpich -launcher ssh -launcher-exec {agent} "
            + $"-hosts 10.77.77.1,10.77.77.2 -n 2 {words}"], ("UCX_TLS", "tcp,self"));
        Assert.That(code, Is.Zero, output);
        Assert.That(output, Does.Contain("2 processes on 2 machines, connected by MPICH"));
        Assert.That(Hash("two"), Is.EqualTo(Hash("one")));
    }

    private string Hash(string folder) => Convert.ToHexString(SHA256.HashData(
        File.ReadAllBytes(Path.Combine(task[folder], "adapter_model.safetensors"))));

    private static void Ip(string line)
    {
        var output = ChildProcess.Run("ip", "", out var code, line.Split(' '));
        if (code != 0)
        {
            Assert.Ignore($"This machine lets no process make network namespaces of its own: ip {line}: {output}");
        }
    }

    private static void RemoveHosts()
    {
        foreach (var host in Hosts)
        {
            try
            {
                ChildProcess.Run("ip", "", out _, ["netns", "del", host]);
            }
            catch (System.ComponentModel.Win32Exception)
            {
            }
        }
    }
}
