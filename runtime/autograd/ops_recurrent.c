#include "autograd/recurrent.h"
#include "autograd/rows.h"

static const double NORM_EPS = 1e-5;

/* ---- the run ---------------------------------------------------------------------------------------------- */

static int64_t gates_of(const sonde_recurrent_args *args)
{
    return args->kind == SONDE_RNN ? 1 : args->kind == SONDE_LSTM ? 4 : 3;
}

sonde_status sonde_recurrent_open(recurrent_run *run, sonde_tensor *const *in, const sonde_recurrent_args *args,
                                  sonde_tensor *y)
{
    const int64_t hidden = y->shape[2];
    *run = (recurrent_run){.args = args,
                           .loops = sonde_recurrent_loops_of(y->dtype),
                           .dtype = y->dtype,
                           .steps = y->shape[0],
                           .batch = y->shape[1],
                           .inputs = in[X]->shape[2],
                           .hidden = hidden,
                           .gates = gates_of(args),
                           .y = sonde_tensor_data(y)};
    run->width = args->kind == SONDE_RNN ? hidden : args->kind == SONDE_LSTM ? 5 * hidden : 4 * hidden;
    run->norm_width = in[NORM_IH] ? 9 * hidden + 3 : 0;
    run->zeros = sonde_alloc_zeroed((size_t)hidden * sonde_dtype_size(y->dtype));
    sonde_status status = run->zeros ? SONDE_OK : SONDE_ENOMEM;
    for (int i = 0; i < INPUTS && status == SONDE_OK; i++)
        if (in[i]) status = sonde_tensor_contiguous(&run->t[i], in[i]);
    if (status != SONDE_OK) sonde_recurrent_close(run);
    return status;
}

void sonde_recurrent_close(recurrent_run *run)
{
    for (int i = 0; i < INPUTS; i++) sonde_tensor_release(run->t[i]);
    sonde_free(run->zeros);
}

void sonde_recurrent_gather(const recurrent_run *run, char *block, int64_t t)
{
    const size_t bytes = (size_t)run->hidden * sonde_dtype_size(run->dtype);
    const char *mask = data_of(run, MASK);
    for (int64_t b = 0; b < run->batch; b++) {
        char *row = elements(run, block, b * run->hidden);
        memcpy(row, t < length_of(run, b) ? before(run, false, t, b) : run->zeros, bytes);
        if (mask) run->loops->multiply(row, row, elements(run, mask, b * run->hidden), run->hidden, false);
    }
}

/* ---- shapes ----------------------------------------------------------------------------------------------- */

static const char *const input_names[INPUTS] = {
    "the input",           "h0",      "c0",      "weight_ih", "weight_hh",   "bias_ih",  "bias_hh",
    "the peephole weight", "norm_ih", "norm_hh", "norm_c",    "norm_c_bias", "the mask", "lengths"};

static sonde_status check_shape(const sonde_call *call, int input, int ndim, int64_t rows, int64_t columns)
{
    const sonde_tensor *t = call->in[input];
    if (!t) return SONDE_OK;
    const sonde_dtype dtype = input == LENGTHS ? SONDE_INT64 : call->in[X]->dtype;
    if (t->dtype != dtype)
        return sonde_fail(SONDE_EDTYPE, "%s is %s, expected %s", input_names[input], sonde_dtype_name(t->dtype),
                          input == LENGTHS ? "int64" : "what the input is");
    if (t->ndim == ndim && t->shape[0] == rows && (ndim == 1 || t->shape[1] == columns)) return SONDE_OK;
    char want[SONDE_SHAPE_TEXT], got[SONDE_SHAPE_TEXT];
    return sonde_fail(SONDE_ESHAPE, "expected %s %s, got %s", input_names[input],
                      sonde_shape_text(want, ndim, (int64_t[]){rows, columns}),
                      sonde_shape_text(got, t->ndim, t->shape));
}

static sonde_status check_lengths(const sonde_tensor *lengths, int64_t steps)
{
    for (int64_t b = 0; lengths && b < lengths->shape[0]; b++) {
        const int64_t length = sonde_tensor_get_int(lengths, &b);
        if (length < 1 || length > steps)
            return sonde_fail(SONDE_EARG, "lengths: %lld of sequence %lld is outside 1..%lld, the steps there are",
                              (long long)length, (long long)b + 1, (long long)steps);
    }
    return SONDE_OK;
}

