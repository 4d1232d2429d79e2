#include "autograd/rows.h"

#include <math.h>

/* ---- dropout (Srivastava et al. 2014), inverted: what is kept grows by 1/(1-p) ------------------------------ */

typedef struct dropout_args {
    double p;
    sonde_stream *stream;
} dropout_args;

static sonde_status dropout_shape(sonde_call *call)
{
    const double p = ((const dropout_args *)call->args)->p;
    SONDE_TRY(need_float(call, 0));
    if (!(p >= 0 && p <= 1)) return sonde_fail(SONDE_EARG, "dropout: p must be between 0 and 1, got %g", p);
    out_like(call, 0, call->in[0]->dtype, call->in[0]);
    return SONDE_OK;
}

static sonde_status dropout_forward(sonde_call *call)
{
    const dropout_args *args = call->args;
    sonde_tensor *out = call->out[0], *mask;
    SONDE_TRY(sonde_tensor_new(&mask, out->dtype, out->ndim, out->shape));
    call->extra[call->n_extra++] = mask;
    sonde_stream_fill_bernoulli(args->stream, out->dtype, sonde_tensor_data(mask), (size_t)sonde_tensor_numel(mask),
                                1 - args->p, args->p < 1 ? 1 / (1 - args->p) : 0);
    sonde_loop loop = loop_over(3, (const sonde_tensor *const[]){out, call->in[0], mask});
    sonde_loops_of(out->dtype)
        ->binary(SONDE_MUL, sonde_tensor_data(out), sonde_tensor_data(call->in[0]), sonde_tensor_data(mask), &loop);
    return SONDE_OK;
}

/* dx (+)= dy mask */
static sonde_status dropout_backward(sonde_node *node)
{
    sonde_tensor *dy = sonde_node_grad(node, 0), *mask = sonde_node_extra(node, 0), *dx;
    bool add;
    SONDE_TRY(sonde_node_target(node, 0, &dx, &add));
    sonde_loop loop = loop_over(4, (const sonde_tensor *const[]){dx, dy, mask, mask});
    sonde_loops_of(dy->dtype)->binary_backward(SONDE_MUL, 0, sonde_tensor_data(dx), sonde_tensor_data(dy),
                                               sonde_tensor_data(mask), sonde_tensor_data(mask), &loop, add);
    return SONDE_OK;
}

static const sonde_op dropout_row = {.name = "dropout",
                                     .args_size = sizeof(dropout_args),
                                     .shape = dropout_shape,
                                     .forward = dropout_forward,
                                     .backward = dropout_backward};

sonde_status sonde_dropout(sonde_tensor **out, sonde_tensor *x, double p, sonde_stream *stream)
{
    return sonde_apply(&dropout_row, 1, &x, &(dropout_args){p, stream}, out);
}

/* ---- batch normalisation (Ioffe & Szegedy 2015) --------------------------------------------------------------- */

typedef struct norm_args {
    double eps, momentum;
    bool training;
} norm_args;

enum { X, WEIGHT, BIAS, MEAN, VARIANCE, OPERANDS };

