/* Embedding, Bilinear and Maxout: weights met in other ways than Linear's. */
#include "nn/internal.h"

#include <math.h>
#include <stdio.h>

enum { WEIGHT, BIAS };

static sonde_status check_dtype(const char *name, sonde_dtype dtype)
{
    if (sonde_dtype_is_float(dtype)) return SONDE_OK;
    return sonde_fail(SONDE_EDTYPE, "%s: dtype must be float32 or float64, got %s", name, sonde_dtype_name(dtype));
}

/* ---- Embedding ------------------------------------------------------------------------------------------- */

/* What belongs to padding_idx keeps its value and loses its history. */
static sonde_status cut_padding(sonde_tensor **out, sonde_tensor *rows, sonde_tensor *index, int64_t padding_idx)
{
    sonde_tensor *is_padding = NULL, *column = NULL, *plain = NULL;
    sonde_status status = sonde_scalar_op(&is_padding, SONDE_EQ, index, (double)padding_idx, false);
    if (status == SONDE_OK) status = sonde_unsqueeze(&column, is_padding, -1);
    if (status == SONDE_OK) status = sonde_detach(&plain, rows);
    if (status == SONDE_OK) status = sonde_where(out, column, plain, rows);
    sonde_tensor_release(plain);
    sonde_tensor_release(column);
    sonde_tensor_release(is_padding);
    return status;
}

static sonde_status embed(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const int64_t padding_idx = *(const int64_t *)self->state;
    sonde_tensor *weight = self->parameters[WEIGHT].tensor, *index = in->t[0], *flat = NULL, *rows = NULL, *y = NULL;
    if (!weight) return sonde_fail(SONDE_ESTATE, "the weight is missing");
    if (index->dtype != SONDE_INT64)
        return sonde_fail(SONDE_EDTYPE, "expected int64 indices, got %s", sonde_dtype_name(index->dtype));
    if (index->ndim >= SONDE_MAX_DIMS)
        return sonde_fail(SONDE_ESHAPE, "expected indices with at most %d axes, got %d", SONDE_MAX_DIMS - 1,
                          index->ndim);
    int64_t shape[SONDE_MAX_DIMS], n = sonde_tensor_numel(index);
    for (int d = 0; d < index->ndim; d++) shape[d] = index->shape[d];
    shape[index->ndim] = weight->shape[1];
    sonde_status status = sonde_reshape(&flat, index, 1, &n);
    if (status == SONDE_OK) status = sonde_index_select(&rows, weight, 0, flat);
    if (status == SONDE_OK) status = sonde_reshape(&y, rows, index->ndim + 1, shape);
    if (status == SONDE_OK && padding_idx > 0) {
        sonde_tensor *whole = y;
        y = NULL;
        status = cut_padding(&y, whole, index, padding_idx);
        sonde_tensor_release(whole);
    }
    if (status == SONDE_OK) *out = (sonde_values){.n = 1, .t = {y}};
    sonde_tensor_release(rows);
    sonde_tensor_release(flat);
    return status;
}

static void describe_embedding(const sonde_module *self, char *text, size_t size)
{
    const sonde_tensor *weight = self->parameters[WEIGHT].tensor;
    const int64_t padding_idx = *(const int64_t *)self->state;
    if (!weight || weight->ndim != 2) return;
    int n = snprintf(text, size, "%lld, %lld", (long long)weight->shape[0], (long long)weight->shape[1]);
    if (padding_idx > 0 && n > 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, ", padding_idx=%lld", (long long)padding_idx);
}

static const sonde_module_class embedding_class = {
    .name = "Embedding", .forward = embed, .describe = describe_embedding};

static sonde_status fill_embedding(sonde_module *m, int64_t rows, int64_t columns, int64_t padding_idx,
                                   sonde_dtype dtype)
{
    SONDE_TRY(sonde_module_make_parameter(m, "weight", dtype, 2, (int64_t[]){rows, columns}, 0, 0));
    sonde_stream stream;
    sonde_nn_random_parameter(&stream);
    char *data = sonde_tensor_data(m->parameters[WEIGHT].tensor);
    const size_t row = (size_t)columns * sonde_dtype_size(dtype);
    sonde_stream_fill_normal(&stream, dtype, data, (size_t)(rows * columns), 0, 1);
    for (size_t i = 0; padding_idx > 0 && i < row; i++) data[(size_t)(padding_idx - 1) * row + i] = 0;
    return SONDE_OK;
}

