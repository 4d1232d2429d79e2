/* The catalogue of layers. Included by nn.h: not a door of its own.
 *
 * Every constructor checks its arguments (EARG names the class, expected and actual) and leaves one reference in *out.
 */
#ifndef SONDE_NN_LAYERS_H
#define SONDE_NN_LAYERS_H

/* ---- activations with state ------------------------------------------------------------------------------ */

/* x where x > 0, else w x; weight [num_parameters], one for all or one per channel (axis 1), started at init. PyTorch: 1,
 * 0.25. (He et al. 2015, "Delving deep into rectifiers".) */
sonde_status sonde_prelu_new(sonde_module **out, int64_t num_parameters, double init, sonde_dtype dtype);
/* x where x > 0, else r x: r drawn from U(lower, upper) for every element in training, (lower + upper)/2 in evaluation.
 * PyTorch: 1/8, 1/3. (Xu et al. 2015, "Empirical evaluation of rectified activations".) */
sonde_status sonde_rrelu_new(sonde_module **out, double lower, double upper);
/* Over one axis, 0-based, negative from the end. */
sonde_status sonde_softmax_module_new(sonde_module **out, int axis, bool logarithm);

#endif