/* What does not depend on the sizes. */
static sonde_status check_options(const sonde_call *call, const sonde_recurrent_args *args)
{
    const bool lstm = args->kind == SONDE_LSTM;
    if (!(args->leak > 0 && args->leak <= 1) || (args->leak < 1 && args->kind != SONDE_RNN))
        return sonde_fail(SONDE_EARG, "leak must be above 0 and at most 1, and 1 unless this is an RNN, got %g",
                          args->leak);
    if (!(args->clip >= 0)) return sonde_fail(SONDE_EARG, "the clipping norm must not be negative, got %g", args->clip);
    if ((args->kind == SONDE_GRU && args->activation != SONDE_SQUASH_TANH) ||
        (lstm && args->activation == SONDE_SQUASH_LINEAR))
        return sonde_fail(SONDE_EARG, "an LSTM's activation is tanh or relu, a GRU's tanh");
    if (!lstm && (call->in[C0] || call->in[PEEPHOLE] || call->in[NORM_IH]))
        return sonde_fail(SONDE_EARG, "only an LSTM has a cell, peepholes and normalised gates");
    const int norms = !!call->in[NORM_IH] + !!call->in[NORM_HH] + !!call->in[NORM_C] + !!call->in[NORM_C_BIAS];
    if (norms != 0 && norms != 4)
        return sonde_fail(SONDE_EARG, "a normalised LSTM needs norm_ih, norm_hh, norm_c and norm_c_bias");
    return SONDE_OK;
}

static sonde_status check_inputs(const sonde_call *call, int64_t gates)
{
    const sonde_tensor *x = call->in[X], *w = call->in[WEIGHT_HH];
    char got[SONDE_SHAPE_TEXT];
    if (x->ndim != 3 || x->shape[0] < 1 || x->shape[1] < 1)
        return sonde_fail(SONDE_ESHAPE,
                          "expected an input [steps, batch, features] with at least one step and one sample, "
                          "got %s",
                          sonde_shape_text(got, x->ndim, x->shape));
    if (w->ndim != 2 || w->shape[1] < 1 || w->shape[0] / gates != w->shape[1])
        return sonde_fail(SONDE_ESHAPE, "expected weight_hh [%lld * hidden, hidden], got %s", (long long)gates,
                          sonde_shape_text(got, w->ndim, w->shape));
    const int64_t hidden = w->shape[1], batch = x->shape[1];
    SONDE_TRY(check_shape(call, WEIGHT_IH, 2, gates * hidden, x->shape[2]));
    SONDE_TRY(check_shape(call, WEIGHT_HH, 2, gates * hidden, hidden));
    SONDE_TRY(check_shape(call, BIAS_IH, 1, gates * hidden, 0));
    SONDE_TRY(check_shape(call, BIAS_HH, 1, gates * hidden, 0));
    SONDE_TRY(check_shape(call, H0, 2, batch, hidden));
    SONDE_TRY(check_shape(call, C0, 2, batch, hidden));
    SONDE_TRY(check_shape(call, PEEPHOLE, 1, 3 * hidden, 0));
    SONDE_TRY(check_shape(call, NORM_IH, 1, 4 * hidden, 0));
    SONDE_TRY(check_shape(call, NORM_HH, 1, 4 * hidden, 0));
    SONDE_TRY(check_shape(call, NORM_C, 1, hidden, 0));
    SONDE_TRY(check_shape(call, NORM_C_BIAS, 1, hidden, 0));
    SONDE_TRY(check_shape(call, MASK, 2, batch, hidden));
    SONDE_TRY(check_shape(call, LENGTHS, 1, batch, 0));
    return check_lengths(call->in[LENGTHS], x->shape[0]);
}

static sonde_status recurrent_shape(sonde_call *call)
{
    const sonde_recurrent_args *args = &((const recurrent_args *)call->args)->args;
    SONDE_TRY(need_float(call, X));
    SONDE_TRY(check_options(call, args));
    SONDE_TRY(check_inputs(call, gates_of(args)));
    const sonde_tensor *x = call->in[X];
    const int64_t hidden = call->in[WEIGHT_HH]->shape[1];
    for (int k = 0; k < call->n_out; k++) {
        call->out_dtype[k] = x->dtype;
        call->out_ndim[k] = k == 0 ? 3 : 2;
        call->out_shape[k][0] = x->shape[k == 0 ? 0 : 1];
        call->out_shape[k][1] = k == 0 ? x->shape[1] : hidden;
        if (k == 0) call->out_shape[k][2] = hidden;
    }
    return SONDE_OK;
}

