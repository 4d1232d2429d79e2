/* losses — the loops of the rarer losses; those of cross-entropy, MSE and BCE with logits are in loops.h, whose
 * contract holds here too. Everything is computed in double and rounded once.
 */
#ifndef SONDE_KERNEL_LOSSES_H
#define SONDE_KERNEL_LOSSES_H

#include "kernel/kernel.h"

/* Element by element, of a prediction x and a target t, e = x - t: */
typedef enum sonde_pair_loss_kind {
    SONDE_L1,              /* |e| */
    SONDE_SMOOTH_L1,       /* |e| < a ? e²/2a : |e| - a/2 */
    SONDE_HUBER,           /* |e| < a ? e²/2 : a (|e| - a/2) */
    SONDE_BCE,             /* -w (t log x + (1-t) log(1-x)), the logarithms at least -100 */
    SONDE_KL_DIV,          /* t (log t - x), 0 for t = 0 */
    SONDE_KL_DIV_LOG,      /* exp(t) (t - x) */
    SONDE_HINGE_EMBEDDING, /* t = 1: x; t = -1: max(0, a - x) */
    SONDE_SOFT_MARGIN,     /* log(1 + exp(-t x)) */
    SONDE_GAUSSIAN_NLL,    /* (log v + e²/v)/2 + b with v = max(w, a) */
    SONDE_PAIR_LOSS_COUNT
} sonde_pair_loss_kind;

typedef struct sonde_pair_loss {
    sonde_pair_loss_kind kind;
    double a, b;
} sonde_pair_loss;

typedef struct sonde_loss_loops {
    /* w: weights of BCE (NULL: 1), variances of GAUSSIAN_NLL; NULL otherwise */
    void (*pair)(const sonde_pair_loss *loss, void *y, const void *x, const void *t, const void *w, size_t n);
    /* d (+)= scale * dy * ∂loss/∂(side 0: x, 1: t, 2: the variance); dy of n elements, or one number for all if `one`.
     * Where a variance is held at `a`, its gradient is that at a. Sides 1 of the two with labels ±1 do not exist. */
    void (*pair_backward)(const sonde_pair_loss *loss, int side, void *d, const void *dy, bool one, double scale,
                          const void *x, const void *t, const void *w, size_t n, bool add);
    /* The position of the first element outside low .. high, NaN passing, or -1. */
    int64_t (*outside)(const void *x, size_t n, double low, double high);
    /* The position of the first element that is neither 1 nor -1, or -1. */
    int64_t (*no_sign)(const void *x, size_t n);
    /* The position of the first NaN, or -1. */
    int64_t (*no_number)(const void *x, size_t n);

    /* -w[label] x[label] over x [outer, n, inner], label [outer, inner] from 1 and checked, 0 where it is `ignored`;
     * weight [n] or NULL. Returns the sum of the weights that count. */
    double (*nll)(void *y, const void *x, const int64_t *label, const void *weight, int64_t outer, int64_t n,
                  int64_t inner, int64_t ignored);
    void (*nll_backward)(void *dx, const void *dy, bool one, double scale, const int64_t *label, const void *weight,
                         int64_t outer, int64_t n, int64_t inner, int64_t ignored, bool add);
    /* w[y]/n Σ_{j ≠ y} max(0, margin - x[y] + x[j])^p over x [rows, n]; p 1 or 2 */
    void (*multi_margin)(void *y, const void *x, const int64_t *label, const void *weight, int64_t rows, int64_t n,
                         int p, double margin);
    void (*multi_margin_backward)(void *dx, const void *dy, bool one, double scale, const void *x,
                                  const int64_t *label, const void *weight, int64_t rows, int64_t n, int p,
                                  double margin, bool add);
    /* c = a·b / √((a·a + ε)(b·b + ε)), ε = 1e-12, of rows of n; t = 1: 1 - c; t = -1: max(0, c - margin) */
    void (*cosine)(void *y, const void *a, const void *b, const void *t, int64_t rows, int64_t n, double margin);
    /* to a; exchange a and b for the other one */
    void (*cosine_backward)(void *da, const void *dy, bool one, double scale, const void *a, const void *b,
                            const void *t, int64_t rows, int64_t n, double margin, bool add);
} sonde_loss_loops;

const sonde_loss_loops *sonde_loss_loops_of(sonde_dtype dtype);

#endif
