/* Attention as one operator. Included by autograd.h: not a door of its own.
 *
 * Of every sample and head, with queries Q [L, D], keys K [S, D], values V [S, D] (Vaswani et al. 2017, "Attention is
 * all you need"):
 *
 *   P = softmax(Q Kᵀ/√D + mask + key_mask),  W = dropout(P),  y = W V
 *
 * A head is a run of D = E/heads columns of what it is given: nothing is copied to cut heads out.
 */
#ifndef SONDE_AUTOGRAD_OPS_ATTENTION_H
#define SONDE_AUTOGRAD_OPS_ATTENTION_H

#include "tensor/tensor.h"

typedef struct sonde_attention_args {
    int64_t heads;        /* divides E */
    bool batch_first;     /* sequences are [N, L, E], else [L, N, E] */
    double dropout;       /* of W, inverted; drawn from stream */
    sonde_stream *stream; /* NULL where dropout is 0 */
} sonde_attention_args;

enum {
    SONDE_ATTENTION_QUERY, /* [L, N, E]; or, without key and value, all three side by side: [L, N, 3E] */
    SONDE_ATTENTION_KEY,   /* [S, N, E] */
    SONDE_ATTENTION_VALUE,
    SONDE_ATTENTION_MASK,     /* added to the scores, or NULL: [L, S] or [N · heads, L, S]; -inf forbids */
    SONDE_ATTENTION_KEY_MASK, /* the same of keys: [N, S] */
    SONDE_ATTENTION_INPUTS
};

/* out: y, laid out as the query [.., E], and W [N, heads, L, S]. A query that may look at nothing yields NaN, as in
 * PyTorch. Memory kept for backward: the inputs and W; with dropout twice W more. */
sonde_status sonde_attention(sonde_tensor *out[2], sonde_tensor *const in[SONDE_ATTENTION_INPUTS],
                             const sonde_attention_args *args);

#endif
