#include "autograd/loss_rows.h"
#include "kernel/losses.h"

sonde_status sonde_loss_check_pair(const sonde_call *call, const char *third)
{
    const sonde_tensor *x = call->in[0], *t = call->in[1];
    char xs[SONDE_SHAPE_TEXT], ts[SONDE_SHAPE_TEXT];
    SONDE_TRY(need_float(call, 0));
    if (!sonde_tensor_same_shape(x, t))
        return sonde_fail(SONDE_ESHAPE, "%s: input %s and target %s differ in shape", call->op->name,
                          sonde_shape_text(xs, x->ndim, x->shape), sonde_shape_text(ts, t->ndim, t->shape));
    for (int i = 1; i < call->n_in; i++) {
        if (call->in[i] && call->in[i]->dtype != x->dtype)
            return sonde_fail(SONDE_EDTYPE, "%s: the input is %s, the %s %s", call->op->name,
                              sonde_dtype_name(x->dtype), i == 1 ? "target" : third,
                              sonde_dtype_name(call->in[i]->dtype));
    }
    return SONDE_OK;
}

void sonde_loss_declare_elements(sonde_call *call, sonde_loss_reduction reduction)
{
    out_like(call, 0, call->in[0]->dtype, call->in[0]);
    if (reduction != SONDE_LOSS_NONE) call->out_ndim[0] = 0;
}

void sonde_loss_reduce(sonde_call *call, const sonde_tensor *each, sonde_loss_reduction reduction, double divisor)
{
    if (reduction == SONDE_LOSS_NONE) return;
    sonde_tensor *out = call->out[0];
    sonde_loops_of(out->dtype)
        ->reduce(SONDE_SUM, sonde_tensor_data(out), sonde_tensor_data(each), 1, sonde_tensor_numel(each), 1, 0);
    if (reduction != SONDE_LOSS_MEAN) return;
    if (out->dtype == SONDE_FLOAT32)
        *(float *)sonde_tensor_data(out) = (float)((double)*(float *)sonde_tensor_data(out) / divisor);
    else
        *(double *)sonde_tensor_data(out) /= divisor;
}

sonde_status sonde_loss_elements(sonde_tensor **each, sonde_call *call, sonde_loss_reduction reduction, int ndim,
                                 const int64_t *shape)
{
    if (reduction == SONDE_LOSS_NONE) {
        *each = sonde_tensor_retain(call->out[0]);
        return SONDE_OK;
    }
    return sonde_tensor_new(each, call->out[0]->dtype, ndim, shape);
}

sonde_status sonde_loss_keep(sonde_call *call, sonde_tensor *t)
{
    sonde_tensor *kept;
    SONDE_TRY(sonde_tensor_contiguous(&kept, t));
    call->extra[call->n_extra++] = kept;
    return SONDE_OK;
}

sonde_status sonde_loss_check_gaps(const sonde_call *call, const sonde_tensor *t)
{
    const int64_t at =
        sonde_loss_loops_of(t->dtype)->no_number(sonde_tensor_data(t), (size_t)sonde_tensor_numel(t));
    return at < 0 ? SONDE_OK : sonde_fail(SONDE_EARG, "%s: target %lld is NaN: look for gaps in the data", call->op->name,
                                          (long long)at + 1);
}

/* ---- class labels ---------------------------------------------------------------------------------------------- */

static int class_axis(const sonde_tensor *x)
{
    return x->ndim == 1 ? 0 : 1;
}

layout sonde_loss_class_layout(const sonde_tensor *x)
{
    return layout_around(x->ndim, x->shape, class_axis(x), class_axis(x));
}

static sonde_status check_range(const char *name, const sonde_tensor *labels, int64_t classes, int64_t ignore_index)
{
    sonde_tensor *flat;
    SONDE_TRY(sonde_tensor_contiguous(&flat, (sonde_tensor *)labels));
    const int64_t *label = sonde_tensor_data(flat), n = sonde_tensor_numel(flat);
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; i < n && status == SONDE_OK; i++) {
        if ((label[i] >= 1 && label[i] <= classes) || (ignore_index != 0 && label[i] == ignore_index)) continue;
        status = sonde_fail(SONDE_EARG, "%s: label %lld at position %lld: class labels count from 1 to %lld%s", name,
                            (long long)label[i], (long long)i + 1, (long long)classes,
                            label[i] == 0 ? "; files written elsewhere often start at 0 (labels_from = 0)" : "");
    }
    sonde_tensor_release(flat);
    return status;
}

sonde_status sonde_loss_check_labels(const char *name, const sonde_tensor *x, const sonde_tensor *labels,
                                     int64_t ignore_index)
{
    const int axis = class_axis(x);
    char xs[SONDE_SHAPE_TEXT], ts[SONDE_SHAPE_TEXT];
    if (labels->dtype != SONDE_INT64)
        return sonde_fail(SONDE_EDTYPE, "%s: class labels must be int64, got %s", name,
                          sonde_dtype_name(labels->dtype));
    bool fits = labels->ndim == x->ndim - 1;
    for (int d = 0; fits && d < labels->ndim; d++) fits = labels->shape[d] == x->shape[d < axis ? d : d + 1];
    if (!fits)
        return sonde_fail(SONDE_ESHAPE, "%s: logits %s want one label per row, got labels %s", name,
                          sonde_shape_text(xs, x->ndim, x->shape), sonde_shape_text(ts, labels->ndim, labels->shape));
    return check_range(name, labels, x->shape[axis], ignore_index);
}

sonde_status sonde_loss_check_weight(const char *name, const sonde_tensor *x, const sonde_tensor *weight)
{
    const int64_t classes = x->shape[class_axis(x)];
    if (weight && weight->requires_grad && sonde_grad_enabled())
        return sonde_fail(SONDE_EARG, "%s: the weight requires a gradient; give it detached", name);
    if (!weight || (weight->ndim == 1 && weight->shape[0] == classes && weight->dtype == x->dtype)) return SONDE_OK;
    return sonde_fail(SONDE_ESHAPE, "%s: weight must be a %s tensor [%lld], one number a class", name,
                      sonde_dtype_name(x->dtype), (long long)classes);
}

void sonde_loss_declare_rows(sonde_call *call, const sonde_tensor *x, sonde_loss_reduction reduction)
{
    call->out_dtype[0] = x->dtype;
    call->out_ndim[0] = 0;
    if (reduction != SONDE_LOSS_NONE) return;
    for (int d = 0; d < x->ndim; d++)
        if (d != class_axis(x)) call->out_shape[0][call->out_ndim[0]++] = x->shape[d];
}
