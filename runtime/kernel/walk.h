/* walk — visiting a sonde_loop row by row. Private to room kernel. */
#ifndef SONDE_KERNEL_WALK_H
#define SONDE_KERNEL_WALK_H

#include "kernel/loops.h"

/* for (loop_walk w = walk_start(loop); w.left > 0; walk_next(loop, &w)) ... w.at[k], w.n elements, w.step[k] apart */
typedef struct loop_walk {
    int64_t left, n;
    int64_t step[SONDE_LOOP_OPERANDS];
    int64_t at[SONDE_LOOP_OPERANDS];
    int64_t index[8];
} loop_walk;

static inline loop_walk walk_start(const sonde_loop *loop)
{
    loop_walk w;
    int last = loop->ndim - 1;
    w.n = loop->size[last];
    w.left = w.n > 0;
    for (int k = 0; k < loop->n_operands; k++) {
        w.step[k] = loop->stride[k][last];
        w.at[k] = 0;
    }
    for (int d = 0; d < last; d++) {
        w.left *= loop->size[d];
        w.index[d] = 0;
    }
    return w;
}

static inline void walk_next(const sonde_loop *loop, loop_walk *w)
{
    w->left--;
    for (int d = loop->ndim - 2; d >= 0; d--) {
        for (int k = 0; k < loop->n_operands; k++) w->at[k] += loop->stride[k][d];
        if (++w->index[d] < loop->size[d]) return;
        for (int k = 0; k < loop->n_operands; k++) w->at[k] -= loop->stride[k][d] * loop->size[d];
        w->index[d] = 0;
    }
}

#endif
