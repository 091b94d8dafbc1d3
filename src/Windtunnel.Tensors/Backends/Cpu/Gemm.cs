namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>A register tile of C: Rows x Columns accumulators.</summary>
internal unsafe interface IMicroKernel
{
    static abstract int Rows { get; }

    static abstract int Columns { get; }

    /// <summary>
    /// c = init + alpha sum over k of a panel (k groups of Rows) times b panel (k groups of Columns).
    /// <paramref name="init"/> is c itself to accumulate, a bias with stride 0, or zeros with stride 0.
    /// Each element is one chain of fused multiply-adds in the order of k, so all kernels give the same bits.
    /// </summary>
    static abstract void Run(float* a, float* b, nint k, float* init, nint initStride, float alpha, float* c, nint ldc);
}

/// <summary>
/// One product C [M, N] = alpha A [M, K] B [K, N] + init; with <paramref name="Lower"/> register tiles that lie above the diagonal
/// of C are left out.
/// </summary>
internal readonly unsafe record struct GemmCall(
    int M, int N, int K, Operand A, Operand B, nint C, nint Ldc, float Alpha = 1, bool Accumulate = false, nint Bias = 0, bool Lower = false)
{
    /// <summary>The same product of the <paramref name="index"/>th matrices of batches; strides are in elements.</summary>
    public GemmCall At(int index, long strideA, long strideB, long strideC) => this with
    {
        A = A with { Address = (nint)((float*)A.Address + (index * strideA)) },
        B = B with { Address = (nint)((float*)B.Address + (index * strideB)) },
        C = (nint)((float*)C + (index * strideC)),
    };
}

