using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>Cache hints; nothing where the hardware has none.</summary>
internal static unsafe class Prefetch
{
    /// <summary>Asks for the line that is about to be read and written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ForWrite(float* address)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(address);
        }
    }
}
