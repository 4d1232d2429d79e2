/* Backward through time. Steps are walked from the last taken to the first; the gradients of the pre-activations, `d`,
 * are held for a chunk of steps, long enough for the products that give the weights' and the input's gradients to be
 * large ones, short enough not to double the memory that forward keeps.
 */
#include "autograd/recurrent_backward.h"
#include "autograd/rows.h"

/* Of d: from CHUNK_ROWS on products run at their full speed; an eighth of the sequence, but at least LEAST_ROWS, is
 * enough, lest a short one's memory be doubled. */
enum { CHUNK_ROWS = 512, LEAST_ROWS = 128 };

/* ---- what reaches a step ------------------------------------------------------------------------------------ */

/* Adds dL/dy_t and, where a sequence ends, dL/dh_n and dL/dc_n. */
static void receive(const backward *bw, int64_t t)
{
    const recurrent_run *run = &bw->run;
    for (int64_t b = 0; b < run->batch; b++) {
        if (t >= length_of(run, b)) continue;
        const sonde_tensor *dy = sonde_node_grad(bw->node, 0), *dh_n = sonde_node_grad(bw->node, 1);
        const sonde_tensor *dc_n = bw->dc ? sonde_node_grad(bw->node, 2) : NULL;
        const bool last = t == last_time(run, b);
        char *dh = state_row(bw, bw->dh, b);
        if (dy) run->loops->add(dh, row_of(run, sonde_tensor_data(dy), run->hidden, t, b), run->hidden);
        if (dh_n && last) run->loops->add(dh, state_row(bw, sonde_tensor_data(dh_n), b), run->hidden);
        if (dc_n && last)
            run->loops->add(state_row(bw, bw->dc, b), state_row(bw, sonde_tensor_data(dc_n), b), run->hidden);
    }
}

static sonde_status show(const backward *bw, int64_t t, bool cell)
{
    if (bw->watchers->n == 0) return SONDE_OK;
    const recurrent_run *run = &bw->run;
    const char *gates = bw->shows_gates && !cell ? row_of(run, run->kept, run->width, t, 0) : NULL;
    const sonde_hidden_grad gradient = {.time = t,
                                        .steps = run->steps,
                                        .cell = cell,
                                        .dtype = run->dtype,
                                        .batch = run->batch,
                                        .hidden = run->hidden,
                                        .data = cell ? bw->dc : bw->dh,
                                        .gates = gates,
                                        .gates_width = run->width,
                                        .walk = bw,
                                        .lengths = run->t[LENGTHS] ? sonde_tensor_data(run->t[LENGTHS]) : NULL};
    sonde_status status = SONDE_OK;
    sonde_hook_walk walk = sonde_hooks_walk(bw->watchers);
    for (sonde_handle *h; status == SONDE_OK && (h = sonde_hooks_next(&walk));)
        status = ((sonde_hidden_watcher)h->callback)(h->context, &gradient);
    sonde_hooks_end(&walk);
    return status;
}

/* Scales dL/dh_t to a norm of at most `clip`; one that is not finite is left as it is, to be seen. */
static void clip(const backward *bw)
{
    const recurrent_run *run = &bw->run;
    if (run->args->clip == 0) return;
    sonde_moments moments;
    sonde_brief_moments_kernel(&moments, run->dtype, bw->dh, (size_t)(run->batch * run->hidden));
    const double norm = sonde_moments_l2(&moments);
    if (norm > run->args->clip && moments.n_nonfinite == 0)
        run->loops->scale(bw->dh, run->args->clip / norm, run->batch * run->hidden);
}

static sonde_status step_back(const backward *bw, int64_t s)
{
    const int64_t t = time_of(&bw->run, s);
    receive(bw, t);
    SONDE_TRY(show(bw, t, false));
    clip(bw);
    if (bw->dc) {
        sonde_recurrent_through_output(bw, t);
        SONDE_TRY(show(bw, t, true));
    }
    sonde_recurrent_through_step(bw, t);
    return SONDE_OK;
}

/* ---- the gradients of a chunk ----------------------------------------------------------------------------------- */

/* gradient of `input`, rows from `to` on (+)= dᵀ b, over `rows` rows */
static void weight_product(backward *bw, int input, int64_t to, const char *d, int64_t n, const char *b,
                           int64_t columns, int64_t ldb, int64_t rows)
{
    const recurrent_run *run = &bw->run;
    sonde_matmul_kernel(run->dtype, elements(run, bw->gradient[input], to * columns), d, b, n, columns, rows,
                        bw->d_width, ldb, columns, true, false, bw->add[input]);
}

