/* gradcheck — analytic gradients against central differences: every output against every input element. */
#include "autograd/autograd.h"

#include <math.h>
#include <string.h>

enum { MAX_OUT = 8 };

typedef struct check {
    sonde_gradcheck_fn fn;
    void *context;
    int n_in, n_out;
    sonde_tensor *const *in;
    double eps, atol, rtol;
} check;

static void release_all(int n, sonde_tensor **t)
{
    for (int i = 0; i < n; i++) {
        sonde_tensor_release(t[i]);
        t[i] = NULL;
    }
}

static sonde_status evaluate(const check *c, int *n_out, sonde_tensor **out)
{
    *n_out = 0;
    memset(out, 0, MAX_OUT * sizeof *out);
    return c->fn(c->context, c->n_in, c->in, n_out, out);
}

/* A copy of output k at the inputs' present values: the output itself may be a view of an input that is about to
 * change. */
static sonde_status output_now(const check *c, int k, const sonde_tensor *like, sonde_tensor **copy)
{
    sonde_tensor *out[MAX_OUT];
    int n;
    sonde_status status = evaluate(c, &n, out);
    if (status == SONDE_OK && (n != c->n_out || !sonde_tensor_same_shape(out[k], like)))
        status = sonde_fail(SONDE_EARG, "gradcheck: the function does not return the same outputs every time");
    if (status == SONDE_OK) status = sonde_tensor_clone(copy, out[k]);
    release_all(n, out);
    return status;
}

/* How much output k moves along `direction`, summed, when element `at` of input i moves by ±eps. */
static sonde_status difference(const check *c, int k, int i, const int64_t *at, const sonde_tensor *direction,
                               double *slope)
{
    sonde_tensor *x = c->in[i], *a = NULL, *b = NULL, *d = NULL;
    const double value = sonde_tensor_get(x, at);
    const bool recording = sonde_grad_enable(false);
    sonde_tensor_set(x, at, value + c->eps);
    sonde_status status = output_now(c, k, direction, &a);
    sonde_tensor_set(x, at, value - c->eps);
    if (status == SONDE_OK) status = output_now(c, k, direction, &b);
    sonde_tensor_set(x, at, value);
    sonde_grad_enable(recording);
    if (status == SONDE_OK) status = sonde_tensor_contiguous(&d, (sonde_tensor *)direction);
    if (status == SONDE_OK) {
        double sum = 0;
        for (int64_t e = 0; e < sonde_tensor_numel(d); e++)
            sum += ((double *)sonde_tensor_data(d))[e] *
                   (((double *)sonde_tensor_data(a))[e] - ((double *)sonde_tensor_data(b))[e]);
        *slope = sum / (2 * c->eps);
    }
    sonde_tensor_release(a);
    sonde_tensor_release(b);
    sonde_tensor_release(d);
    return status;
}

/* d (direction · output k) / d inputs; grads[i] NULL where the output does not depend on it. */
static sonde_status analytic(const check *c, int k, sonde_tensor *direction, sonde_tensor **grads)
{
    sonde_tensor *out[MAX_OUT];
    int n;
    sonde_status status = evaluate(c, &n, out);
    memset(grads, 0, (size_t)c->n_in * sizeof *grads);
    if (status == SONDE_OK && out[k]->requires_grad)
        status = sonde_gradients(out[k], direction, c->n_in, c->in, false, grads);
    release_all(n, out);
    return status;
}

static bool next_index(int64_t *index, const sonde_tensor *t)
{
    for (int d = t->ndim - 1; d >= 0; d--) {
        if (++index[d] < t->shape[d]) return true;
        index[d] = 0;
    }
    return false;
}

static sonde_status compare(const check *c, int k, int i, const sonde_tensor *direction, const sonde_tensor *grad)
{
    int64_t index[SONDE_MAX_DIMS] = {0};
    char text[SONDE_SHAPE_TEXT];
    if (sonde_tensor_numel(c->in[i]) == 0) return SONDE_OK;
    do {
        double expected = 0, got = grad ? sonde_tensor_get(grad, index) : 0;
        SONDE_TRY(difference(c, k, i, index, direction, &expected));
        if (fabs(got - expected) <= c->atol + c->rtol * fabs(expected)) continue;
        for (int d = 0; d < c->in[i]->ndim; d++) index[d]++; /* shown from 1 */
        return sonde_fail(SONDE_EARG,
                          "gradcheck: output %d, input %d, element %s: the gradient is %.9g, differences give %.9g",
                          k + 1, i + 1, sonde_shape_text(text, c->in[i]->ndim, index), got, expected);
    } while (next_index(index, c->in[i]));
    return SONDE_OK;
}

