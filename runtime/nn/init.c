/* Initialisers. Each writes into w in place, without recording, and raises its version.
 *
 *   xavier   Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks":
 *            var = gain² · 2/(fan_in + fan_out)
 *   kaiming  He et al. 2015, "Delving deep into rectifiers": var = gain²/fan
 *   lecun    LeCun et al. 1998, "Efficient BackProp": var = 1/fan
 *   orthogonal  Saxe et al. 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear networks"
 *
 * A uniform distribution of variance v is U(-√(3v), √(3v)).
 */
#include "nn/nn.h"
#include "kernel/linalg.h"

#include <math.h>

static sonde_status check_float(const sonde_tensor *w)
{
    if (sonde_dtype_is_float(w->dtype)) return SONDE_OK;
    return sonde_fail(SONDE_EDTYPE, "only float tensors can be initialised, got %s", sonde_dtype_name(w->dtype));
}

/* Fills w with draws, whatever its strides: `fill` sees contiguous memory. */
typedef void (*filler)(sonde_stream *stream, sonde_dtype dtype, void *out, size_t n, double a, double b);

static sonde_status fill(sonde_tensor *w, sonde_stream *stream, filler f, double a, double b)
{
    SONDE_TRY(check_float(w));
    size_t n = (size_t)sonde_tensor_numel(w);
    if (sonde_tensor_is_contiguous(w)) {
        f(stream, w->dtype, sonde_tensor_data(w), n, a, b);
        sonde_tensor_changed(w);
        return SONDE_OK;
    }
    sonde_tensor *drawn = NULL;
    SONDE_TRY(sonde_tensor_like(&drawn, w));
    f(stream, w->dtype, sonde_tensor_data(drawn), n, a, b);
    sonde_status status = sonde_tensor_copy_(w, drawn);
    sonde_tensor_release(drawn);
    return status;
}

sonde_status sonde_init_uniform_(sonde_tensor *w, sonde_stream *s, double low, double high)
{
    if (!(low <= high) || !isfinite(high - low))
        return sonde_fail(SONDE_EARG, "uniform_: expected low <= high, both finite, got %g and %g", low, high);
    return fill(w, s, sonde_stream_fill_uniform, low, high);
}

sonde_status sonde_init_normal_(sonde_tensor *w, sonde_stream *s, double mean, double std)
{
    if (!(std >= 0)) return sonde_fail(SONDE_EARG, "normal_: std must not be negative, got %g", std);
    return fill(w, s, sonde_stream_fill_normal, mean, std);
}

sonde_status sonde_init_constant_(sonde_tensor *w, double value)
{
    return sonde_tensor_fill_(w, value);
}

sonde_status sonde_init_fans(const sonde_tensor *w, int64_t *fan_in, int64_t *fan_out)
{
    if (w->ndim < 2) {
        char shape[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "fans need a tensor of 2 or more axes, got shape %s",
                          sonde_shape_text(shape, w->ndim, w->shape));
    }
    int64_t kernel = 1;
    for (int d = 2; d < w->ndim; d++) kernel *= w->shape[d];
    *fan_in = w->shape[1] * kernel;
    *fan_out = w->shape[0] * kernel;
    return SONDE_OK;
}

/* Mean 0, variance gain²/fan, uniform or normal. A fan of 0 belongs to an empty tensor. */
static sonde_status scaled(sonde_tensor *w, sonde_stream *s, bool uniform, double gain, double fan)
{
    double std = fan > 0 ? gain / sqrt(fan) : 0, bound = sqrt(3.0) * fabs(std);
    return uniform ? sonde_init_uniform_(w, s, -bound, bound) : sonde_init_normal_(w, s, 0, fabs(std));
}

static sonde_status xavier(sonde_tensor *w, sonde_stream *s, bool uniform, double gain)
{
    int64_t in = 0, out = 0;
    SONDE_TRY(sonde_init_fans(w, &in, &out));
    return scaled(w, s, uniform, gain, 0.5 * ((double)in + (double)out));
}

sonde_status sonde_init_xavier_uniform_(sonde_tensor *w, sonde_stream *s, double gain)
{
    return xavier(w, s, true, gain);
}

sonde_status sonde_init_xavier_normal_(sonde_tensor *w, sonde_stream *s, double gain)
{
    return xavier(w, s, false, gain);
}

static sonde_status kaiming(sonde_tensor *w, sonde_stream *s, bool uniform, double a, sonde_fan mode,
                            const char *nonlinearity)
{
    int64_t in = 0, out = 0;
    double gain = 0;
    SONDE_TRY(sonde_init_fans(w, &in, &out));
    SONDE_TRY(sonde_init_gain(nonlinearity, a, &gain));
    return scaled(w, s, uniform, gain, (double)(mode == SONDE_FAN_IN ? in : out));
}

sonde_status sonde_init_kaiming_uniform_(sonde_tensor *w, sonde_stream *s, double a, sonde_fan mode,
                                         const char *nonlinearity)
{
    return kaiming(w, s, true, a, mode, nonlinearity);
}

sonde_status sonde_init_kaiming_normal_(sonde_tensor *w, sonde_stream *s, double a, sonde_fan mode,
                                        const char *nonlinearity)
{
    return kaiming(w, s, false, a, mode, nonlinearity);
}

sonde_status sonde_init_lecun_uniform_(sonde_tensor *w, sonde_stream *s, sonde_fan mode)
{
    return kaiming(w, s, true, 0, mode, "linear");
}

sonde_status sonde_init_lecun_normal_(sonde_tensor *w, sonde_stream *s, sonde_fan mode)
{
    return kaiming(w, s, false, 0, mode, "linear");
}

/* The frame of `longer` rows and `shorter` columns that QR gives lies by columns: read by rows, it is the wanted
 * matrix if that is wide, and its transpose if it is tall. */
static sonde_status orthogonal(sonde_tensor *w, double *q, double gain, int64_t rows, int64_t columns)
{
    bool tall = rows >= columns;
    SONDE_TRY(sonde_linalg_qr(q, NULL, tall ? rows : columns, tall ? columns : rows));
    sonde_tensor *drawn = NULL;
    SONDE_TRY(sonde_tensor_new(&drawn, SONDE_FLOAT64, w->ndim, w->shape));
    double *out = sonde_tensor_data(drawn);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            out[i * columns + j] = gain * (tall ? q[j * rows + i] : q[i * columns + j]);
    sonde_status status = sonde_tensor_copy_(w, drawn);
    sonde_tensor_release(drawn);
    return status;
}

sonde_status sonde_init_orthogonal_(sonde_tensor *w, sonde_stream *s, double gain)
{
    SONDE_TRY(check_float(w));
    if (w->ndim < 2) {
        char shape[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "orthogonal_ needs a tensor of 2 or more axes, got shape %s",
                          sonde_shape_text(shape, w->ndim, w->shape));
    }
    int64_t n = sonde_tensor_numel(w);
    if (n == 0) return SONDE_OK;
    size_t bytes;
    if (!sonde_size_mul((size_t)n, sizeof(double), &bytes))
        return sonde_fail(SONDE_ENOMEM, "orthogonal_: the tensor is too large");
    double *q = sonde_alloc(bytes);
    if (!q) return SONDE_ENOMEM;
    sonde_stream_fill_normal(s, SONDE_FLOAT64, q, (size_t)n, 0, 1);
    sonde_status status = orthogonal(w, q, gain, w->shape[0], n / w->shape[0]);
    sonde_free(q);
    return status;
}