/* dW_hh += d_hiddenᵀ h; of a GRU the last gate's part is taken from where the reset is. */
static void weight_hh_gradient(backward *bw, int64_t rows)
{
    const recurrent_run *run = &bw->run;
    const int64_t h = run->hidden;
    if (!bw->gradient[WEIGHT_HH]) return;
    if (run->args->kind != SONDE_GRU) {
        weight_product(bw, WEIGHT_HH, 0, bw->d_hidden, run->gates * h, bw->hidden, h, h, rows);
    } else {
        const bool after = run->args->reset_after;
        const char *m = elements(run, row_of(run, run->kept, run->width, bw->from, 0), 3 * h);
        weight_product(bw, WEIGHT_HH, 0, bw->d, 2 * h, bw->hidden, h, h, rows);
        weight_product(bw, WEIGHT_HH, 2 * h, elements(run, bw->d, (after ? 3 : 2) * h), h, after ? bw->hidden : m, h,
                       after ? h : run->width, rows);
    }
    bw->add[WEIGHT_HH] = true;
}

/* db += column sums of d */
static void bias_gradients(const backward *bw, int64_t rows)
{
    const recurrent_run *run = &bw->run;
    const int64_t h = run->hidden, all = run->gates * h;
    char *ih = bw->gradient[BIAS_IH], *hh = bw->gradient[BIAS_HH];
    const bool apart = run->args->kind == SONDE_GRU && run->args->reset_after;
    if (!ih && !hh) return;
    sonde_loops_of(run->dtype)->reduce(SONDE_SUM, bw->sum, bw->d, 1, rows, bw->d_width, 0);
    if (ih) run->loops->add(ih, bw->sum, all);
    if (hh) run->loops->add(hh, bw->sum, apart ? 2 * h : all);
    if (hh && apart) run->loops->add(elements(run, hh, 2 * h), elements(run, bw->sum, 3 * h), h);
}

/* d becomes the gradient of W_ih x: back through its normalisation. */
static void input_norm_back(const backward *bw, int64_t steps)
{
    const recurrent_run *run = &bw->run;
    const int64_t n = 4 * run->hidden;
    for (int64_t t = bw->from; t < bw->from + steps; t++) {
        for (int64_t b = 0; b < run->batch; b++) {
            if (t >= length_of(run, b)) continue;
            const char *norm = row_of(run, run->norm, run->norm_width, t, b);
            char *d = d_row(bw, bw->d, t, b);
            if (bw->gradient[NORM_IH]) run->loops->multiply(bw->gradient[NORM_IH], d, norm, n, true);
            run->loops->multiply(d, d, data_of(run, NORM_IH), n, false);
            run->loops->normalize_backward(d, d, norm, norm_factor(run, norm, 0), n);
        }
    }
}

/* The chunk's rows of x; those beyond a sequence's length as 0, for they may hold anything. */
static const char *input_rows(const backward *bw, int64_t steps)
{
    const recurrent_run *run = &bw->run;
    const char *x = row_of(run, data_of(run, X), run->inputs, bw->from, 0);
    if (!bw->x) return x;
    memcpy(bw->x, x, (size_t)(steps * run->batch * run->inputs) * sonde_dtype_size(run->dtype));
    for (int64_t t = 0; t < steps; t++)
        for (int64_t b = 0; b < run->batch; b++)
            if (bw->from + t >= length_of(run, b)) zero_row(run, row_of(run, bw->x, run->inputs, t, b), run->inputs);
    return bw->x;
}