sonde_status sonde_embedding_new(sonde_module **out, int64_t num_embeddings, int64_t embedding_dim, int64_t padding_idx,
                                 sonde_dtype dtype)
{
    if (num_embeddings < 1 || embedding_dim < 1)
        return sonde_fail(SONDE_EARG, "Embedding: expected sizes of at least 1, got %lld and %lld",
                          (long long)num_embeddings, (long long)embedding_dim);
    if (padding_idx < 0 || padding_idx > num_embeddings)
        return sonde_fail(SONDE_EARG, "Embedding: padding_idx must be between 1 and %lld, got %lld",
                          (long long)num_embeddings, (long long)padding_idx);
    SONDE_TRY(check_dtype("Embedding", dtype));
    int64_t *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = padding_idx;
    sonde_module *m = NULL;
    sonde_status status = sonde_module_new(&m, &embedding_class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    status = fill_embedding(m, num_embeddings, embedding_dim, padding_idx, dtype);
    if (status == SONDE_OK)
        *out = m;
    else
        sonde_module_release(m);
    return status;
}

/* ---- Bilinear -------------------------------------------------------------------------------------------- */

static sonde_status bilinear(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_tensor *weight = self->parameters[WEIGHT].tensor, *bias = self->parameters[BIAS].tensor;
    if (!weight) return sonde_fail(SONDE_ESTATE, "the weight is missing");
    const sonde_tensor *a = in->t[0], *b = in->t[1];
    char as[SONDE_SHAPE_TEXT], bs[SONDE_SHAPE_TEXT];
    bool fits = a->ndim >= 1 && a->ndim == b->ndim && a->shape[a->ndim - 1] == weight->shape[1] &&
                b->shape[b->ndim - 1] == weight->shape[2];
    for (int d = 0; fits && d < a->ndim - 1; d++) fits = a->shape[d] == b->shape[d];
    if (!fits)
        return sonde_fail(SONDE_ESHAPE, "expected inputs [*, %lld] and [*, %lld], got %s and %s",
                          (long long)weight->shape[1], (long long)weight->shape[2],
                          sonde_shape_text(as, a->ndim, a->shape), sonde_shape_text(bs, b->ndim, b->shape));
    if (a->dtype != weight->dtype || b->dtype != weight->dtype)
        return sonde_fail(SONDE_EDTYPE, "expected inputs of dtype %s, got %s and %s", sonde_dtype_name(weight->dtype),
                          sonde_dtype_name(a->dtype), sonde_dtype_name(b->dtype));
    int64_t shape[SONDE_MAX_DIMS], rows = 1;
    for (int d = 0; d < a->ndim - 1; d++) rows *= shape[d] = a->shape[d];
    shape[a->ndim - 1] = weight->shape[0];
    sonde_tensor *x1 = NULL, *x2 = NULL, *y = NULL, *shifted = NULL;
    sonde_status status = sonde_reshape(&x1, in->t[0], 2, (int64_t[]){rows, weight->shape[1]});
    if (status == SONDE_OK) status = sonde_reshape(&x2, in->t[1], 2, (int64_t[]){rows, weight->shape[2]});
    if (status == SONDE_OK) status = sonde_einsum(&y, "ni,oij,nj->no", 3, (sonde_tensor *[]){x1, weight, x2});
    if (status == SONDE_OK && bias) status = sonde_binary_op(&shifted, SONDE_ADD, y, bias);
    if (status == SONDE_OK) status = sonde_reshape(&out->t[0], shifted ? shifted : y, a->ndim, shape);
    if (status == SONDE_OK) out->n = 1;
    sonde_tensor *const steps[] = {x1, x2, y, shifted};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) sonde_tensor_release(steps[i]);
    return status;
}

static void describe_bilinear(const sonde_module *self, char *text, size_t size)
{
    const sonde_tensor *weight = self->parameters[WEIGHT].tensor;
    if (!weight || weight->ndim != 3) return;
    snprintf(text, size, "in1_features=%lld, in2_features=%lld, out_features=%lld, bias=%s",
             (long long)weight->shape[1], (long long)weight->shape[2], (long long)weight->shape[0],
             self->parameters[BIAS].tensor ? "true" : "false");
}

