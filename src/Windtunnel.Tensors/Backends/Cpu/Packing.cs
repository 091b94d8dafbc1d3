using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>A matrix operand in place: element (i, j) is Data[i RowStride + j ColumnStride], and one of the strides is 1.</summary>
internal readonly unsafe record struct Operand(nint Address, nint RowStride, nint ColumnStride)
{
    public float* At(nint row, nint column) => (float*)Address + (row * RowStride) + (column * ColumnStride);

    /// <summary>The transposed view.</summary>
    public Operand Transposed => new(Address, ColumnStride, RowStride);
}

/// <summary>Copies operands into the order in which a micro-kernel reads them, zero-padded to whole panels.</summary>
internal static unsafe class Packing
{
    /// <summary>
    /// Packs <paramref name="width"/> (of <paramref name="panelWidth"/>) rows of <paramref name="source"/> from
    /// column <paramref name="k0"/> on, as k groups of panelWidth values: the layout for both a (rows) and b (transposed: columns).
    /// </summary>
    public static void Panel(Operand source, nint row, int width, nint k0, int k, int panelWidth, float* panel)
    {
        if (width < panelWidth)
        {
            new Span<float>(panel, k * panelWidth).Clear();
        }

        if (source.RowStride == 1)
        {
            CopyRuns(source.At(row, k0), source.ColumnStride, width, k, panelWidth, panel);
        }
        else
        {
            Transpose(source.At(row, k0), source.RowStride, source.ColumnStride, width, k, panelWidth, panel);
        }
    }

    private static void CopyRuns(float* source, nint stride, int width, int k, int panelWidth, float* panel)
    {
        // Whole panels of the widths that the micro-kernels have are copied without an inner loop.
        if (width == panelWidth && width == 32)
        {
            for (int step = 0; step < k; step++, source += stride, panel += 32)
            {
                Vector512.Load(source).Store(panel);
                Vector512.Load(source + 16).Store(panel + 16);
            }
        }
        else if (width == panelWidth && width == 12)
        {
            for (int step = 0; step < k; step++, source += stride, panel += 12)
            {
                Vector256.Load(source).Store(panel);
                Vector128.Load(source + 8).Store(panel + 8);
            }
        }
        else
        {
            for (int step = 0; step < k; step++, source += stride, panel += panelWidth)
            {
                new ReadOnlySpan<float>(source, width).CopyTo(new Span<float>(panel, width));
            }
        }
    }

    private static void Transpose(float* source, nint rowStride, nint columnStride, int width, int k, int panelWidth, float* panel)
    {
        int i = 0;
        if (columnStride == 1)
        {
            for (; i + 4 <= width; i += 4)
            {
                float* from = source + (i * rowStride);
                int step = 0;
                for (; step + 4 <= k; step += 4)
                {
                    Transpose4x4(from + step, rowStride, panel + (step * panelWidth) + i, panelWidth);
                }

                Scalar(from, rowStride, columnStride, 4, step, k, panelWidth, panel + i);
            }
        }

        Scalar(source + (i * rowStride), rowStride, columnStride, width - i, 0, k, panelWidth, panel + i);
    }

    private static void Scalar(float* source, nint rowStride, nint columnStride, int rows, int from, int to, int panelWidth, float* panel)
    {
        for (int row = 0; row < rows; row++)
        {
            for (int step = from; step < to; step++)
            {
                panel[(step * panelWidth) + row] = source[(row * rowStride) + (step * columnStride)];
            }
        }
    }

    /// <summary>destination = the transpose of the 4 x 4 values at <paramref name="source"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Transpose4x4(float* source, nint stride, float* destination, nint destinationStride)
    {
        Vector128<float> r0 = Vector128.Load(source);
        Vector128<float> r1 = Vector128.Load(source + stride);
        Vector128<float> r2 = Vector128.Load(source + (2 * stride));
        Vector128<float> r3 = Vector128.Load(source + (3 * stride));
        if (Sse.IsSupported)
        {
            Vector128<float> low01 = Sse.UnpackLow(r0, r1), high01 = Sse.UnpackHigh(r0, r1);
            Vector128<float> low23 = Sse.UnpackLow(r2, r3), high23 = Sse.UnpackHigh(r2, r3);
            (r0, r1) = (Sse.MoveLowToHigh(low01, low23), Sse.MoveHighToLow(low23, low01));
            (r2, r3) = (Sse.MoveLowToHigh(high01, high23), Sse.MoveHighToLow(high23, high01));
        }
        else if (AdvSimd.Arm64.IsSupported)
        {
            Vector128<float> low01 = AdvSimd.Arm64.ZipLow(r0, r1), high01 = AdvSimd.Arm64.ZipHigh(r0, r1);
            Vector128<float> low23 = AdvSimd.Arm64.ZipLow(r2, r3), high23 = AdvSimd.Arm64.ZipHigh(r2, r3);
            r0 = Vector128.Create(low01.GetLower(), low23.GetLower());
            r1 = Vector128.Create(low01.GetUpper(), low23.GetUpper());
            r2 = Vector128.Create(high01.GetLower(), high23.GetLower());
            r3 = Vector128.Create(high01.GetUpper(), high23.GetUpper());
        }
        else
        {
            (r0, r1, r2, r3) = (
                Vector128.Create(r0[0], r1[0], r2[0], r3[0]), Vector128.Create(r0[1], r1[1], r2[1], r3[1]),
                Vector128.Create(r0[2], r1[2], r2[2], r3[2]), Vector128.Create(r0[3], r1[3], r2[3], r3[3]));
        }

        r0.Store(destination);
        r1.Store(destination + destinationStride);
        r2.Store(destination + (2 * destinationStride));
        r3.Store(destination + (3 * destinationStride));
    }
}