/* ---- forward ----------------------------------------------------------------------------------------------- */

typedef struct forward {
    recurrent_run run;
    const char *transposed; /* weight_hhᵀ [H, G·H] */
    char *bias;             /* of a kept row: b_ih + b_hh, GRU's b_hn apart */
    char *state;            /* [B, H]: the h that enters weight_hh, where it is no block of y or h0 */
} forward;

/* c [B, n·H] (+)= a [B, H] · (gates first.. of weight_hh)ᵀ. OpenBLAS packs operands above a million multiplications,
 * which costs more than it gains for a few rows: such products are taken gate by gate where that keeps below it. */
static void multiply_hidden(const forward *f, char *c, int64_t ldc, const char *a, int64_t lda, int64_t first,
                            int64_t n, bool add)
{
    const recurrent_run *run = &f->run;
    const int64_t h = run->hidden, all = run->gates * h;
    const double one = (double)run->batch * (double)h * (double)h;
    const bool split = one <= 1e6 && one * (double)n > 1e6;
    for (int64_t g = 0; g < (split ? n : 1); g++)
        sonde_matmul_kernel(run->dtype, elements(run, c, g * h), a, elements(run, f->transposed, (first + g) * h),
                            run->batch, split ? h : n * h, h, lda, all, ldc, false, false, add);
}

static void zero_columns(const recurrent_run *run, char *c, int64_t ldc, int64_t n)
{
    for (int64_t b = 0; b < run->batch; b++)
        memset(elements(run, c, b * ldc), 0, (size_t)n * sonde_dtype_size(run->dtype));
}

/* The block of h that enters weight_hh at step s; NULL: zero. */
static const char *entering(const forward *f, int64_t s, int64_t t)
{
    const recurrent_run *run = &f->run;
    if (s == 0 && !run->t[H0]) return NULL;
    if (f->state) {
        sonde_recurrent_gather(run, f->state, t);
        return f->state;
    }
    return s == 0 ? data_of(run, H0) : row_of(run, run->y, run->hidden, time_of(run, s - 1), 0);
}

static void store(const recurrent_run *run, char *base, int64_t at, double value)
{
    if (run->dtype == SONDE_FLOAT32)
        ((float *)(void *)base)[at] = (float)value;
    else
        ((double *)(void *)base)[at] = value;
}

/* gates = norm_ih · normalised(W_ih x) + norm_hh · normalised(W_hh h), of one row */
static void normalize_gates(const recurrent_run *run, char *gates, char *norm)
{
    const int64_t n = 4 * run->hidden, inverses = 9 * run->hidden;
    char *from_x = norm, *from_h = elements(run, norm, n);
    store(run, norm, inverses, run->loops->normalize(from_x, n, NORM_EPS));
    store(run, norm, inverses + 1, run->loops->normalize(from_h, n, NORM_EPS));
    run->loops->multiply(gates, from_x, data_of(run, NORM_IH), n, false);
    run->loops->multiply(gates, from_h, data_of(run, NORM_HH), n, true);
}

static void rnn_row(const forward *f, int64_t t, int64_t b)
{
    const recurrent_run *run = &f->run;
    run->loops->rnn(row_of(run, run->y, run->hidden, t, b), row_of(run, run->kept, run->width, t, b), f->bias,
                    before(run, false, t, b), run->hidden, run->args->activation, run->args->leak);
}

static void lstm_row(const forward *f, int64_t t, int64_t b)
{
    const recurrent_run *run = &f->run;
    const int64_t h = run->hidden;
    char *gates = row_of(run, run->kept, run->width, t, b), *cell = elements(run, gates, 4 * h), *z = cell;
    char *y = row_of(run, run->y, h, t, b), *norm = run->norm ? row_of(run, run->norm, run->norm_width, t, b) : NULL;
    if (norm) normalize_gates(run, gates, norm);
    run->loops->lstm_cell(gates, cell, f->bias, before(run, true, t, b), data_of(run, PEEPHOLE), h,
                          run->args->activation);
    if (norm) { /* z = norm_c · normalised(c) + norm_c_bias, in y's row for a moment */
        char *normalized = elements(run, norm, 8 * h);
        memcpy(normalized, cell, (size_t)h * sonde_dtype_size(run->dtype));
        store(run, norm, 9 * h + 2, run->loops->normalize(normalized, h, NORM_EPS));
        run->loops->multiply(y, normalized, data_of(run, NORM_C), h, false);
        run->loops->add(y, data_of(run, NORM_C_BIAS), h);
        z = y;
    }
    run->loops->lstm_output(y, elements(run, gates, 3 * h), z, h, run->args->activation);
}