static const sonde_module_class bilinear_class = {
    .name = "Bilinear", .forward = bilinear, .describe = describe_bilinear, .min_in = 2, .max_in = 2};

/* A module of this class with weight and bias [shape[0]] from U(±bound). Takes state. */
static sonde_status make(sonde_module **out, const sonde_module_class *class, void *state, int ndim,
                         const int64_t *shape, bool bias, double bound, sonde_dtype dtype)
{
    sonde_module *m = NULL;
    sonde_status status = sonde_module_new(&m, class, state);
    if (status != SONDE_OK) {
        sonde_free(state);
        return status;
    }
    status = sonde_module_make_parameter(m, "weight", dtype, ndim, shape, -bound, bound);
    if (status == SONDE_OK)
        status = bias ? sonde_module_make_parameter(m, "bias", dtype, 1, shape, -bound, bound)
                      : sonde_module_set_parameter(m, "bias", NULL, false);
    if (status == SONDE_OK)
        *out = m;
    else
        sonde_module_release(m);
    return status;
}

sonde_status sonde_bilinear_new(sonde_module **out, int64_t in1, int64_t in2, int64_t out_features, bool bias,
                                sonde_dtype dtype)
{
    if (in1 < 1 || in2 < 1 || out_features < 1)
        return sonde_fail(SONDE_EARG, "Bilinear: expected at least 1 feature, got %lld, %lld and %lld", (long long)in1,
                          (long long)in2, (long long)out_features);
    SONDE_TRY(check_dtype("Bilinear", dtype));
    return make(out, &bilinear_class, NULL, 3, (int64_t[]){out_features, in1, in2}, bias, 1 / sqrt((double)in1), dtype);
}

/* ---- Maxout ---------------------------------------------------------------------------------------------- */

static sonde_status maxout(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    const int64_t pieces = *(const int64_t *)self->state;
    sonde_tensor *weight = self->parameters[WEIGHT].tensor, *x = in->t[0], *all = NULL, *split = NULL;
    if (!weight) return sonde_fail(SONDE_ESTATE, "the weight is missing");
    int64_t shape[SONDE_MAX_DIMS];
    if (x->ndim >= SONDE_MAX_DIMS)
        return sonde_fail(SONDE_ESHAPE, "expected an input with at most %d axes, got %d", SONDE_MAX_DIMS - 1, x->ndim);
    SONDE_TRY(sonde_linear(&all, x, weight, self->parameters[BIAS].tensor));
    const int last = all->ndim - 1, axis = all->ndim;
    for (int d = 0; d < last; d++) shape[d] = all->shape[d];
    shape[last] = all->shape[last] / pieces;
    shape[axis] = pieces;
    sonde_status status = sonde_reshape(&split, all, axis + 1, shape);
    if (status == SONDE_OK) status = sonde_extremum(&out->t[0], NULL, split, true, &axis, false);
    if (status == SONDE_OK) out->n = 1;
    sonde_tensor_release(split);
    sonde_tensor_release(all);
    return status;
}

static void describe_maxout(const sonde_module *self, char *text, size_t size)
{
    const sonde_tensor *weight = self->parameters[WEIGHT].tensor;
    const int64_t pieces = *(const int64_t *)self->state;
    if (!weight || weight->ndim != 2) return;
    snprintf(text, size, "in_features=%lld, out_features=%lld, pieces=%lld", (long long)weight->shape[1],
             (long long)(weight->shape[0] / pieces), (long long)pieces);
}

static const sonde_module_class maxout_class = {.name = "Maxout", .forward = maxout, .describe = describe_maxout};

sonde_status sonde_maxout_new(sonde_module **out, int64_t in_features, int64_t out_features, int64_t pieces,
                              sonde_dtype dtype)
{
    int64_t rows;
    if (in_features < 1 || out_features < 1 || pieces < 1 || __builtin_mul_overflow(out_features, pieces, &rows))
        return sonde_fail(SONDE_EARG, "Maxout: expected at least 1 feature in, out and piece, got %lld, %lld and %lld",
                          (long long)in_features, (long long)out_features, (long long)pieces);
    SONDE_TRY(check_dtype("Maxout", dtype));
    int64_t *state = sonde_alloc(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    *state = pieces;
    return make(out, &maxout_class, state, 2, (int64_t[]){rows, in_features}, true, 1 / sqrt((double)in_features),
                dtype);
}
