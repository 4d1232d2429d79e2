/* recurrent_backward — what walks back through a recurrence share. Private to room autograd. */
#ifndef SONDE_AUTOGRAD_RECURRENT_BACKWARD_H
#define SONDE_AUTOGRAD_RECURRENT_BACKWARD_H

#include "autograd/recurrent.h"

typedef struct backward {
    recurrent_run run;
    sonde_node *node;
    sonde_hooks *watchers;
    bool shows_gates;
    int64_t chunk, from;    /* steps a chunk has room for; the earliest time in it */
    int64_t d_width;        /* of a row of d */
    char *memory;           /* all that follows, in one block */
    char *dh, *dc;          /* [B, H]: the whole derivative by the state after the current step */
    char *masked;           /* [B, H]: what comes back through weight_hh, where a mask is between */
    char *dz;               /* [H] */
    char *sum;              /* a row: column sums of d */
    char *d;                /* [chunk, B, d_width]: of the pre-activations */
    char *d_hidden;         /* the same for W_hh h where that is normalised apart from W_ih x; else d itself */
    char *hidden;           /* [chunk, B, H]: the h that entered weight_hh */
    char *x;                /* [chunk, B, I]: x without what lies beyond a sequence's length */
    char *gradient[INPUTS]; /* NULL: not needed */
    bool add[INPUTS];       /* to what is there; else the first contribution overwrites */
} backward;

static inline char *d_row(const backward *bw, const char *block, int64_t t, int64_t b)
{
    return row_of(&bw->run, block, bw->d_width, t - bw->from, b);
}

static inline char *state_row(const backward *bw, const char *block, int64_t b)
{
    return elements(&bw->run, block, b * bw->run.hidden);
}

static inline void zero_row(const recurrent_run *run, char *row, int64_t n)
{
    memset(row, 0, (size_t)n * sonde_dtype_size(run->dtype));
}

/* The factor 1/std of a normalisation's row: of W_ih x (0), of W_hh h (1), of c (2). */
static inline double norm_factor(const recurrent_run *run, const char *norm, int which)
{
    const int64_t at = 9 * run->hidden + which;
    return run->dtype == SONDE_FLOAT32 ? (double)((const float *)(const void *)norm)[at]
                                       : ((const double *)(const void *)norm)[at];
}

/* Lays the working memory out in bw->memory and returns how many elements it has; that is NULL: only counts them. */
int64_t sonde_recurrent_lay_out(backward *bw);

/* Step t of an LSTM, from dh to the gradient of its output gate and the whole dc. Then, and of the others at once, on
 * to the states before the step; what their pre-activations' gradients lead to besides is summed where it is asked for
 * row by row. */
void sonde_recurrent_through_output(const backward *bw, int64_t t);
void sonde_recurrent_through_step(const backward *bw, int64_t t);

#endif