/* What W_hh h gives goes where the row functions expect it; h NULL: zero. */
static void enter_hidden(const forward *f, int64_t t, const char *h)
{
    const recurrent_run *run = &f->run;
    const int64_t n = run->hidden;
    char *gates = row_of(run, run->kept, run->width, t, 0), *m = elements(run, gates, 3 * n);
    if (run->norm) {
        char *target = elements(run, row_of(run, run->norm, run->norm_width, t, 0), 4 * n);
        if (h)
            multiply_hidden(f, target, run->norm_width, h, n, 0, 4, false);
        else
            zero_columns(run, target, run->norm_width, 4 * n);
    } else if (run->args->kind != SONDE_GRU) {
        if (h) multiply_hidden(f, gates, run->width, h, n, 0, run->gates, true);
    } else {
        if (h) multiply_hidden(f, gates, run->width, h, n, 0, 2, true);
        if (!run->args->reset_after) return;
        if (h)
            multiply_hidden(f, m, run->width, h, n, 2, 1, false);
        else
            zero_columns(run, m, run->width, n);
    }
}

static void gru_rows(const forward *f, int64_t t, const char *entering_h)
{
    const recurrent_run *run = &f->run;
    const int64_t h = run->hidden;
    const bool after = run->args->reset_after;
    char *gates = row_of(run, run->kept, run->width, t, 0);
    for (int64_t b = 0; b < run->batch; b++)
        run->loops->gru_gates(elements(run, gates, b * run->width), f->bias,
                              entering_h ? elements(run, entering_h, b * h) : run->zeros, h, after);
    if (!after && entering_h)
        multiply_hidden(f, elements(run, gates, 2 * h), run->width, elements(run, gates, 3 * h), run->width, 2, 1,
                        true);
    for (int64_t b = 0; b < run->batch; b++)
        if (t < length_of(run, b))
            run->loops->gru_output(row_of(run, run->y, h, t, b), elements(run, gates, b * run->width), f->bias,
                                   before(run, false, t, b), h, after);
}

static void take_step(const forward *f, int64_t s)
{
    const recurrent_run *run = &f->run;
    const int64_t t = time_of(run, s);
    const size_t size = sonde_dtype_size(run->dtype);
    const char *h = entering(f, s, t);
    enter_hidden(f, t, h);
    if (run->args->kind == SONDE_GRU) gru_rows(f, t, h);
    for (int64_t b = 0; b < run->batch; b++) {
        if (t >= length_of(run, b)) {
            memset(row_of(run, run->y, run->hidden, t, b), 0, (size_t)run->hidden * size);
            memset(row_of(run, run->kept, run->width, t, b), 0, (size_t)run->width * size);
        } else if (run->args->kind == SONDE_RNN) {
            rnn_row(f, t, b);
        } else if (run->args->kind == SONDE_LSTM) {
            lstm_row(f, t, b);
        }
    }
}

/* b_ih + b_hh; a GRU's b_in and b_hn apart where the reset comes between them. */
static void sum_biases(forward *f)
{
    const recurrent_run *run = &f->run;
    const int64_t h = run->hidden, all = run->gates * h;
    const char *ih = data_of(run, BIAS_IH), *hh = data_of(run, BIAS_HH);
    const bool apart = run->args->kind == SONDE_GRU && run->args->reset_after;
    if (ih) run->loops->add(f->bias, ih, all);
    if (!hh) return;
    run->loops->add(f->bias, hh, apart ? 2 * h : all);
    if (apart) run->loops->add(elements(run, f->bias, 3 * h), elements(run, hh, 2 * h), h);
}

static void final_states(const recurrent_run *run, sonde_call *call)
{
    const size_t bytes = (size_t)run->hidden * sonde_dtype_size(run->dtype);
    for (int64_t b = 0; b < run->batch; b++) {
        const int64_t t = last_time(run, b);
        const char *cell = elements(run, row_of(run, run->kept, run->width, t, b), 4 * run->hidden);
        memcpy(elements(run, sonde_tensor_data(call->out[1]), b * run->hidden), row_of(run, run->y, run->hidden, t, b),
               bytes);
        if (call->n_out > 2) memcpy(elements(run, sonde_tensor_data(call->out[2]), b * run->hidden), cell, bytes);
    }
}

