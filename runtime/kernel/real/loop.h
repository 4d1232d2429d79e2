/* loop.h — the operators' loops for one element type; loop_table.c gathers them into a sonde_loops. Private. */
#ifndef SONDE_KERNEL_REAL_LOOP_H
#define SONDE_KERNEL_REAL_LOOP_H

#include "kernel/real/real.h"
#include "kernel/walk.h"

#define SIMD _Pragma("omp simd")

/* The signatures are those of kernel/loops.h, entry by entry. */
#define ENTRY(name) __typeof__(*((sonde_loops *)0)->name) REAL_NAME(loop_##name)
ENTRY(binary);
ENTRY(compare);
ENTRY(binary_backward);
ENTRY(unary);
ENTRY(unary_backward);
ENTRY(clamp);
ENTRY(clamp_backward);
ENTRY(accumulate);
ENTRY(where);
ENTRY(reduce);
ENTRY(reduce_backward);
ENTRY(extremum);
ENTRY(extremum_backward);
ENTRY(cumsum);
ENTRY(softmax);
ENTRY(softmax_backward);
ENTRY(index_add);
ENTRY(gather);
ENTRY(gather_add);
ENTRY(cross_entropy);
ENTRY(cross_entropy_backward);
ENTRY(cross_entropy_soft);
ENTRY(cross_entropy_soft_backward);
ENTRY(mse);
ENTRY(mse_backward);
ENTRY(bce);
ENTRY(bce_backward);
ENTRY(channel_moments);
ENTRY(channel_affine);
ENTRY(channel_dots);
ENTRY(channel_backward);
#undef ENTRY

extern const sonde_loops REAL_NAME(sonde_loop_table);

/* Lanes of a row sum: wide enough for any vector unit, so that the order is the same whatever the compiler chooses. */
enum { LANES = 16 };

static inline double fold_lanes(const double lane[LANES])
{
    double half[LANES / 2];
    for (int l = 0; l < LANES / 2; l++) half[l] = lane[l] + lane[l + LANES / 2];
    return ((half[0] + half[4]) + (half[2] + half[6])) + ((half[1] + half[5]) + (half[3] + half[7]));
}

/* Σ EXPRESSION(i) for i in 0..n-1 into the double TOTAL: lanes inside blocks of 4096, blocks one after another. */
#define SUM_ROW(TOTAL, n, EXPRESSION)                                        \
    do {                                                                     \
        for (int64_t block_ = 0; block_ < (n); block_ += 4096) {             \
            int64_t end_ = block_ + 4096 < (n) ? block_ + 4096 : (n);        \
            double lane_[LANES] = {0};                                       \
            int64_t i_ = block_;                                             \
            for (; i_ + LANES <= end_; i_ += LANES)                          \
                SIMD for (int l_ = 0; l_ < LANES; l_++)                      \
                {                                                            \
                    int64_t i = i_ + l_;                                     \
                    lane_[l_] += (double)(EXPRESSION);                       \
                }                                                            \
            for (int64_t i = i_; i < end_; i++) lane_[i - i_] += (double)(EXPRESSION); \
            (TOTAL) += fold_lanes(lane_);                                    \
        }                                                                    \
    } while (0)

#endif
