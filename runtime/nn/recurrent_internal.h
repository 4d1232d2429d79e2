/* What the files of the recurrent layers share. */
#ifndef SONDE_NN_RECURRENT_INTERNAL_H
#define SONDE_NN_RECURRENT_INTERNAL_H

#include "nn/internal.h"

/* Parameters of one layer in one direction, in order of registration; only an LSTM has those from PLAIN on. */
enum { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH, PLAIN, PEEPHOLE = PLAIN, NORM_IH, NORM_HH, NORM_C, NORM_C_BIAS, ALL };

typedef struct recurrent_state {
    sonde_recurrent_options options;
    sonde_stream stream; /* of the dropouts */
    sonde_hooks watchers;
} recurrent_state;

static inline int64_t directions_of(const sonde_recurrent_options *options)
{
    return options->bidirectional ? 2 : 1;
}

sonde_status sonde_recurrent_forward(sonde_module *self, const sonde_values *in, sonde_values *out);

#endif