static sonde_status norm_shape(sonde_call *call)
{
    static const char *const names[OPERANDS] = {"input", "weight", "bias", "running_mean", "running_var"};
    const norm_args *args = call->args;
    const sonde_tensor *x = call->in[X];
    char text[SONDE_SHAPE_TEXT], other[SONDE_SHAPE_TEXT];
    SONDE_TRY(need_float(call, X));
    sonde_shape_text(text, x->ndim, x->shape);
    if (x->ndim < 2) return sonde_fail(SONDE_ESHAPE, "batch_norm: expected an input [N, C, ...], got %s", text);
    for (int i = 1; i < OPERANDS; i++) {
        const sonde_tensor *t = call->in[i];
        if (!t) continue;
        if (t->dtype != x->dtype)
            return sonde_fail(SONDE_EDTYPE, "batch_norm: %s is %s, the input %s", names[i], sonde_dtype_name(t->dtype),
                              sonde_dtype_name(x->dtype));
        if (t->ndim != 1 || t->shape[0] != x->shape[1] || !sonde_tensor_is_contiguous(t))
            return sonde_fail(SONDE_ESHAPE, "batch_norm: input %s has %lld channels, %s is %s", text,
                              (long long)x->shape[1], names[i], sonde_shape_text(other, t->ndim, t->shape));
    }
    const int64_t channels = x->shape[1], n = channels > 0 ? sonde_tensor_numel(x) / channels : 0;
    if (args->training && n < 2)
        return sonde_fail(SONDE_EARG, "batch_norm: training needs more than one value per channel, got input %s", text);
    if (!args->training && (!call->in[MEAN] || !call->in[VARIANCE]))
        return sonde_fail(SONDE_EARG, "batch_norm: evaluation needs running_mean and running_var");
    if (!(args->eps >= 0)) return sonde_fail(SONDE_EARG, "batch_norm: eps must not be negative, got %g", args->eps);
    out_like(call, 0, x->dtype, x);
    return SONDE_OK;
}

static double element(const sonde_tensor *t, int64_t i, double fallback)
{
    if (!t) return fallback;
    return t->dtype == SONDE_FLOAT32 ? (double)((float *)sonde_tensor_data(t))[i] : ((double *)sonde_tensor_data(t))[i];
}

static void move(sonde_tensor *t, int64_t i, double value, double momentum)
{
    double moved = (1 - momentum) * element(t, i, 0) + momentum * value;
    if (t->dtype == SONDE_FLOAT32)
        ((float *)sonde_tensor_data(t))[i] = (float)moved;
    else
        ((double *)sonde_tensor_data(t))[i] = moved;
}

/* running = (1 - momentum) running + momentum * batch; the variance unbiased, n/(n-1). */
static void move_running(const sonde_call *call, const double *mean, const double *variance, int64_t channels,
                         int64_t n)
{
    const double momentum = ((const norm_args *)call->args)->momentum;
    sonde_tensor *running_mean = call->in[MEAN], *running_var = call->in[VARIANCE];
    if (!running_mean || !running_var) return;
    for (int64_t c = 0; c < channels; c++) {
        move(running_mean, c, mean[c], momentum);
        move(running_var, c, variance[c] * (double)n / (double)(n - 1), momentum);
    }
    sonde_tensor_changed(running_mean);
    sonde_tensor_changed(running_var);
}

static sonde_status norm_forward(sonde_call *call)
{
    const norm_args *args = call->args;
    sonde_tensor *x, *y = call->out[0], *statistics; /* [mean, 1/std, scale, shift] of each channel, float64 */
    const int64_t channels = y->shape[1];
    const layout l = layout_around(y->ndim, y->shape, 1, 1);
    SONDE_TRY(sonde_tensor_new(&statistics, SONDE_FLOAT64, 2, (int64_t[]){4, channels}));
    call->extra[call->n_extra++] = statistics;
    SONDE_TRY(sonde_tensor_contiguous(&x, call->in[X]));
    const sonde_loops *loops = sonde_loops_of(y->dtype);
    double *mean = sonde_tensor_data(statistics), *inverse = mean + channels, *scale = inverse + channels,
           *shift = scale + channels;
    if (args->training) {
        loops->channel_moments(mean, inverse, sonde_tensor_data(x), l.outer, l.n, l.inner);
        move_running(call, mean, inverse, channels, l.outer * l.inner);
    }
    for (int64_t c = 0; c < channels; c++) {
        if (!args->training) mean[c] = element(call->in[MEAN], c, 0);
        inverse[c] = 1 / sqrt((args->training ? inverse[c] : element(call->in[VARIANCE], c, 1)) + args->eps);
        scale[c] = inverse[c] * element(call->in[WEIGHT], c, 1);
        shift[c] = element(call->in[BIAS], c, 0);
    }
    loops->channel_affine(sonde_tensor_data(y), sonde_tensor_data(x), mean, scale, shift, l.outer, l.n, l.inner);
    sonde_tensor_release(x);
    return SONDE_OK;
}