/// <summary>
/// Packed, cache-blocked matrix product after Goto and van de Geijn (2008): blocks of K are packed for A and B by all
/// threads, then the tiles of C are shared out. The split of K is fixed; that of M and N does not show in the bits.
/// </summary>
internal sealed unsafe class Gemm<TKernel>(WorkerPool workers) : IGemm
    where TKernel : struct, IMicroKernel
{
    private const int KBlock = 768;
    private const int PackedABytes = 6 << 20;
    private const int NBlock = 3072;
    private const int TileRows = 144;
    private const int TileColumns = 512;

    // A tile is then at most 1 % of a thread's share, which is what it may wait for another at the end.
    private const int TilesAWorker = 48;

    private readonly Scratch _packedA = new();
    private readonly Scratch _packedB = new();

    public void Run(in GemmCall call)
    {
        int kBlocks = (call.K + KBlock - 1) / KBlock;
        int kStep = RoundUp((call.K + kBlocks - 1) / kBlocks, 8);
        int mBlocks = (int)((((long)call.M * kStep * sizeof(float)) + PackedABytes - 1) / PackedABytes);
        int mStep = RoundUp((call.M + mBlocks - 1) / mBlocks, TKernel.Rows);
        for (int m0 = 0; m0 < call.M; m0 += mStep)
        {
            int m = Math.Min(mStep, call.M - m0);
            for (int k0 = 0; k0 < call.K; k0 += kStep)
            {
                int k = Math.Min(kStep, call.K - k0);
                for (int n0 = 0; n0 < call.N; n0 += NBlock)
                {
                    Block(call, m0, m, n0, Math.Min(NBlock, call.N - n0), k0, k, packA: n0 == 0);
                }
            }
        }
    }

    public void Dispose()
    {
        _packedA.Dispose();
        _packedB.Dispose();
    }

    private static int Tiles(int length, int tile) => (length + tile - 1) / tile;

    private static int RoundUp(int value, int multiple) => (value + multiple - 1) / multiple * multiple;

    private void Block(in GemmCall call, int m0, int m, int n0, int n, int k0, int k, bool packA)
    {
        int aPanels = (m + TKernel.Rows - 1) / TKernel.Rows;
        int bPanels = (n + TKernel.Columns - 1) / TKernel.Columns;
        float* a = _packedA.Rent((long)aPanels * TKernel.Rows * k);
        float* b = _packedB.Rent((long)bPanels * TKernel.Columns * k);

        int aItems = packA ? (aPanels + PackWork.APanelsAnItem - 1) / PackWork.APanelsAnItem : 0;
        int bItems = (bPanels + PackWork.BPanelsAnItem - 1) / PackWork.BPanelsAnItem;
        workers.Run(new PackWork(call, m0, m, n0, n, k0, k, (nint)a, (nint)b, aItems), aItems + bItems);

        int tileRows = TileRows, tileColumns = Math.Min(TileColumns, RoundUp(n, TKernel.Columns));
        while (workers.Workers > 1 && Tiles(m, tileRows) * Tiles(n, tileColumns) < TilesAWorker * workers.Workers
            && (tileColumns > 2 * TKernel.Columns || tileRows > 4 * TKernel.Rows))
        {
            if (tileColumns > tileRows && tileColumns > 2 * TKernel.Columns)
            {
                tileColumns = RoundUp(tileColumns / 2, TKernel.Columns);
            }
            else
            {
                tileRows = RoundUp(tileRows / 2, TKernel.Rows);
            }
        }

        // Even tiles rather than full ones and a rest.
        tileRows = RoundUp((m + Tiles(m, tileRows) - 1) / Tiles(m, tileRows), TKernel.Rows);
        int rowTiles = Tiles(m, tileRows), columnTiles = Tiles(n, tileColumns);
        workers.Run(
            new TileWork(call, m0, m, n0, n, k0, k, (nint)a, (nint)b, tileRows, tileColumns, columnTiles), rowTiles * columnTiles);
    }

    private readonly struct PackWork(in GemmCall call, int m0, int m, int n0, int n, int k0, int k, nint a, nint b, int aItems) : IWork
    {
        public const int APanelsAnItem = 3;
        public const int BPanelsAnItem = 1;

        private readonly GemmCall _call = call;

        public void Run(int item, int worker)
        {
            if (item < aItems)
            {
                Pack(_call.A, item * APanelsAnItem, APanelsAnItem, TKernel.Rows, m0, m, (float*)a);
            }
            else
            {
                Pack(_call.B.Transposed, (item - aItems) * BPanelsAnItem, BPanelsAnItem, TKernel.Columns, n0, n, (float*)b);
            }
        }

        private void Pack(Operand source, int firstPanel, int panels, int panelWidth, int start, int length, float* packed)
        {
            for (int panel = firstPanel; panel < firstPanel + panels && panel * panelWidth < length; panel++)
            {
                int row = panel * panelWidth;
                Packing.Panel(
                    source, start + row, Math.Min(panelWidth, length - row), k0, k, panelWidth, packed + ((nint)row * k));
            }
        }
    }

    private readonly struct TileWork(
        in GemmCall call, int m0, int m, int n0, int n, int k0, int k, nint a, nint b, int tileRows, int tileColumns, int columnTiles) : IWork
    {
        private readonly GemmCall _call = call;

        public void Run(int item, int worker)
        {
            int rowStart = item / columnTiles * tileRows, rowEnd = Math.Min(m, rowStart + tileRows);
            int columnStart = item % columnTiles * tileColumns, columnEnd = Math.Min(n, columnStart + tileColumns);
            float* zeros = stackalloc float[TKernel.Columns];
            float* edge = stackalloc float[TKernel.Rows * TKernel.Columns];
            new Span<float>(zeros, TKernel.Columns).Clear();
            bool accumulate = _call.Accumulate || k0 > 0;
            for (int column = columnStart; column < columnEnd; column += TKernel.Columns)
            {
                int width = Math.Min(TKernel.Columns, columnEnd - column);
                float* bPanel = (float*)b + ((nint)column * k);
                float* bias = _call.Bias == 0 || accumulate ? null : (float*)_call.Bias + n0 + column;
                int above = _call.Lower ? (n0 + column - m0 - rowStart) / TKernel.Rows : 0;
                for (int row = rowStart + (Math.Max(0, above) * TKernel.Rows); row < rowEnd; row += TKernel.Rows)
                {
                    int height = Math.Min(TKernel.Rows, rowEnd - row);
                    float* aPanel = (float*)a + ((nint)row * k);
                    float* c = (float*)_call.C + ((m0 + row) * _call.Ldc) + n0 + column;
                    float* init = accumulate ? c : bias is null ? zeros : bias;
                    nint initStride = accumulate ? _call.Ldc : 0;
                    if (height == TKernel.Rows && width == TKernel.Columns)
                    {
                        TKernel.Run(aPanel, bPanel, k, init, initStride, _call.Alpha, c, _call.Ldc);
                        continue;
                    }

                    TKernel.Run(aPanel, bPanel, k, zeros, 0, _call.Alpha, edge, TKernel.Columns);
                    if (!accumulate && bias is null)
                    {
                        initStride = 0;
                    }

                    for (int i = 0; i < height; i++, c += _call.Ldc, init += initStride)
                    {
                        for (int j = 0; j < width; j++)
                        {
                            c[j] = init[j] + edge[(i * TKernel.Columns) + j];
                        }
                    }
                }
            }
        }
    }
}

/// <summary>A matrix product for the instruction set at hand.</summary>
internal interface IGemm : IDisposable
{
    void Run(in GemmCall call);
}