/* A block of T·B rows for backward to read. */
static sonde_status keep(sonde_call *call, const recurrent_run *run, int64_t width, char **data)
{
    sonde_tensor *block;
    SONDE_TRY(sonde_tensor_new(&block, run->dtype, 3, (int64_t[]){run->steps, run->batch, width}));
    call->extra[call->n_extra++] = block;
    *data = sonde_tensor_data(block);
    return SONDE_OK;
}

static sonde_status run_forward(sonde_call *call, forward *f)
{
    recurrent_run *run = &f->run;
    const bool own = run->args->kind != SONDE_RNN || run->args->leak < 1;
    const bool gathers = run->t[MASK] || (run->t[LENGTHS] && run->args->reverse && run->t[H0]);
    const size_t size = sonde_dtype_size(run->dtype);
    run->kept = run->y;
    if (own) SONDE_TRY(keep(call, run, run->width, &run->kept));
    if (run->norm_width) SONDE_TRY(keep(call, run, run->norm_width, &run->norm));
    f->transposed = sonde_tensor_transposed(run->t[WEIGHT_HH]);
    f->bias = f->transposed ? sonde_alloc_zeroed((size_t)run->width * size) : NULL;
    if (f->bias && gathers) f->state = sonde_alloc((size_t)(run->batch * run->hidden) * size);
    if (!f->bias || (gathers && !f->state)) return SONDE_ENOMEM;
    sum_biases(f);
    sonde_matmul_kernel(run->dtype, run->norm ? run->norm : run->kept, data_of(run, X), data_of(run, WEIGHT_IH),
                        run->steps * run->batch, run->gates * run->hidden, run->inputs, run->inputs, run->inputs,
                        run->norm ? run->norm_width : run->width, false, true, false);
    for (int64_t s = 0; s < run->steps; s++) take_step(f, s);
    final_states(run, call);
    return SONDE_OK;
}

static sonde_status recurrent_forward(sonde_call *call)
{
    forward f = {.transposed = NULL};
    SONDE_TRY(sonde_recurrent_open(&f.run, call->in, &((const recurrent_args *)call->args)->args, call->out[0]));
    sonde_status status = run_forward(call, &f);
    sonde_free(f.bias);
    sonde_free(f.state);
    sonde_recurrent_close(&f.run);
    return status;
}

/* ---- the rows ---------------------------------------------------------------------------------------------- */

static void free_args(void *args)
{
    sonde_hooks_clear(&((recurrent_args *)args)->watchers);
}

#define ROW(what, outputs)                                                                                             \
    {                                                                                                                  \
        .name = what, .n_out = outputs, .args_size = sizeof(recurrent_args), .shape = recurrent_shape,                 \
        .saves = (SONDE_SAVE_ALL_IN & ~(1u << BIAS_IH | 1u << BIAS_HH)) | SONDE_SAVE_OUT0,                             \
        .forward = recurrent_forward, .backward = sonde_recurrent_backward, .free_args = free_args                     \
    }
static const sonde_op recurrent_rows[] = {
    [SONDE_RNN] = ROW("rnn", 2), [SONDE_LSTM] = ROW("lstm", 3), [SONDE_GRU] = ROW("gru", 2)};

sonde_status sonde_recurrent(sonde_tensor *out[3], sonde_tensor *const in[SONDE_RECURRENT_INPUTS],
                             const sonde_recurrent_args *args)
{
    out[2] = NULL;
    return sonde_apply(&recurrent_rows[args->kind], INPUTS, in, &(recurrent_args){.args = *args}, out);
}

sonde_status sonde_watch_hidden_grad(sonde_tensor *y, sonde_hidden_watcher watcher, void *context,
                                     void (*free_context)(void *), sonde_handle **out)
{
    sonde_node *node = y->autograd ? y->autograd->node : NULL;
    if (!node || node->spent || node->op->backward != sonde_recurrent_backward)
        return sonde_fail(SONDE_EARG,
                          "the tensor to watch was not made by a recurrent operator that records gradients");
    return sonde_hooks_add(&((recurrent_args *)node->args)->watchers, (sonde_callback)watcher, context, free_context,
                           out);
}
