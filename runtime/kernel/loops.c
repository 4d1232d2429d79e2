#include "kernel/loops.h"
#include "kernel/walk.h"

#include <math.h>
#include <string.h>

extern const sonde_loops sonde_loop_table_f32, sonde_loop_table_f64, sonde_loop_table_i64;

const sonde_loops *sonde_loops_of(sonde_dtype dtype)
{
    return dtype == SONDE_FLOAT32   ? &sonde_loop_table_f32
           : dtype == SONDE_FLOAT64 ? &sonde_loop_table_f64
                                    : &sonde_loop_table_i64;
}

/* ---- loops ---------------------------------------------------------------------------------------------- */

void sonde_loop_simplify(sonde_loop *loop)
{
    int kept = 0;
    for (int d = 0; d < loop->ndim; d++) {
        if (loop->size[d] == 1) continue;
        bool joins = kept > 0;
        for (int k = 0; joins && k < loop->n_operands; k++)
            joins = loop->stride[k][kept - 1] == loop->stride[k][d] * loop->size[d];
        int to = joins ? kept - 1 : kept++;
        loop->size[to] = joins ? loop->size[to] * loop->size[d] : loop->size[d];
        for (int k = 0; k < loop->n_operands; k++) loop->stride[k][to] = loop->stride[k][d];
    }
    if (kept == 0) {
        loop->size[0] = 1;
        for (int k = 0; k < loop->n_operands; k++) loop->stride[k][0] = 1;
        kept = 1;
    }
    loop->ndim = kept;
}

/* ---- copies --------------------------------------------------------------------------------------------- */

int64_t sonde_to_int64(double value)
{
    if (!(value > -0x1p63)) return INT64_MIN; /* NaN as well */
    return value < 0x1p63 ? (int64_t)value : INT64_MAX;
}

#define SAME(v) (v)
#define WHOLE(v) sonde_to_int64((double)(v))
#define COPY(NAME, TO, FROM, CONVERT)                                                              \
    static void NAME(void *out, const void *in, const sonde_loop *loop)                            \
    {                                                                                              \
        for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w)) {                    \
            TO *y = (TO *)out + w.at[0];                                                           \
            const FROM *x = (const FROM *)in + w.at[1];                                            \
            if (w.step[0] == 1 && w.step[1] == 1) {                                                \
                for (int64_t i = 0; i < w.n; i++) y[i] = (TO)CONVERT(x[i]);                        \
            } else {                                                                               \
                for (int64_t i = 0; i < w.n; i++) y[i * w.step[0]] = (TO)CONVERT(x[i * w.step[1]]); \
            }                                                                                      \
        }                                                                                          \
    }
COPY(copy_4, uint32_t, uint32_t, SAME) /* bits, so that a NaN keeps its payload */
COPY(copy_8, uint64_t, uint64_t, SAME)
COPY(copy_f32_f64, float, double, SAME)
COPY(copy_f64_f32, double, float, SAME)
COPY(copy_f32_i64, float, int64_t, SAME)
COPY(copy_f64_i64, double, int64_t, SAME)
COPY(copy_i64_f32, int64_t, float, WHOLE)
COPY(copy_i64_f64, int64_t, double, WHOLE)

void sonde_copy_kernel(sonde_dtype out_dtype, void *out, sonde_dtype in_dtype, const void *in, const sonde_loop *loop)
{
    static void (*const copies[3][3])(void *, const void *, const sonde_loop *) = {
        [SONDE_FLOAT32] = {[SONDE_FLOAT32] = copy_4, [SONDE_FLOAT64] = copy_f32_f64, [SONDE_INT64] = copy_f32_i64},
        [SONDE_FLOAT64] = {[SONDE_FLOAT32] = copy_f64_f32, [SONDE_FLOAT64] = copy_8, [SONDE_INT64] = copy_f64_i64},
        [SONDE_INT64] = {[SONDE_FLOAT32] = copy_i64_f32, [SONDE_FLOAT64] = copy_i64_f64, [SONDE_INT64] = copy_8},
    };
    const bool plain = loop->ndim == 1 && loop->stride[0][0] == 1 && loop->stride[1][0] == 1;
    if (plain && out_dtype == in_dtype) memcpy(out, in, (size_t)loop->size[0] * sonde_dtype_size(out_dtype));
    else copies[out_dtype][in_dtype](out, in, loop);
}

/* ---- indices -------------------------------------------------------------------------------------------- */

void sonde_index_select_kernel(size_t size, void *out, const void *in, const int64_t *index, int64_t first,
                               int64_t outer, int64_t n, int64_t n_index, int64_t inner)
{
    const size_t row = size * (size_t)inner;
    char *y = out;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < n_index; j++, y += row)
            memcpy(y, (const char *)in + (size_t)(o * n + index[j] - first) * row, row);
}

int64_t sonde_index_check_kernel(const int64_t *index, int64_t n, int64_t low, int64_t high)
{
    for (int64_t i = 0; i < n; i++)
        if (index[i] < low || index[i] > high) return i;
    return -1;
}
