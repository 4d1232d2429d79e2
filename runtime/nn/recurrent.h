/* Recurrent layers and cells. Included by nn.h: not a door of its own.
 *
 * RNN and GRU take (x, h0, lengths), an LSTM (x, h0, c0, lengths), and return output, h_n (and c_n); all but x may be
 * left out. x [T, B, I], [B, T, I] with batch_first, or one sequence [T, I]; output the same with D·H features, D being
 * 2 where bidirectional; h0, c0, h_n, c_n [layers · D, B, H] ([layers · D, H] for one sequence), a layer's reverse
 * direction after its forward one. lengths [B], int64, see autograd/ops_recurrent.h, where the formulas are too.
 * Parameters of layer 0: weight_ih_l0 [G·H, I], weight_hh_l0 [G·H, H], bias_ih_l0, bias_hh_l0 [G·H], of the reverse
 * direction weight_ih_l0_reverse …; all from U(±1/√H), as PyTorch. An LSTM's own: weight_peephole_l0 [3H] (i, f, o),
 * and weight_norm_ih_l0, weight_norm_hh_l0 [4H], weight_norm_c_l0 [H], started at 1, bias_norm_c_l0 [H] at 0. Cells
 * take (x [B, I] or [I], h, c) and return h (and c); their names end without _l0.
 */
#ifndef SONDE_NN_RECURRENT_H
#define SONDE_NN_RECURRENT_H

#include "autograd/autograd.h"

typedef struct sonde_recurrent_options {
    sonde_recurrent_kind kind;
    bool cell; /* one step of one layer: RNNCell, LSTMCell, GRUCell */
    int64_t input_size, hidden_size, num_layers;
    bool bias, batch_first, bidirectional;
    double dropout;             /* on the outputs of all layers but the last */
    bool variational;           /* that dropout drops the same units at every step (Gal & Ghahramani 2016) */
    double recurrent_dropout;   /* on the h that enters weight_hh; always the same units at every step */
    sonde_squash activation;    /* see sonde_recurrent_args */
    double leak;                /* RNN */
    bool reset_after;           /* GRU */
    bool peepholes, layer_norm; /* LSTM */
    double forget_bias;      /* LSTM: what the forget gate's two biases sum to at the start; NaN: drawn as the others */
    double clip_hidden_grad; /* largest norm of dL/dh_t in back-propagation through time; 0: any */
    sonde_dtype dtype;
} sonde_recurrent_options;

/* PyTorch's defaults: one layer with biases, tanh, reset_after. */
sonde_recurrent_options sonde_recurrent_defaults(sonde_recurrent_kind kind, int64_t input_size, int64_t hidden_size);
sonde_status sonde_recurrent_new(sonde_module **out, const sonde_recurrent_options *options);

/* What the layer or cell was made with; NULL: m is neither. */
const sonde_recurrent_options *sonde_recurrent_options_of(const sonde_module *m);

/* Told of the whole dL/dh_t (and dL/dc_t) of every layer (0-based), direction and step in every backward through m from
 * its next forward on. EARG: m is no recurrent layer or cell. out may be NULL. */
typedef sonde_status (*sonde_recurrent_watcher)(void *context, int64_t layer, bool reverse,
                                                const sonde_hidden_grad *gradient);
sonde_status sonde_recurrent_watch(sonde_module *m, sonde_recurrent_watcher watcher, void *context,
                                   void (*free_context)(void *), sonde_handle **out);

#endif
