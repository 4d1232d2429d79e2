/* recurrent — what forward and backward of the recurrent operators share. Private to room autograd.
 *
 * Kept rows (one for each step and sample) hold the gates' values, each a run of H: RNN [a] (where leak is 1 this is
 * y's row), LSTM [i f g o c], GRU [r z n m]. Rows of the normalisation: [W_ih x: 4H] [W_hh h: 4H] [c: H], all
 * normalised, and the three factors 1/std.
 */
#ifndef SONDE_AUTOGRAD_RECURRENT_H
#define SONDE_AUTOGRAD_RECURRENT_H

#include "autograd/node.h"

#include <string.h>

/* The short names of the inputs. */
enum {
    X = SONDE_RECURRENT_X,
    H0 = SONDE_RECURRENT_H0,
    C0 = SONDE_RECURRENT_C0,
    WEIGHT_IH = SONDE_RECURRENT_WEIGHT_IH,
    WEIGHT_HH = SONDE_RECURRENT_WEIGHT_HH,
    BIAS_IH = SONDE_RECURRENT_BIAS_IH,
    BIAS_HH = SONDE_RECURRENT_BIAS_HH,
    PEEPHOLE = SONDE_RECURRENT_PEEPHOLE,
    NORM_IH = SONDE_RECURRENT_NORM_IH,
    NORM_HH = SONDE_RECURRENT_NORM_HH,
    NORM_C = SONDE_RECURRENT_NORM_C,
    NORM_C_BIAS = SONDE_RECURRENT_NORM_C_BIAS,
    MASK = SONDE_RECURRENT_MASK,
    LENGTHS = SONDE_RECURRENT_LENGTHS,
    INPUTS = SONDE_RECURRENT_INPUTS
};

typedef struct recurrent_args { /* a node's */
    sonde_recurrent_args args;
    sonde_hooks watchers;
    bool walked; /* a backward has come through */
} recurrent_args;

typedef struct recurrent_run {
    const sonde_recurrent_args *args;
    const sonde_recurrent_loops *loops;
    sonde_dtype dtype;
    int64_t steps, batch, inputs, hidden;
    int64_t gates;             /* of the weights: RNN 1, LSTM 4, GRU 3 */
    int64_t width, norm_width; /* of a kept row; of a normalisation's row, 0 without */
    sonde_tensor *t[INPUTS];   /* contiguous, one reference each */
    char *y, *kept, *norm;     /* borrowed */
    char *zeros;               /* H of them; owned */
} recurrent_run;

/* in: as they are; y [T, B, H] and extras belong to the caller. On failure there is nothing to close. */
sonde_status sonde_recurrent_open(recurrent_run *run, sonde_tensor *const *in, const sonde_recurrent_args *args,
                                  sonde_tensor *y);
void sonde_recurrent_close(recurrent_run *run);

static inline char *elements(const recurrent_run *run, const void *base, int64_t n)
{
    return (char *)base + n * (int64_t)sonde_dtype_size(run->dtype);
}

/* The row of step t, sample b in a block of such rows. */
static inline char *row_of(const recurrent_run *run, const char *block, int64_t width, int64_t t, int64_t b)
{
    return elements(run, block, (t * run->batch + b) * width);
}

static inline char *data_of(const recurrent_run *run, int input)
{
    return run->t[input] ? sonde_tensor_data(run->t[input]) : NULL;
}

static inline int64_t length_of(const recurrent_run *run, int64_t b)
{
    return run->t[LENGTHS] ? ((const int64_t *)sonde_tensor_data(run->t[LENGTHS]))[b] : run->steps;
}

/* Step number s, in the order they are taken, as time. */
static inline int64_t time_of(const recurrent_run *run, int64_t s)
{
    return run->args->reverse ? run->steps - 1 - s : s;
}

/* The first and the last time at which sample b takes a step. */
static inline int64_t first_time(const recurrent_run *run, int64_t b)
{
    return run->args->reverse ? length_of(run, b) - 1 : 0;
}
static inline int64_t last_time(const recurrent_run *run, int64_t b)
{
    return run->args->reverse ? 0 : length_of(run, b) - 1;
}

/* The row of the state before time t: of h (rows of y), or of c. */
static inline const char *before(const recurrent_run *run, bool cell, int64_t t, int64_t b)
{
    if (t == first_time(run, b)) {
        const char *initial = data_of(run, cell ? C0 : H0);
        return initial ? elements(run, initial, b * run->hidden) : run->zeros;
    }
    const int64_t previous = run->args->reverse ? t + 1 : t - 1;
    if (!cell) return row_of(run, run->y, run->hidden, previous, b);
    return elements(run, row_of(run, run->kept, run->width, previous, b), 4 * run->hidden);
}

/* Copies the h that enters weight_hh at time t, mask applied, into a block [B, H]; zero for who takes no step. */
void sonde_recurrent_gather(const recurrent_run *run, char *block, int64_t t);

sonde_status sonde_recurrent_backward(sonde_node *node);

#endif
