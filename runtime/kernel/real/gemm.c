/* Matrix products with the right-hand matrix straight, [k, n], and n a multiple of a vector: a tile of C in registers,
 * B read as it lies, or copied together when it is large. Every element of C is one chain of fused multiply-adds over
 * p = 0..k-1, so its bits depend neither on the tile it falls into nor on the threads. Only where the machine has FMA;
 * elsewhere, and for all other shapes, BLAS does it (see matmul.c).
 */
#include "kernel/real/kernels.h"
#include "kernel/real/real.h"

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
#include <immintrin.h>

#if defined(__AVX512F__) && SONDE_REAL == 32
typedef __m512 vec;
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define SPREAD _mm512_set1_ps
#define FMA _mm512_fmadd_ps
#elif defined(__AVX512F__)
typedef __m512d vec;
#define LOAD _mm512_loadu_pd
#define STORE _mm512_storeu_pd
#define SPREAD _mm512_set1_pd
#define FMA _mm512_fmadd_pd
#elif SONDE_REAL == 32
typedef __m256 vec;
#define LOAD _mm256_loadu_ps
#define STORE _mm256_storeu_ps
#define SPREAD _mm256_set1_ps
#define FMA _mm256_fmadd_ps
#else
typedef __m256d vec;
#define LOAD _mm256_loadu_pd
#define STORE _mm256_storeu_pd
#define SPREAD _mm256_set1_pd
#define FMA _mm256_fmadd_pd
#endif

enum {
    LANES = sizeof(vec) / sizeof(real),
    MAX_ROWS = 6,
    MAX_VECS = sizeof(vec) == 64 ? 4 : 2, /* 24 of 32 registers for the tile, or 12 of 16 */
    DEPTH = 256,                          /* rows of B copied together at a time, if it is large: */
    PACK_BYTES = 1 << 21,                 /* its rows then lie so far apart that caches serve them badly, ... */
    PACK_ROWS = 48,                       /* ... and this many rows of A pay for the copy */
};

typedef struct operands {
    real *c;
    const real *a, *b;
    int64_t k, a_row, a_column, ldb, ldc; /* op(A)[i, p] is a[i a_row + p a_column] */
    bool add;
} operands;

/* One tile of rows x (vecs LANES) elements at o->c; the first two are constants after inlining. */
static inline __attribute__((always_inline)) void tile(int rows, int vecs, const operands *o)
{
    vec sum[MAX_ROWS][MAX_VECS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++) sum[r][v] = o->add ? LOAD(o->c + r * o->ldc + v * LANES) : SPREAD(0);
    const real *a = o->a, *b = o->b;
    for (int64_t p = 0; p < o->k; p++, a += o->a_column, b += o->ldb) {
        vec right[MAX_VECS];
        for (int v = 0; v < vecs; v++) right[v] = LOAD(b + v * LANES);
        for (int r = 0; r < rows; r++) {
            vec left = SPREAD(a[r * o->a_row]);
            for (int v = 0; v < vecs; v++) sum[r][v] = FMA(left, right[v], sum[r][v]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++) STORE(o->c + r * o->ldc + v * LANES, sum[r][v]);
}

#define TILE(rows, vecs) static void tile_##rows##x##vecs(const operands *o) { tile(rows, vecs, o); }
#define TILES(vecs) TILE(1, vecs) TILE(2, vecs) TILE(3, vecs) TILE(4, vecs) TILE(5, vecs) TILE(6, vecs)
#define ROW(vecs) {tile_1x##vecs, tile_2x##vecs, tile_3x##vecs, tile_4x##vecs, tile_5x##vecs, tile_6x##vecs}

TILES(1)
TILES(2)
#ifdef __AVX512F__
TILES(3)
TILES(4)
static void (*const tiles[MAX_VECS][MAX_ROWS])(const operands *) = {ROW(1), ROW(2), ROW(3), ROW(4)};
#else
static void (*const tiles[MAX_VECS][MAX_ROWS])(const operands *) = {ROW(1), ROW(2)};
#endif

int64_t REAL_NAME(sonde_gemm_lanes)(void) { return LANES; }

/* C's columns of one panel of B: k rows of `vecs` vectors, ldb apart. */
static void panel(operands o, int64_t m, int64_t vecs)
{
    int64_t row_tiles = (m + MAX_ROWS - 1) / MAX_ROWS;
    for (int64_t t = 0; t < row_tiles; t++) {
        int64_t rows = m / (row_tiles - t); /* even tiles: no thin last one */
        tiles[vecs - 1][rows - 1](&o);
        o.c += rows * o.ldc;
        o.a += rows * o.a_row;
        m -= rows;
    }
}

void REAL_NAME(sonde_gemm)(real *c, const real *a, const real *b, int64_t m, int64_t n, int64_t k, int64_t a_row,
                           int64_t a_column, int64_t ldb, int64_t ldc, bool add)
{
    real packed[DEPTH * MAX_VECS * LANES];
    bool pack = m >= PACK_ROWS && n > MAX_VECS * LANES && n * k * (int64_t)sizeof(real) >= PACK_BYTES;
    int64_t depth = pack ? DEPTH : k;
    for (int64_t p = 0; p < k; p += depth) {
        if (depth > k - p) depth = k - p;
        for (int64_t j = 0; j < n; j += MAX_VECS * LANES) {
            int64_t vecs = (n - j) / LANES < MAX_VECS ? (n - j) / LANES : MAX_VECS;
            operands o = {c + j, a + p * a_column, b + p * ldb + j, depth, a_row, a_column, ldb, ldc, add || p > 0};
            if (pack) {
                for (int64_t q = 0; q < depth; q++)
                    for (int64_t v = 0; v < vecs; v++)
                        STORE(packed + (q * vecs + v) * LANES, LOAD(o.b + q * ldb + v * LANES));
                o.b = packed;
                o.ldb = vecs * LANES;
            }
            panel(o, m, vecs);
        }
    }
}

#else

int64_t REAL_NAME(sonde_gemm_lanes)(void) { return 0; }

void REAL_NAME(sonde_gemm)(real *c, const real *a, const real *b, int64_t m, int64_t n, int64_t k, int64_t a_row,
                           int64_t a_column, int64_t ldb, int64_t ldc, bool add)
{
    (void)c, (void)a, (void)b, (void)m, (void)n, (void)k, (void)a_row, (void)a_column, (void)ldb, (void)ldc, (void)add;
}

#endif
