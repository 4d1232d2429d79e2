/* recurrent — what the recurrent operators of room autograd run on. The contract of kernel.h holds here too.
 *
 * Each function does one row: one sample at one time step, n hidden units. `gates` and `da` hold one run of n elements
 * per gate, one after the other; a gate's run receives its pre-activation without bias and is overwritten by its value.
 * Backward functions turn the gradient of the values into that of the pre-activations, `da`.
 */
#ifndef SONDE_KERNEL_RECURRENT_H
#define SONDE_KERNEL_RECURRENT_H

#include "kernel/kernel.h"

/* φ of the functions below; its derivative is had from its value. */
typedef enum sonde_squash { SONDE_SQUASH_TANH, SONDE_SQUASH_RELU, SONDE_SQUASH_LINEAR } sonde_squash;

typedef struct sonde_recurrent_loops {
    /* a = φ(a + bias) in place; h = (1 - leak) h_prev + leak a, where h may be a if leak is 1 */
    void (*rnn)(void *h, void *a, const void *bias, const void *h_prev, int64_t n, sonde_squash phi, double leak);
    /* da = leak dh φ'; dh becomes what reaches h_prev past the activation, (1 - leak) dh */
    void (*rnn_backward)(void *da, void *dh, const void *a, int64_t n, sonde_squash phi, double leak);

    /* gates i, f, g, o; peephole [3n] (i, f of c_prev, o of c) or NULL. c = f c_prev + i g */
    void (*lstm_cell)(void *gates, void *c, const void *bias, const void *c_prev, const void *peephole, int64_t n,
                      sonde_squash phi);
    void (*lstm_output)(void *h, const void *o, const void *z, int64_t n, sonde_squash phi); /* h = o φ(z) */
    /* da_o and dz from dh */
    void (*lstm_output_backward)(void *da_o, void *dz, const void *dh, const void *o, const void *z, int64_t n,
                                 sonde_squash phi);
    /* da (i, f, g; o is there) from dc, the whole derivative by c, which becomes that by c_prev */
    void (*lstm_cell_backward)(void *da, void *dc, const void *gates, const void *c_prev, const void *peephole,
                               int64_t n, sonde_squash phi);

    /* gates r, z, n, m. First r and z and, where the reset comes before the product, m = r h_prev; else m is the
     * product of h_prev already, without bias */
    void (*gru_gates)(void *gates, const void *bias, const void *h_prev, int64_t n, bool reset_after);
    /* n = tanh(a_n + r m) or, with the product of m added to it before, tanh(a_n); h = (1 - z) n + z h_prev */
    void (*gru_output)(void *h, void *gates, const void *bias, const void *h_prev, int64_t n, bool reset_after);
    /* da_z, da_n and, where the reset comes after the product, da_r and da_m; dh becomes z dh */
    void (*gru_output_backward)(void *da, void *dh, const void *gates, const void *h_prev, int64_t n, bool reset_after);
    /* where it comes before: da_r from da_m, the derivative by m; dh += r da_m */
    void (*gru_reset_backward)(void *da, void *dh, const void *gates, const void *h_prev, int64_t n);

    /* x = (x - mean) / √(variance + eps), in place; returns 1/√… (Ba et al. 2016, "Layer normalization") */
    double (*normalize)(void *x, int64_t n, double eps);
    /* dx from dy, the derivative by the normalised x; dx may be dy */
    void (*normalize_backward)(void *dx, const void *dy, const void *x, double inverse, int64_t n);

    void (*add)(void *y, const void *x, int64_t n);                               /* y += x */
    void (*scale)(void *y, double factor, int64_t n);                             /* y *= factor */
    void (*multiply)(void *y, const void *a, const void *b, int64_t n, bool add); /* y (+)= a b; y may be a */
} sonde_recurrent_loops;

const sonde_recurrent_loops *sonde_recurrent_loops_of(sonde_dtype dtype); /* float32 or float64 */

#endif
