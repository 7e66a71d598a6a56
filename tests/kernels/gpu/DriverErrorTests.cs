using ILGPU.Runtime.OpenCL;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Functions;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// What a driver's error in the midst of the work becomes: one exception that names device, kernel
/// and code.
/// </summary>
public class DriverErrorTests
{
    private string failing = "";
    private Exception error = null!;

    [SetUp]
    public void Nothing_fails() => failing = "";

    [Test]
    public void A_kernel_that_fails_is_named_with_the_drivers_code()
    {
        using var backend = Open();
        using var x = backend.Allocate<float>(8);
        backend.Fill(x, 1);
        (failing, error) = ("ElementOf<MapKernel<Square>>", new CLException(CLError.CL_OUT_OF_RESOURCES));
        var thrown = Assert.Throws<DeviceException>(() => backend.Map<Square>(x, x))!;
        Assert.That((thrown.Device, thrown.Work, thrown.Code),
            Is.EqualTo((backend.Description, "the kernel ElementOf<MapKernel<Square>>", "CL_OUT_OF_RESOURCES (-5)")));
        Assert.That(thrown.Message, Does.Contain("a smaller batch"));
        Assert.That(thrown.InnerException, Is.SameAs(error));
    }

    [Test]
    public void Kernels_of_groups_fail_the_same_way()
    {
        using var backend = Open();
        using var x = backend.Allocate<float>(64);
        backend.Fill(x, 1);
        (failing, error) = ("RowOfGroup<SoftmaxKernel>",
            new NotSupportedException("The given kernel specialization is not compatible."));
        var thrown = Assert.Throws<DeviceException>(() => backend.Softmax(x, x, 32))!;
        Assert.That(thrown.Work, Is.EqualTo("the kernel RowOfGroup<SoftmaxKernel>"));
        Assert.That(thrown.Code, Is.EqualTo("'The given kernel specialization is not compatible'"));
    }

    [TestCase("Download", "a copy to the host")]
    [TestCase("Upload", "a copy to the device")]
    [TestCase("Synchronize", "waiting for the device")]
    public void What_waits_for_a_kernel_that_failed_names_the_last_one(string work, string words)
    {
        using var backend = Open();
        using var x = backend.Allocate<float>(8);
        backend.Fill(x, 1);
        (failing, error) = (work, new CLException(CLError.CL_INVALID_COMMAND_QUEUE));
        var thrown = Assert.Throws<DeviceException>(() =>
        {
            switch (work)
            {
                case "Download":
                    backend.Download(new float[8], x);
                    break;
                case "Upload":
                    backend.Upload<float>(x, new float[8]);
                    break;
                default:
                    backend.Synchronize();
                    break;
            }
        })!;
        Assert.That(thrown.Message,
            Does.Contain(words).And.Contain("the last one is ElementOf<FillKernel>").And
                .Contain("CL_INVALID_COMMAND_QUEUE (-36)"));
    }

    [Test]
    public void A_mistake_of_the_program_is_not_taken_for_the_drivers()
    {
        using var backend = Open();
        using var x = backend.Allocate<float>(8);
        (failing, error) = ("ElementOf<FillKernel>", new InvalidOperationException("a mistake"));
        Assert.That(() => backend.Fill(x, 1), Throws.InvalidOperationException.With.Message.EqualTo("a mistake"));
    }

    [Test]
    public void Reservations_stop_at_the_devices_memory()
    {
        const long Size = 100L << 20;
        using var backend = GpuDevices.OpenSimulator(GpuOptimization.O1, groupThreads: 4, memorySize: Size);
        var buffers = new List<DeviceBuffer<float>>();
        var thrown = Assert.Throws<OutOfMemoryException>(() =>
        {
            while (buffers.Count < 100)
            {
                buffers.Add(backend.Allocate<float>(6 << 20));
            }
        })!;
        Assert.That(backend.Memory.Reserved, Is.InRange(Size / 2, Size));
        Assert.That(thrown.InnerException!.Message, Does.Contain("has 104,857,600 bytes of memory"));
        buffers[0].Dispose();
        Assert.That(() => backend.Allocate<float>(6 << 20), Throws.Nothing, "what came back is lent again");
    }

    private IBackend Open() => GpuDevices.OpenSimulator(GpuOptimization.O1, groupThreads: 4, beforeWork: work =>
    {
        if (work == failing)
        {
            throw error;
        }
    });
}
