/* The memory of LBFGS, and its way into checkpoints under PyTorch's names. */
#include "optim/lbfgs.h"

#include <math.h>
#include <string.h>

sonde_status sonde_lbfgs_read(double *out, sonde_tensor *t)
{
    if (!sonde_dtype_is_float(t->dtype))
        return sonde_fail(SONDE_EDTYPE, "LBFGS: its state is of float tensors, got %s", sonde_dtype_name(t->dtype));
    sonde_tensor *same = NULL;
    SONDE_TRY(sonde_tensor_contiguous(&same, t));
    const size_t n = (size_t)sonde_tensor_numel(same);
    if (same->dtype == SONDE_FLOAT64)
        memcpy(out, sonde_tensor_data(same), n * sizeof *out);
    else
        for (size_t i = 0; i < n; i++) out[i] = (double)((const float *)sonde_tensor_data(same))[i];
    sonde_tensor_release(same);
    return SONDE_OK;
}

void sonde_lbfgs_free(void *state)
{
    lbfgs *m = state;
    if (!m) return;
    sonde_free(m->y);
    sonde_free(m->s);
    sonde_free(m->ro);
    sonde_free(m->alpha);
    sonde_free(m->direction);
    sonde_free(m->last_gradient);
    sonde_free(m);
}

sonde_status sonde_lbfgs_state(lbfgs **out, sonde_optimizer *o)
{
    *out = o->joint;
    if (*out) return SONDE_OK;
    lbfgs *m = sonde_alloc_zeroed(sizeof *m);
    if (!m) return SONDE_ENOMEM;
    for (int i = 0; o->n_groups > 0 && i < o->groups[0].n; i++)
        m->n += (size_t)sonde_tensor_numel(o->groups[0].slots[i].parameter);
    m->direction = sonde_alloc_zeroed(m->n * sizeof(double));
    m->last_gradient = sonde_alloc_zeroed(m->n * sizeof(double));
    if (!m->direction || !m->last_gradient) {
        sonde_lbfgs_free(m);
        return SONDE_ENOMEM;
    }
    o->joint = *out = m;
    return SONDE_OK;
}

static sonde_status grow(double **block, int64_t rows, size_t columns)
{
    size_t bytes;
    if (!sonde_size_mul((size_t)rows, columns, &bytes) || !sonde_size_mul(bytes, sizeof(double), &bytes))
        return sonde_fail(SONDE_ENOMEM, "LBFGS: a history of %lld rows of %zu numbers is too large", (long long)rows,
                          columns);
    double *larger = sonde_realloc(*block, bytes);
    if (!larger) return SONDE_ENOMEM;
    *block = larger;
    return SONDE_OK;
}

sonde_status sonde_lbfgs_reserve(lbfgs *m, int64_t rows)
{
    if (rows <= m->room) return SONDE_OK;
    SONDE_TRY(grow(&m->y, rows, m->n));
    SONDE_TRY(grow(&m->s, rows, m->n));
    SONDE_TRY(grow(&m->ro, rows, 1));
    SONDE_TRY(grow(&m->alpha, rows, 1));
    m->room = rows;
    return SONDE_OK;
}

/* ---- checkpoints ------------------------------------------------------------------------------------------- */

static sonde_status show(const char *name, int ndim, int64_t rows, int64_t n, const double *data,
                         sonde_state_visitor visitor, void *context)
{
    sonde_tensor *tensor = NULL;
    const int64_t shape[2] = {ndim == 2 ? rows : n, n};
    SONDE_TRY(sonde_tensor_from(&tensor, SONDE_FLOAT64, ndim, shape, data));
    sonde_status status = visitor(context, 0, name, tensor);
    sonde_tensor_release(tensor);
    return status;
}

sonde_status sonde_lbfgs_visit(const sonde_optimizer *o, sonde_state_visitor visitor, void *context)
{
    const lbfgs *m = o->joint;
    const int64_t n = (int64_t)m->n;
    SONDE_TRY(show("func_evals", 1, 0, 1, &(double){(double)m->evaluations}, visitor, context));
    SONDE_TRY(show("n_iter", 1, 0, 1, &(double){(double)m->iterations}, visitor, context));
    if (m->iterations == 0) return SONDE_OK;
    SONDE_TRY(show("d", 1, 0, n, m->direction, visitor, context));
    SONDE_TRY(show("t", 1, 0, 1, &m->t, visitor, context));
    SONDE_TRY(show("prev_flat_grad", 1, 0, n, m->last_gradient, visitor, context));
    if (m->n_y == 0) return SONDE_OK;
    SONDE_TRY(show("old_dirs", 2, m->n_y, n, m->y, visitor, context));
    return show("old_stps", 2, m->n_s, n, m->s, visitor, context);
}

static sonde_status set_vector(double *out, const char *name, int64_t n, sonde_tensor *tensor)
{
    char shape[SONDE_SHAPE_TEXT];
    if (tensor->ndim == 1 && tensor->shape[0] == n) return sonde_lbfgs_read(out, tensor);
    return sonde_fail(SONDE_ESHAPE, "LBFGS: the state '%s' is [%lld], got %s", name, (long long)n,
                      sonde_shape_text(shape, tensor->ndim, tensor->shape));
}

static sonde_status set_count(int64_t *out, const char *name, sonde_tensor *tensor)
{
    double value = 0;
    SONDE_TRY(set_vector(&value, name, 1, tensor));
    if (!(value >= 0 && value < 0x1p53) || value != floor(value))
        return sonde_fail(SONDE_EARG, "LBFGS: the state '%s' must be a whole number of at least 0, got %g", name,
                          value);
    *out = (int64_t)value;
    return SONDE_OK;
}

static sonde_status set_rows(lbfgs *m, double **block, int64_t *rows, const char *name, sonde_tensor *tensor)
{
    char shape[SONDE_SHAPE_TEXT];
    if (tensor->ndim != 2 || tensor->shape[1] != (int64_t)m->n)
        return sonde_fail(SONDE_ESHAPE, "LBFGS: the state '%s' is [rows, %zu], got %s", name, m->n,
                          sonde_shape_text(shape, tensor->ndim, tensor->shape));
    SONDE_TRY(sonde_lbfgs_reserve(m, tensor->shape[0]));
    SONDE_TRY(sonde_lbfgs_read(*block, tensor));
    *rows = tensor->shape[0];
    m->measured = false;
    return SONDE_OK;
}

sonde_status sonde_lbfgs_set(sonde_optimizer *o, const char *name, sonde_tensor *tensor)
{
    lbfgs *m = NULL;
    SONDE_TRY(sonde_lbfgs_state(&m, o));
    const int64_t n = (int64_t)m->n;
    if (strcmp(name, "func_evals") == 0) return set_count(&m->evaluations, name, tensor);
    if (strcmp(name, "n_iter") == 0) return set_count(&m->iterations, name, tensor);
    if (strcmp(name, "d") == 0) return set_vector(m->direction, name, n, tensor);
    if (strcmp(name, "t") == 0) return set_vector(&m->t, name, 1, tensor);
    if (strcmp(name, "prev_flat_grad") == 0) return set_vector(m->last_gradient, name, n, tensor);
    if (strcmp(name, "old_dirs") == 0) return set_rows(m, &m->y, &m->n_y, name, tensor);
    if (strcmp(name, "old_stps") == 0) return set_rows(m, &m->s, &m->n_s, name, tensor);
    return sonde_fail(SONDE_EARG,
                      "LBFGS has no state '%s'; it has func_evals, n_iter, d, t, prev_flat_grad, old_dirs, old_stps",
                      name);
}
