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
    bool same;            /* as much padding as makes the output as large as the input, d(k-1), the odd one at the end;
                           * in place of args.padding. Neither strided nor transposed */
    sonde_pad_mode padding_mode; /* transposed: zeros */
    bool bias;
    sonde_dtype dtype;
} sonde_conv_options;

/* x [N, C, L] or [N, C, H, W], or without the batch; formulas and output sizes: autograd/ops_spatial.h. weight [out, in/groups, k] or
 * [out, in/groups, kh, kw], transposed [in, out/groups, kh, kw]; it and bias [out] from U(±1/√fan_in), fan_in = the
 * product of weight's axes but the first, as PyTorch. groups divides both channel numbers. */
sonde_status sonde_conv_new(sonde_module **out, sonde_conv_kind kind, const sonde_conv_options *options);

/* ---- pooling --------------------------------------------------------------------------------------------- */

typedef enum sonde_pool_kind {
    SONDE_MAX_POOL1D,
    SONDE_MAX_POOL2D,
    SONDE_AVG_POOL1D,
    SONDE_AVG_POOL2D,
    SONDE_ADAPTIVE_MAX_POOL1D,
    SONDE_ADAPTIVE_MAX_POOL2D,
    SONDE_ADAPTIVE_AVG_POOL1D,
    SONDE_ADAPTIVE_AVG_POOL2D
} sonde_pool_kind;

/* x [N, C, L] or [N, C, H, W], or without the batch; of a one-dimensional layer only the second of each pair counts. */
sonde_status sonde_pool_new(sonde_module **out, sonde_pool_kind kind, const sonde_pool_args *args);
/* The adaptive kinds: L, or H and W, become `size`. */
sonde_status sonde_adaptive_pool_new(sonde_module **out, sonde_pool_kind kind, const int64_t size[2]);

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
/* The same over each channel of each sample: x [N, C, L] (dims 1) or [N, C, H, W] (dims 2), or without the batch,
 * whatever the mode. (Ulyanov et al. 2016.) */
sonde_status sonde_instance_norm_new(sonde_module **out, int dims, int64_t num_features, double eps, bool affine,
                                     sonde_dtype dtype);
/* y = x/√(mean(x²) + eps) · weight over the last ndim axes; eps NaN: the input dtype's epsilon, as PyTorch. (Zhang &
 * Sennrich 2019, "Root mean square layer normalization".) */
sonde_status sonde_rms_norm_new(sonde_module **out, int ndim, const int64_t *shape, double eps, bool affine,
                                sonde_dtype dtype);

/* ---- look-up, products, gates ------------------------------------------------------------------------------ */

/* Rows of weight [num_embeddings, embedding_dim], from N(0, 1), for indices int64 [*], 1-based: y [*, embedding_dim].
 * padding_idx (0: none): that row starts at 0 and gets no gradient. */
sonde_status sonde_embedding_new(sonde_module **out, int64_t num_embeddings, int64_t embedding_dim, int64_t padding_idx,
                                 sonde_dtype dtype);
/* Two inputs [*, in1] and [*, in2]: y_o = x1ᵀ W_o x2 + b_o; weight [out, in1, in2], it and bias from U(±1/√in1). */
sonde_status sonde_bilinear_new(sonde_module **out, int64_t in1, int64_t in2, int64_t out_features, bool bias,
                                sonde_dtype dtype);
/* The largest of `pieces` affine functions: x [*, in] to [*, out]; weight [out · pieces, in], the pieces of an output
 * side by side, started as Linear's. (Goodfellow et al. 2013, "Maxout networks".) */
sonde_status sonde_maxout_new(sonde_module **out, int64_t in_features, int64_t out_features, int64_t pieces,
                              sonde_dtype dtype);
/* a ⊙ σ(b), a and b the halves of x along the axis. (Dauphin et al. 2017.) */
sonde_status sonde_glu_new(sonde_module **out, int axis);
/* max(x, 0) and max(-x, 0) joined along the axis. (Shang et al. 2016.) */
sonde_status sonde_crelu_new(sonde_module **out, int axis);

/* ---- shapes and containers --------------------------------------------------------------------------------- */

/* Cuts the axis into `sizes`; one of them may be -1. */
sonde_status sonde_unflatten_new(sonde_module **out, int axis, int n, const int64_t *sizes);
/* Runs every child on the same input and joins their first results along the axis. With an Identity among them it is a
 * dense skip (Huang et al. 2017). ESTATE if a child overwrites the input. Children by sonde_module_set_child. */
sonde_status sonde_concat_new(sonde_module **out, int axis);
/* y = x and block(x) joined along the axis; child "block". (Huang et al. 2017, "Densely connected convolutional
 * networks".) ESTATE if the block overwrites x. */
sonde_status sonde_dense_skip_new(sonde_module **out, sonde_module *block, int axis);
/* y = x · weight along the axis; weight [num_features] starts at init: at the end of a Residual's block a scale for
 * every feature. (Touvron et al. 2021, "Going deeper with image transformers", where init is 1e-5 for deep nets.) */
sonde_status sonde_layer_scale_new(sonde_module **out, int64_t num_features, double init, int axis, sonde_dtype dtype);
/* y = x + t ⊙ (block(x) - x), t = σ(gate(x)); children "block" and "gate", a Linear whose bias starts at gate_bias.
 * (Srivastava et al. 2015, "Training very deep networks".) */
sonde_status sonde_highway_new(sonde_module **out, sonde_module *block, int64_t features, double gate_bias,
                               sonde_dtype dtype);

/* ---- noise: in training only, each module from its own stream ---------------------------------------------- */

typedef enum sonde_noise_kind {
    SONDE_DROPOUT2D,     /* whole channels of [N, C, H, W] are 0 with probability p, the others grow by 1/(1-p) */
    SONDE_ALPHA_DROPOUT, /* elements become SELU's -λα with probability p; mean 0, variance 1 stay (Klambauer 2017) */
    SONDE_GAUSSIAN_NOISE,   /* x + N(0, p²) */
    SONDE_STOCHASTIC_DEPTH, /* whole samples are 0 with probability p, the others grow by 1/(1-p) (Huang 2016) */
} sonde_noise_kind;
sonde_status sonde_noise_new(sonde_module **out, sonde_noise_kind kind, double p);

/* ---- gradients --------------------------------------------------------------------------------------------- */

/* y = x; the gradient is multiplied by scale. 0 stops it: y is then a view without history. -1 reverses it (Ganin &
 * Lempitsky 2015). */
typedef enum sonde_gradient_kind {
    SONDE_GRADIENT_SCALE,
    SONDE_GRADIENT_STOP,
    SONDE_GRADIENT_REVERSAL
} sonde_gradient_kind;
sonde_status sonde_gradient_module_new(sonde_module **out, sonde_gradient_kind kind, double scale);

#endif
