/* Initialisers of a given structure, and the truncated normal distribution: formulas and sources in nn/init.h. Each is
 * made in contiguous float64 and copied into w, whatever w's type and strides. */
#include "nn/nn.h"

#include <math.h>

static sonde_status check(const sonde_tensor *w, const char *name, int least, int most, const char *wanted)
{
    char shape[SONDE_SHAPE_TEXT];
    if (!sonde_dtype_is_float(w->dtype))
        return sonde_fail(SONDE_EDTYPE, "%s: only float tensors can be initialised, got %s", name,
                          sonde_dtype_name(w->dtype));
    if (w->ndim >= least && w->ndim <= most) return SONDE_OK;
    return sonde_fail(SONDE_ESHAPE, "%s needs a tensor %s, got shape %s", name, wanted,
                      sonde_shape_text(shape, w->ndim, w->shape));
}

static sonde_status check_matrix(const sonde_tensor *w, const char *name)
{
    return check(w, name, 2, 2, "[out, in]");
}

static sonde_status check_kernel(const sonde_tensor *w, const char *name)
{
    return check(w, name, 3, 5, "[out, in, kernel...] of 3 to 5 axes");
}

/* Copies into w and gives `drawn` back. */
static sonde_status give(sonde_tensor *w, sonde_tensor *drawn)
{
    sonde_status status = sonde_tensor_copy_(w, drawn);
    sonde_tensor_release(drawn);
    return status;
}

sonde_status sonde_init_trunc_normal_(sonde_tensor *w, sonde_stream *s, double mean, double std, double low,
                                      double high)
{
    sonde_tensor *drawn;
    SONDE_TRY(check(w, "trunc_normal_", 0, SONDE_MAX_DIMS, ""));
    if (!(std > 0) || !isfinite(std) || !isfinite(mean))
        return sonde_fail(SONDE_EARG, "trunc_normal_: expected a finite mean and std > 0, got %g and %g", mean, std);
    if (!(low < high))
        return sonde_fail(SONDE_EARG, "trunc_normal_: expected a < b, got a = %g and b = %g", low, high);
    SONDE_TRY(sonde_tensor_new(&drawn, SONDE_FLOAT64, w->ndim, w->shape));
    if (!sonde_stream_fill_truncated_normal(s, SONDE_FLOAT64, sonde_tensor_data(drawn),
                                            (size_t)sonde_tensor_numel(drawn), mean, std, low, high)) {
        sonde_tensor_release(drawn);
        return sonde_fail(SONDE_EARG, "trunc_normal_: nothing of N(%g, %g²) lies between %g and %g", mean, std, low,
                          high);
    }
    return give(w, drawn);
}

sonde_status sonde_init_eye_(sonde_tensor *w)
{
    sonde_tensor *drawn;
    SONDE_TRY(check_matrix(w, "eye_"));
    SONDE_TRY(sonde_tensor_zeros(&drawn, SONDE_FLOAT64, 2, w->shape));
    double *element = sonde_tensor_data(drawn);
    for (int64_t i = 0; i < w->shape[0] && i < w->shape[1]; i++) element[i * w->shape[1] + i] = 1;
    return give(w, drawn);
}

/* From the first element of w[o, i] to its middle, and the number of its elements: contiguous. */
static int64_t middle(const sonde_tensor *w, int64_t *size)
{
    int64_t place = 0;
    *size = 1;
    for (int d = 2; d < w->ndim; d++) {
        place = place * w->shape[d] + w->shape[d] / 2;
        *size *= w->shape[d];
    }
    return place;
}

sonde_status sonde_init_dirac_(sonde_tensor *w, int64_t groups)
{
    sonde_tensor *drawn;
    SONDE_TRY(check_kernel(w, "dirac_"));
    if (groups < 1 || w->shape[0] % groups != 0)
        return sonde_fail(SONDE_EARG, "dirac_: expected groups that divide the %lld output channels, got %lld",
                          (long long)w->shape[0], (long long)groups);
    SONDE_TRY(sonde_tensor_zeros(&drawn, SONDE_FLOAT64, w->ndim, w->shape));
    int64_t size, centre = middle(w, &size), inputs = w->shape[1], per_group = w->shape[0] / groups;
    double *element = sonde_tensor_data(drawn);
    for (int64_t o = 0; size > 0 && o < w->shape[0]; o++)
        if (o % per_group < inputs) element[(o * inputs + o % per_group) * size + centre] = 1;
    return give(w, drawn);
}

sonde_status sonde_init_sparse_(sonde_tensor *w, sonde_stream *s, double sparsity, double std)
{
    sonde_tensor *drawn, *order;
    SONDE_TRY(check_matrix(w, "sparse_"));
    if (!(sparsity >= 0 && sparsity <= 1))
        return sonde_fail(SONDE_EARG, "sparse_: sparsity is a share from 0 to 1, got %g", sparsity);
    if (!(std >= 0)) return sonde_fail(SONDE_EARG, "sparse_: std must not be negative, got %g", std);
    const int64_t rows = w->shape[0], columns = w->shape[1], zeros = (int64_t)ceil(sparsity * (double)rows);
    SONDE_TRY(sonde_tensor_new(&order, SONDE_INT64, 1, &rows));
    sonde_status status = sonde_tensor_new(&drawn, SONDE_FLOAT64, 2, w->shape);
    if (status == SONDE_OK) {
        double *element = sonde_tensor_data(drawn);
        int64_t *row = sonde_tensor_data(order);
        sonde_stream_fill_normal(s, SONDE_FLOAT64, element, (size_t)sonde_tensor_numel(drawn), 0, std);
        for (int64_t j = 0; j < columns; j++) {
            sonde_stream_permutation(s, row, (size_t)rows, 0);
            for (int64_t i = 0; i < zeros; i++) element[row[i] * columns + j] = 0;
        }
        status = give(w, drawn);
    }
    sonde_tensor_release(order);
    return status;
}

sonde_status sonde_init_delta_orthogonal_(sonde_tensor *w, sonde_stream *s, double gain)
{
    sonde_tensor *drawn, *matrix = NULL;
    SONDE_TRY(check_kernel(w, "delta_orthogonal_"));
    if (w->shape[1] > w->shape[0])
        return sonde_fail(SONDE_EARG,
                          "delta_orthogonal_: %lld input channels cannot go into %lld output channels without loss",
                          (long long)w->shape[1], (long long)w->shape[0]);
    SONDE_TRY(sonde_tensor_zeros(&drawn, SONDE_FLOAT64, w->ndim, w->shape));
    sonde_status status = sonde_tensor_new(&matrix, SONDE_FLOAT64, 2, w->shape);
    if (status == SONDE_OK) status = sonde_init_orthogonal_(matrix, s, gain);
    if (status == SONDE_OK && sonde_tensor_numel(w) > 0) {
        int64_t size, centre = middle(w, &size), n = sonde_tensor_numel(matrix);
        double *element = sonde_tensor_data(drawn);
        const double *from = sonde_tensor_data(matrix);
        for (int64_t i = 0; i < n; i++) element[i * size + centre] = from[i];
    }
    sonde_tensor_release(matrix);
    if (status == SONDE_OK) return give(w, drawn);
    sonde_tensor_release(drawn);
    return status;
}