/* Writes per-channel numbers as the gradient of a [C] operand. */
static sonde_status give_channels(sonde_node *node, int input, const double *values, int64_t channels)
{
    if (!sonde_node_needs(node, input)) return SONDE_OK;
    sonde_tensor *target;
    bool add;
    SONDE_TRY(sonde_node_target(node, input, &target, &add));
    for (int64_t c = 0; c < channels; c++) {
        double value = (add ? element(target, c, 0) : 0) + values[c];
        if (target->dtype == SONDE_FLOAT32)
            ((float *)sonde_tensor_data(target))[c] = (float)value;
        else
            ((double *)sonde_tensor_data(target))[c] = value;
    }
    return SONDE_OK;
}

/* With z = (x - mean)/std:  dbias = Σ dy, dweight = Σ dy z,
 * training: dx = weight/std (dy - mean(dy) - z mean(dy z));  evaluation: dx = weight/std dy. */
static sonde_status norm_backward(sonde_node *node)
{
    const norm_args *args = sonde_node_args(node);
    sonde_tensor *dy = sonde_node_grad(node, 0), *statistics = sonde_node_extra(node, 0), *x, *sums, *dx;
    const int64_t channels = dy->shape[1];
    const layout l = layout_around(dy->ndim, dy->shape, 1, 1);
    const double n = (double)(l.outer * l.inner);
    const double *mean = sonde_tensor_data(statistics), *inverse = mean + channels, *scale = inverse + channels;
    SONDE_TRY(sonde_tensor_contiguous(&x, sonde_node_in(node, X)));
    sonde_status status = sonde_tensor_new(&sums, SONDE_FLOAT64, 2, (int64_t[]){4, channels});
    if (status != SONDE_OK) {
        sonde_tensor_release(x);
        return status;
    }
    double *sum = sonde_tensor_data(sums), *dot = sum + channels, *a = dot + channels, *b = a + channels;
    sonde_loops_of(dy->dtype)->channel_dots(sum, dot, sonde_tensor_data(dy), sonde_tensor_data(x), mean, l.outer, l.n,
                                            l.inner);
    for (int64_t c = 0; c < channels; c++) {
        dot[c] *= inverse[c];
        a[c] = args->training ? sum[c] / n : 0;
        b[c] = args->training ? dot[c] / n * inverse[c] : 0;
    }
    status = give_channels(node, WEIGHT, dot, channels);
    if (status == SONDE_OK) status = give_channels(node, BIAS, sum, channels);
    if (status == SONDE_OK && sonde_node_needs(node, X)) {
        bool add;
        status = sonde_node_target(node, X, &dx, &add);
        if (status == SONDE_OK)
            sonde_loops_of(dy->dtype)->channel_backward(sonde_tensor_data(dx), sonde_tensor_data(dy),
                                                        sonde_tensor_data(x), mean, scale, a, b, l.outer, l.n, l.inner,
                                                        add);
    }
    sonde_tensor_release(sums);
    sonde_tensor_release(x);
    return status;
}

static const sonde_op norm_row = {.name = "batch_norm",
                                  .args_size = sizeof(norm_args),
                                  .saves = SONDE_SAVE_IN0,
                                  .shape = norm_shape,
                                  .forward = norm_forward,
                                  .backward = norm_backward};

sonde_status sonde_batch_norm(sonde_tensor **out, sonde_tensor *x, sonde_tensor *weight, sonde_tensor *bias,
                              sonde_tensor *running_mean, sonde_tensor *running_var, bool training, double momentum,
                              double eps)
{
    sonde_tensor *in[OPERANDS] = {x, weight, bias, running_mean, running_var};
    return sonde_apply(&norm_row, OPERANDS, in, &(norm_args){eps, momentum, training}, out);
}
