/* Parametrisations: a tensor of a module is not a parameter itself but made of others, its originals, at every call.
 * Included by nn.h: not a door of its own.
 *
 * As in PyTorch, `weight` of m, once parametrised, gives way to the module "parametrizations.weight" in m, with the
 * parameter "original" (or "original0", "original1", …) and the parametrisations as children "1", "2", …, each working
 * on what the one before made. A parametrisation is a module that takes the originals (later ones: one tensor) and
 * returns one tensor. The value is made before m's forward, once per call; gradients reach the originals. Between calls
 * the parameter's place holds the last value, without history, and is marked is_computed.
 */
#ifndef SONDE_NN_PARAMETRIZE_H
#define SONDE_NN_PARAMETRIZE_H

#include "tensor/tensor.h"

struct sonde_module;

/* Parameter `name` of m becomes parametrization(originals). One original of the parameter's shape and dtype takes the
 * place of its values in the tensor there is, so that optimisers keep it; others become new parameters. Is m's `name`
 * parametrised already, n must be 0: the new one comes last. EARG: no such parameter, or a child "parametrizations" in
 * the way; ESHAPE, EDTYPE: the parametrisation, tried in evaluation mode, does not give what the parameter was. */
sonde_status sonde_parametrize(struct sonde_module *m, const char *name, struct sonde_module *parametrization, int n,
                               sonde_tensor *const *originals);
bool sonde_is_parametrized(const struct sonde_module *m, const char *name); /* NULL: is any? */
/* What it is now: inside a call of m that call's value, else made anew. */
sonde_status sonde_parametrized_value(sonde_tensor **out, struct sonde_module *m, const char *name);
/* Makes `name` a parameter again: of its present value, or of what its original holds (EARG if it has several). */
sonde_status sonde_remove_parametrizations(struct sonde_module *m, const char *name, bool leave_parametrized);
/* Is it the module that makes one parametrised tensor, "parametrizations.weight"? */
bool sonde_is_parametrization_list(const struct sonde_module *m);

/* ---- parametrisations; axes are 0-based, negative from the end ------------------------------------------- */

/* w = g v/‖v‖, a norm for each index of the axis (PyTorch: 0), or, dim NULL, one for all; original0 g, original1 v.
 * (Salimans & Kingma 2016, "Weight normalization".) */
sonde_status sonde_weight_norm(struct sonde_module *m, const char *name, const int *dim);
/* w = W/σ, σ = uᵀWv: W's largest singular value as a matrix [axis, the others], u and v (buffers _u, _v) by power
 * iteration, n_power_iterations (PyTorch: 1) before each value in training; a vector is divided by its norm. eps
 * (1e-12) is the smallest norm divided by. dim NULL: 0, for transposed convolutions 1. (Miyato et al. 2018, "Spectral
 * normalization for generative adversarial networks".) */
sonde_status sonde_spectral_norm(struct sonde_module *m, const char *name, int64_t n_power_iterations, double eps,
                                 const int *dim);

typedef enum sonde_orthogonal_map {
    SONDE_ORTHOGONAL_DEFAULT,    /* matrix_exp of square matrices, else householder */
    SONDE_ORTHOGONAL_MATRIX_EXP, /* e^A, A = tril(X) - tril(X)ᵀ */
    SONDE_ORTHOGONAL_CAYLEY,     /* (I - A/2)⁻¹(I + A/2) */
    SONDE_ORTHOGONAL_HOUSEHOLDER /* Π (I - 2 v vᵀ/vᵀv) D, v the columns of tril(X) with 1 on the diagonal, D = ±1 */
} sonde_orthogonal_map;
/* The last two axes [m, n] of w are orthonormal: columns if m >= n, else rows. use_trivialization (PyTorch: true):
 * w = base · map(X), base (a buffer) from the weight there was and X started so that map(X) = I; without it only the
 * Householder map can start at a given weight, EARG for the others. A weight that is not orthogonal is replaced by the
 * Q of its QR. (Lezcano-Casado & Martínez-Rubio 2019, "Cheap orthogonal constraints in neural networks"; Lezcano-Casado
 * 2019, "Trivializations for gradient-based optimization on manifolds".) */
sonde_status sonde_orthogonal(struct sonde_module *m, const char *name, sonde_orthogonal_map map,
                              bool use_trivialization);

#endif
