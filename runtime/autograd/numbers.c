#include "autograd/numbers.h"
#include "autograd/node.h"
#include "autograd/watch.h"
#include "kernel/kernel.h"

#include <math.h>

_Thread_local bool sonde_numbers_on;
static _Thread_local sonde_numbers found;
static _Thread_local const void *(*where)(void);
/* Only -inf was found: perhaps a mask, meant so and gone after a softmax. What makes something worse out of finite
 * numbers then takes its place; what makes something worse of it confirms it. */
static _Thread_local bool may_be_meant;

bool sonde_numbers_watch(bool on, const void *(*place)(void))
{
    const bool was_on = sonde_numbers_on;
    found = (sonde_numbers){.origin = SONDE_NUMBERS_NONE};
    sonde_numbers_on = on;
    where = on ? place : NULL;
    return was_on;
}

const sonde_numbers *sonde_numbers_found(void) { return &found; }

void sonde_numbers_reset(void)
{
    found.origin = SONDE_NUMBERS_NONE;
    may_be_meant = false;
}

const void *sonde_numbers_place(void) { return where ? where() : NULL; }

/* Tensors that do not lie in one piece are results of views: looked at when they were made. */
static bool is_finite(const sonde_tensor *t)
{
    if (!t || !sonde_dtype_is_float(t->dtype) || !sonde_tensor_is_contiguous(t)) return true;
    return sonde_finite_kernel(t->dtype, sonde_tensor_data(t), (size_t)sonde_tensor_numel(t));
}

static double element(const sonde_tensor *t, int64_t i)
{
    const void *data = sonde_tensor_data(t);
    return t->dtype == SONDE_FLOAT32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

static int64_t count_nonfinite(const sonde_tensor *t)
{
    int64_t n = 0;
    for (int64_t i = 0; i < sonde_tensor_numel(t); i++) n += !isfinite(element(t, i));
    return n;
}

static void widen(const sonde_tensor *t)
{
    if (!t || !sonde_dtype_is_float(t->dtype) || !sonde_tensor_is_contiguous(t)) return;
    for (int64_t i = 0; i < sonde_tensor_numel(t); i++) {
        const double x = element(t, i);
        if (!isfinite(x)) continue;
        if (!(found.low <= x)) found.low = x;
        if (!(found.high >= x)) found.high = x;
    }
}

static void note(sonde_numbers_origin origin, const char *op, const void *place, const sonde_tensor *result)
{
    found = (sonde_numbers){.origin = origin, .op = op, .place = place, .n_nonfinite = count_nonfinite(result),
                            .low = (double)NAN, .high = (double)NAN};
}

static bool is_mask(const sonde_tensor *t)
{
    for (int64_t i = 0; i < sonde_tensor_numel(t); i++) {
        const double x = element(t, i);
        if (!isfinite(x) && !(isinf(x) && x < 0)) return false;
    }
    return true;
}

static bool reads_finite(const sonde_call *call, const sonde_tensor *result)
{
    for (int i = 0; i < call->n_in; i++)
        if (call->in[i] != result && !is_finite(call->in[i])) return false;
    return true;
}

static bool is_settled(void) { return found.origin != SONDE_NUMBERS_NONE && !may_be_meant; }

void sonde_numbers_applied(const sonde_call *call, sonde_tensor *const *out)
{
    if (is_settled() || call->op->is_view) return;
    const sonde_tensor *bad = NULL;
    for (int k = 0; k < call->n_out && !bad; k++)
        if (!is_finite(out[k])) bad = out[k];
    if (!bad) return;
    const bool mask = is_mask(bad);
    if (found.origin != SONDE_NUMBERS_NONE && !reads_finite(call, bad)) {
        may_be_meant = mask;
        return;
    }
    may_be_meant = mask;
    note(SONDE_NUMBERS_FORWARD, call->op->name, sonde_numbers_place(), bad);
    for (int i = 0; i < call->n_in; i++) {
        if (call->in[i] == bad) continue; /* in place: what it was is gone */
        widen(call->in[i]);
        if (found.origin == SONDE_NUMBERS_INPUT || is_finite(call->in[i])) continue;
        found.origin = SONDE_NUMBERS_INPUT;
        found.input = call->in[i];
    }
}

/* Leaves are left out: theirs are the largest gradients, and who measures them names the parameter anyway. */
void sonde_numbers_gave(const sonde_node *node)
{
    if (is_settled()) return;
    for (int i = 0; i < node->n_in; i++) {
        const sonde_tensor *given = node->in[i] ? node->in[i]->pending : NULL;
        if (is_finite(given)) continue;
        may_be_meant = false;
        note(SONDE_NUMBERS_BACKWARD, node->op->name, node->place, given);
        for (int k = 0; k < node->n_out; k++) widen(node->out[k].pending);
        return;
    }
}