/* Two backward passes must agree bit for bit. */
static sonde_status same_bits(const check *c, int k, sonde_tensor *const *a, sonde_tensor *const *b)
{
    for (int i = 0; i < c->n_in; i++) {
        if (!a[i] && !b[i]) continue;
        int64_t index[SONDE_MAX_DIMS] = {0};
        bool same = a[i] && b[i];
        if (same && sonde_tensor_numel(a[i]) > 0) {
            do {
                double x = sonde_tensor_get(a[i], index), y = sonde_tensor_get(b[i], index);
                same = memcmp(&x, &y, sizeof x) == 0;
            } while (same && next_index(index, a[i]));
        }
        if (!same)
            return sonde_fail(SONDE_EARG, "gradcheck: output %d, input %d: two backward passes give different bits",
                              k + 1, i + 1);
    }
    return SONDE_OK;
}

/* One output along one direction: weights that differ from element to element, so that no error cancels. */
static sonde_status check_output(const check *c, int k, const sonde_tensor *out)
{
    sonde_tensor *direction, *first[SONDE_OP_MAX_IN], *second[SONDE_OP_MAX_IN];
    SONDE_TRY(sonde_tensor_new(&direction, SONDE_FLOAT64, out->ndim, out->shape));
    for (int64_t e = 0; e < sonde_tensor_numel(direction); e++)
        ((double *)sonde_tensor_data(direction))[e] = 1 + 0.37 * (double)((e * 7) % 11) - 0.11 * (double)(e % 5);
    memset(first, 0, sizeof first);
    memset(second, 0, sizeof second);
    sonde_status status = analytic(c, k, direction, first);
    if (status == SONDE_OK) status = analytic(c, k, direction, second);
    if (status == SONDE_OK) status = same_bits(c, k, first, second);
    for (int i = 0; i < c->n_in && status == SONDE_OK; i++) {
        if (c->in[i]->requires_grad) status = compare(c, k, i, direction, first[i]);
    }
    release_all(c->n_in, first);
    release_all(c->n_in, second);
    sonde_tensor_release(direction);
    return status;
}

sonde_status sonde_gradcheck(sonde_gradcheck_fn fn, void *context, int n_in, sonde_tensor *const *in, double eps,
                             double atol, double rtol)
{
    int wanted = 0, n_out;
    if (n_in < 1 || n_in > SONDE_OP_MAX_IN)
        return sonde_fail(SONDE_EARG, "gradcheck: takes 1 to %d inputs, got %d", SONDE_OP_MAX_IN, n_in);
    for (int i = 0; i < n_in; i++) {
        if (!in[i]->requires_grad) continue;
        wanted++;
        if (in[i]->dtype != SONDE_FLOAT64)
            return sonde_fail(SONDE_EDTYPE, "gradcheck: input %d must be float64, got %s", i + 1,
                              sonde_dtype_name(in[i]->dtype));
        if (!sonde_is_leaf(in[i])) return sonde_fail(SONDE_EARG, "gradcheck: input %d must be a leaf", i + 1);
    }
    if (wanted == 0) return sonde_fail(SONDE_EARG, "gradcheck: no input requires a gradient");
    check c = {fn, context, n_in, 0, in, eps, atol, rtol};
    sonde_tensor *out[MAX_OUT];
    sonde_status status = evaluate(&c, &n_out, out);
    c.n_out = n_out;
    int checked = 0;
    for (int k = 0; k < n_out && status == SONDE_OK; k++) {
        if (!sonde_dtype_is_float(out[k]->dtype)) continue;
        if (out[k]->dtype != SONDE_FLOAT64)
            status = sonde_fail(SONDE_EDTYPE, "gradcheck: output %d must be float64, got %s", k + 1,
                                sonde_dtype_name(out[k]->dtype));
        else if (++checked)
            status = check_output(&c, k, out[k]);
    }
    if (status == SONDE_OK && checked == 0)
        status = sonde_fail(SONDE_EARG, "gradcheck: the function returns no float tensor");
    release_all(n_out, out);
    return status;
}
