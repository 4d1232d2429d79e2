/* The catalogue of layers. Included by nn.h: not a door of its own.
 *
 * Every constructor checks its arguments (EARG names the class, expected and actual) and leaves one reference in *out.
 */
#ifndef SONDE_NN_LAYERS_H
#define SONDE_NN_LAYERS_H

/* ---- activations with state ------------------------------------------------------------------------------ */

/* x where x > 0, else w x; weight [num_parameters], one for all or one per channel (axis 1), started at init. PyTorch:
 * 1, 0.25. (He et al. 2015, "Delving deep into rectifiers".) */
sonde_status sonde_prelu_new(sonde_module **out, int64_t num_parameters, double init, sonde_dtype dtype);
/* x where x > 0, else r x: r drawn from U(lower, upper) for every element in training, (lower + upper)/2 in evaluation.
 * PyTorch: 1/8, 1/3. (Xu et al. 2015, "Empirical evaluation of rectified activations".) */
sonde_status sonde_rrelu_new(sonde_module **out, double lower, double upper);
/* Over one axis, 0-based, negative from the end. */
sonde_status sonde_softmax_module_new(sonde_module **out, int axis, bool logarithm);

/* ---- convolutions ---------------------------------------------------------------------------------------- */

typedef enum sonde_conv_kind { SONDE_CONV1D, SONDE_CONV2D, SONDE_CONV_TRANSPOSE2D } sonde_conv_kind;

/* Pairs are height, width; of a one-dimensional layer only the second counts. */
typedef struct sonde_conv_options {
    int64_t in_channels, out_channels, kernel[2];
    sonde_conv_args args; /* output_padding: transposed only */
    bool bias;
    sonde_dtype dtype;
} sonde_conv_options;

/* x [N, C, L] or [N, C, H, W]; formulas and output sizes: autograd/ops_spatial.h. weight [out, in/groups, k] or
 * [out, in/groups, kh, kw], transposed [in, out/groups, kh, kw]; it and bias [out] from U(±1/√fan_in), fan_in = the
 * product of weight's axes but the first, as PyTorch. groups divides both channel numbers. */
sonde_status sonde_conv_new(sonde_module **out, sonde_conv_kind kind, const sonde_conv_options *options);

/* ---- pooling --------------------------------------------------------------------------------------------- */

typedef enum sonde_pool_kind { SONDE_MAX_POOL1D, SONDE_MAX_POOL2D, SONDE_AVG_POOL1D, SONDE_AVG_POOL2D } sonde_pool_kind;

/* x [N, C, L] or [N, C, H, W]; of a one-dimensional layer only the second of each pair counts. */
sonde_status sonde_pool_new(sonde_module **out, sonde_pool_kind kind, const sonde_pool_args *args);
/* x [N, C, H, W] to [N, C, size[0], size[1]]. */
sonde_status sonde_adaptive_pool_new(sonde_module **out, bool maximum, const int64_t size[2]);

/* ---- normalisation --------------------------------------------------------------------------------------- */

/* As sonde_batch_norm1d_new, for x [N, C, H, W]. */
sonde_status sonde_batch_norm2d_new(sonde_module **out, int64_t num_features, double eps, double momentum, bool affine,
                                    bool track_running_stats, sonde_dtype dtype);
/* y = (x - mean)/√(variance + eps) · weight + bias, mean and biased variance of each sample over its last ndim axes,
 * which are `shape`, as are weight (from 1) and bias (from 0), both absent without affine. Default: eps 1e-5. (Ba et
 * al. 2016, "Layer normalization".) */
sonde_status sonde_layer_norm_new(sonde_module **out, int ndim, const int64_t *shape, double eps, bool affine,
                                  bool bias, sonde_dtype dtype);
/* The same over `groups` groups of the channels of each sample, x [N, C, ...]; weight and bias [C]. (Wu & He 2018.) */
sonde_status sonde_group_norm_new(sonde_module **out, int64_t groups, int64_t channels, double eps, bool affine,
                                  sonde_dtype dtype);
/* The same over each channel of each sample: x [N, C, L] (dims 1) or [N, C, H, W] (dims 2), whatever the mode. (Ulyanov
 * et al. 2016.) */
sonde_status sonde_instance_norm_new(sonde_module **out, int dims, int64_t num_features, double eps, bool affine,
                                     sonde_dtype dtype);
/* y = x/√(mean(x²) + eps) · weight over the last ndim axes; eps NaN: the input dtype's epsilon, as PyTorch. (Zhang &
 * Sennrich 2019, "Root mean square layer normalization".) */
sonde_status sonde_rms_norm_new(sonde_module **out, int ndim, const int64_t *shape, double eps, bool affine,
                                sonde_dtype dtype);

#endif
