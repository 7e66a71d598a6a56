using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Kernels;

internal class GpuDevicesTests
{
    [Test]
    public void Every_kind_has_devices_or_says_why_not([Values] GpuKind kind)
    {
        var devices = GpuDevices.Find(kind);
        Assert.That(devices, Is.Not.Empty);
        foreach (var device in devices)
        {
            Assert.That(device.Index is null ? device.Problem : device.Name, Is.Not.Null.And.Not.Empty);
            Assert.That(device.Problem ?? "none.", Does.EndWith("."), "a sentence");
        }
    }

    [Test]
    public void A_device_that_is_not_there_is_an_error_that_says_why([Values] GpuKind kind) =>
        Assert.That(() => GpuDevices.Open(kind, index: 99), Throws.TypeOf<PlatformNotSupportedException>()
            .With.Message.Contains(GpuDevices.Find(kind)[0] is { Index: null, Problem: var problem } ? problem : "99"));
}
