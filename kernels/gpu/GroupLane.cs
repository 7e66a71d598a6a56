using ILGPU;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// As many floats as a group has threads, one in each: what is done to the bundle, every thread
/// does to its own.
/// </summary>
/// <param name="Own">This thread's.</param>
internal readonly record struct GroupLane(Scalar Own) : ILanes<GroupLane>
{
    public static GroupLane One => new(Scalar.One);
    public static GroupLane Of(float value) => new(Scalar.Of(value));
    public static GroupLane operator +(GroupLane a, GroupLane b) => new(a.Own + b.Own);
    public static GroupLane operator -(GroupLane a, GroupLane b) => new(a.Own - b.Own);
    public static GroupLane operator *(GroupLane a, GroupLane b) => new(a.Own * b.Own);
    public static GroupLane operator /(GroupLane a, GroupLane b) => new(a.Own / b.Own);
    public static GroupLane operator -(GroupLane a) => new(-a.Own);
    public static GroupLane MultiplyAdd(GroupLane a, GroupLane b, GroupLane c) =>
        new(Scalar.MultiplyAdd(a.Own, b.Own, c.Own));
    public static GroupLane Round(GroupLane x) => new(Scalar.Round(x.Own));
    public static GroupLane ScaleByPowerOfTwo(GroupLane x, GroupLane exponent) =>
        new(Scalar.ScaleByPowerOfTwo(x.Own, exponent.Own));
    public static GroupLane Sqrt(GroupLane x) => new(Scalar.Sqrt(x.Own));
    public static GroupLane Abs(GroupLane x) => new(Scalar.Abs(x.Own));
    public static GroupLane Max(GroupLane a, GroupLane b) => new(Scalar.Max(a.Own, b.Own));
    public static GroupLane Min(GroupLane a, GroupLane b) => new(Scalar.Min(a.Own, b.Own));
    public static GroupLane Less(GroupLane a, GroupLane b) => new(Scalar.Less(a.Own, b.Own));
    public static GroupLane Select(GroupLane mask, GroupLane ifTrue, GroupLane ifFalse) =>
        new(Scalar.Select(mask.Own, ifTrue.Own, ifFalse.Own));

    static int ILanes<GroupLane>.Width => Group.DimX;
    static int ILanes<GroupLane>.First => Group.IdxX;
    static bool ILanes<GroupLane>.Has(int i) => i % Group.DimX == Group.IdxX;
    static GroupLane ILanes<GroupLane>.Load(ref float from) => Of(from);
    static GroupLane ILanes<GroupLane>.Load(ref float from, int left, float rest) => Of(from);
    static void ILanes<GroupLane>.Store(ref float to, GroupLane value) => to = value.Own.Value;
    static void ILanes<GroupLane>.Store(ref float to, int left, GroupLane value) => to = value.Own.Value;
    static float ILanes<GroupLane>.Sum(GroupLane value) => GroupOf.Sum(value.Own.Value);
    static float ILanes<GroupLane>.Largest(GroupLane value) => GroupOf.Max(value.Own.Value);
}
