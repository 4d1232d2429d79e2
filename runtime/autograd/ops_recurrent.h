/* Recurrent layers as operators: one layer in one direction over a whole sequence, forward and backward in one node
 * each. Included by autograd.h: not a door of its own.
 *
 * T steps, batch B, inputs I, hidden units H; weight_ih [G·H, I] and weight_hh [G·H, H], G gates in PyTorch's order:
 *
 *   RNN   h' = (1 - leak) h + leak φ(W_ih x + b_ih + W_hh h + b_hh)        (Elman 1990; leak 1 as PyTorch)
 *   LSTM  i, f, g, o: c' = σ(f) c + σ(i) φ(g), h' = σ(o) φ(c')             (Hochreiter & Schmidhuber 1997)
 *         peephole [3H]: i and f see c, o sees c', element by element      (Gers et al. 2002)
 *         norm_ih, norm_hh [4H], norm_c, norm_c_bias [H]: W_ih x and W_hh h are normalised and scaled, b_ih and b_hh
 *         being their shifts, and c' is before it enters h'                (Ba et al. 2016)
 *   GRU   r, z, n: h' = (1 - σ(z)) n + σ(z) h, n = tanh(W x + b + σ(r) (W_hh h + b_hh)), or with the reset before
 *         the product tanh(W x + b + W_hh (σ(r) h) + b_hh)                 (Cho et al. 2014)
 *
 * A mask [B, H] multiplies the h that enters weight_hh at every step (Gal & Ghahramani 2016). Lengths [B] (int64,
 * 1..T): outputs beyond are 0, and the sequence's own last state is its final one; what x holds there is not looked at.
 */
#ifndef SONDE_AUTOGRAD_OPS_RECURRENT_H
#define SONDE_AUTOGRAD_OPS_RECURRENT_H

#include "kernel/recurrent.h" /* sonde_squash */

typedef enum sonde_recurrent_kind { SONDE_RNN, SONDE_LSTM, SONDE_GRU } sonde_recurrent_kind;

typedef struct sonde_recurrent_args {
    sonde_recurrent_kind kind;
    sonde_squash activation; /* φ; of an LSTM tanh or relu, of a GRU tanh */
    bool reverse;            /* from the last step to the first */
    bool reset_after;        /* GRU; PyTorch's is true */
    double leak;             /* RNN: in (0, 1] */
    double clip;             /* the largest norm (over batch and units) of dL/dh_t inside the backward pass; 0: any */
} sonde_recurrent_args;

enum {
    SONDE_RECURRENT_X,  /* [T, B, I] */
    SONDE_RECURRENT_H0, /* [B, H]; this and all that follow but the weights may be NULL: zero, or left out */
    SONDE_RECURRENT_C0, /* [B, H] */
    SONDE_RECURRENT_WEIGHT_IH,
    SONDE_RECURRENT_WEIGHT_HH,
    SONDE_RECURRENT_BIAS_IH,
    SONDE_RECURRENT_BIAS_HH,
    SONDE_RECURRENT_PEEPHOLE,
    SONDE_RECURRENT_NORM_IH,
    SONDE_RECURRENT_NORM_HH,
    SONDE_RECURRENT_NORM_C,
    SONDE_RECURRENT_NORM_C_BIAS,
    SONDE_RECURRENT_MASK,
    SONDE_RECURRENT_LENGTHS,
    SONDE_RECURRENT_INPUTS
};

/* out: y [T, B, H], h_n [B, H] and c_n [B, H] (NULL unless LSTM). Memory kept for backward, per step and sample: y, and
 * of an LSTM 5H (9H more where normalised), of a GRU 4H, of a leaky RNN H elements. */
sonde_status sonde_recurrent(sonde_tensor *out[3], sonde_tensor *const in[SONDE_RECURRENT_INPUTS],
                             const sonde_recurrent_args *args);

/* The whole derivative of the loss by h_t or c_t, all its paths summed, before clipping. Rows beyond a sequence's
 * length are 0. */
typedef struct sonde_hidden_grad {
    int64_t time, steps; /* 0-based, of T */
    bool cell;           /* by c_t */
    sonde_dtype dtype;
    int64_t batch, hidden;
    const void *data; /* [batch, hidden], contiguous; not to be changed */
    /* With dL/dh_t of an LSTM or GRU, in the first backward through the operator: the gates' values at this step, for
     * each sample an LSTM's i f g o or a GRU's r z n, `hidden` of each. Not of samples beyond their length. Else NULL. */
    const void *gates;      /* [batch, gates_width] */
    int64_t gates_width;
    const int64_t *lengths; /* [batch]; NULL: everyone's is `steps` */
    const void *walk;       /* for sonde_hidden_jacobian */
} sonde_hidden_grad;
typedef sonde_status (*sonde_hidden_watcher)(void *context, const sonde_hidden_grad *gradient);
/* Told at every step of every backward through the operator that made y (EARG if none did), from the last step taken to
 * the first; dies with the graph. out may be NULL. */
sonde_status sonde_watch_hidden_grad(sonde_tensor *y, sonde_hidden_watcher watcher, void *context,
                                     void (*free_context)(void *), sonde_handle **out);
/* For a watcher, of what it is being shown. v [batch, hidden]: a vector for each sample. Shows `watcher` vᵀ ∂h_T/∂h_t,
 * and of an LSTM vᵀ ∂h_T/∂c_t, for every t from T, where each sequence ends, to its beginning: the derivatives within
 * the recurrence alone, a mask included and unclipped. ENOMEM, and what the watcher returns, which ends it. */
sonde_status sonde_hidden_jacobian(const sonde_hidden_grad *shown, const void *v, sonde_hidden_watcher watcher,
                                   void *context);

#endif