static void chunk_gradients(backward *bw, int64_t steps)
{
    const recurrent_run *run = &bw->run;
    const int64_t rows = steps * run->batch, all = run->gates * run->hidden;
    weight_hh_gradient(bw, rows);
    bias_gradients(bw, rows);
    if (run->norm) input_norm_back(bw, steps);
    if (bw->gradient[WEIGHT_IH]) {
        weight_product(bw, WEIGHT_IH, 0, bw->d, all, input_rows(bw, steps), run->inputs, run->inputs, rows);
        bw->add[WEIGHT_IH] = true;
    }
    if (bw->gradient[X]) /* dX (+)= d W_ih */
        sonde_matmul_kernel(run->dtype, row_of(run, bw->gradient[X], run->inputs, bw->from, 0), bw->d,
                            data_of(run, WEIGHT_IH), rows, run->inputs, all, bw->d_width, run->inputs, run->inputs,
                            false, false, bw->add[X]);
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

/* n elements of the block; NULL while that is only being measured. */
static char *take(const backward *bw, int64_t *used, int64_t n)
{
    char *at = bw->memory ? elements(&bw->run, bw->memory, *used) : NULL;
    *used += (n + 15) & ~(int64_t)15;
    return at;
}

int64_t sonde_recurrent_lay_out(backward *bw)
{
    const recurrent_run *run = &bw->run;
    const int64_t states = run->batch * run->hidden, rows = bw->chunk * run->batch;
    int64_t used = 0;
    bw->dh = take(bw, &used, states);
    bw->dc = run->args->kind == SONDE_LSTM ? take(bw, &used, states) : NULL;
    bw->masked = run->t[MASK] ? take(bw, &used, states) : NULL;
    bw->dz = take(bw, &used, run->hidden);
    bw->sum = take(bw, &used, bw->d_width);
    bw->hidden = take(bw, &used, rows * run->hidden);
    bw->x = run->t[LENGTHS] ? take(bw, &used, rows * run->inputs) : NULL;
    bw->d = take(bw, &used, rows * bw->d_width);
    bw->d_hidden = run->norm_width ? take(bw, &used, rows * bw->d_width) : bw->d;
    return used;
}

/* The buffers of the gradients asked for. What is summed row by row starts from zero; products overwrite at first. */
static sonde_status find_targets(backward *bw)
{
    for (int i = 0; i < INPUTS; i++) {
        if (!bw->node->in[i] || !sonde_node_needs(bw->node, i)) continue;
        sonde_tensor *target;
        SONDE_TRY(sonde_node_target(bw->node, i, &target, &bw->add[i]));
        bw->gradient[i] = sonde_tensor_data(target);
        const bool product = i == X || i == WEIGHT_IH || i == WEIGHT_HH;
        if (!product && !bw->add[i]) zero_row(&bw->run, bw->gradient[i], sonde_tensor_numel(target));
    }
    return SONDE_OK;
}

static sonde_status run_backward(backward *bw)
{
    const recurrent_run *run = &bw->run;
    const int64_t most = (CHUNK_ROWS + run->batch - 1) / run->batch, least = (LEAST_ROWS + run->batch - 1) / run->batch;
    bw->chunk = (run->steps + 7) / 8;
    if (bw->chunk > most) bw->chunk = most;
    if (bw->chunk < least) bw->chunk = least;
    if (bw->chunk > run->steps) bw->chunk = run->steps;
    bw->d_width = run->args->kind == SONDE_RNN ? run->hidden : 4 * run->hidden;
    bw->memory = sonde_alloc((size_t)sonde_recurrent_lay_out(bw) * sonde_dtype_size(run->dtype));
    if (!bw->memory) return SONDE_ENOMEM;
    sonde_recurrent_lay_out(bw);
    zero_row(run, bw->dh, run->batch * run->hidden);
    if (bw->dc) zero_row(run, bw->dc, run->batch * run->hidden);
    SONDE_TRY(find_targets(bw));
    for (int64_t end = run->steps; end > 0;) { /* steps end-1 .. start */
        const int64_t start = end > bw->chunk ? end - bw->chunk : 0;
        bw->from = run->args->reverse ? time_of(run, end - 1) : start;
        for (int64_t s = end; s-- > start;) SONDE_TRY(step_back(bw, s));
        chunk_gradients(bw, end - start);
        end = start;
    }
    return SONDE_OK;
}

sonde_status sonde_recurrent_backward(sonde_node *node)
{
    recurrent_args *args = node->args;
    backward bw = {.node = node,
                   .watchers = &args->watchers,
                   .shows_gates = args->args.kind != SONDE_RNN && !args->walked};
    sonde_tensor *in[INPUTS], *kept = sonde_node_extra(node, 0);
    for (int i = 0; i < INPUTS; i++) in[i] = sonde_node_in(node, i);
    SONDE_TRY(sonde_recurrent_open(&bw.run, in, &args->args, sonde_node_out(node, 0)));
    bw.run.kept = kept ? sonde_tensor_data(kept) : bw.run.y;
    if (bw.run.norm_width) bw.run.norm = sonde_tensor_data(sonde_node_extra(node, 1));
    sonde_status status = run_backward(&bw);
    args->walked = true;
    sonde_free(bw.memory);
    sonde_recurrent_close(&bw.run);
    return status;
}
