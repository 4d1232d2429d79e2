/* Back through one step of a recurrence. */
#include "autograd/recurrent_backward.h"

/* ---- one row through the cell -------------------------------------------------------------------------------- */

/* From dh to da_o and, through the output's activation, to dc. */
static void lstm_output_row(const backward *bw, int64_t t, int64_t b)
{
    const recurrent_run *run = &bw->run;
    const int64_t h = run->hidden;
    const char *gates = row_of(run, run->kept, run->width, t, b), *cell = elements(run, gates, 4 * h), *z = cell;
    char *da_o = elements(run, d_row(bw, bw->d, t, b), 3 * h), *dc = state_row(bw, bw->dc, b);
    const char *norm = run->norm ? row_of(run, run->norm, run->norm_width, t, b) : NULL;
    const char *normalized = norm ? elements(run, norm, 8 * h) : NULL, *p = data_of(run, PEEPHOLE);
    if (norm) { /* z again, as forward had it */
        run->loops->multiply(bw->dz, normalized, data_of(run, NORM_C), h, false);
        run->loops->add(bw->dz, data_of(run, NORM_C_BIAS), h);
        z = bw->dz;
    }
    run->loops->lstm_output_backward(da_o, bw->dz, state_row(bw, bw->dh, b), elements(run, gates, 3 * h), z, h,
                                     run->args->activation);
    if (norm) {
        if (bw->gradient[NORM_C]) run->loops->multiply(bw->gradient[NORM_C], bw->dz, normalized, h, true);
        if (bw->gradient[NORM_C_BIAS]) run->loops->add(bw->gradient[NORM_C_BIAS], bw->dz, h);
        run->loops->multiply(bw->dz, bw->dz, data_of(run, NORM_C), h, false);
        run->loops->normalize_backward(bw->dz, bw->dz, normalized, norm_factor(run, norm, 2), h);
    }
    run->loops->add(dc, bw->dz, h);
    if (!p) return;
    run->loops->multiply(dc, da_o, elements(run, p, 2 * h), h, true);
    if (bw->gradient[PEEPHOLE]) run->loops->multiply(elements(run, bw->gradient[PEEPHOLE], 2 * h), da_o, cell, h, true);
}

/* Through the cell, and through the normalisation of W_hh h. dc becomes the derivative by c before. */
static void lstm_cell_row(const backward *bw, int64_t t, int64_t b)
{
    const recurrent_run *run = &bw->run;
    const int64_t h = run->hidden;
    const char *gates = row_of(run, run->kept, run->width, t, b), *c_prev = before(run, true, t, b);
    char *da = d_row(bw, bw->d, t, b), *dp = bw->gradient[PEEPHOLE];
    run->loops->lstm_cell_backward(da, state_row(bw, bw->dc, b), gates, c_prev, data_of(run, PEEPHOLE), h,
                                   run->args->activation);
    zero_row(run, state_row(bw, bw->dh, b), h);
    if (dp) {
        run->loops->multiply(dp, da, c_prev, h, true);
        run->loops->multiply(elements(run, dp, h), elements(run, da, h), c_prev, h, true);
    }
    if (!run->norm) return;
    const char *norm = row_of(run, run->norm, run->norm_width, t, b), *from_h = elements(run, norm, 4 * h);
    char *d_hidden = d_row(bw, bw->d_hidden, t, b);
    if (bw->gradient[NORM_HH]) run->loops->multiply(bw->gradient[NORM_HH], da, from_h, 4 * h, true);
    run->loops->multiply(d_hidden, da, data_of(run, NORM_HH), 4 * h, false);
    run->loops->normalize_backward(d_hidden, d_hidden, from_h, norm_factor(run, norm, 1), 4 * h);
}

static void row_back(const backward *bw, int64_t t, int64_t b)
{
    const recurrent_run *run = &bw->run;
    const char *gates = row_of(run, run->kept, run->width, t, b);
    char *da = d_row(bw, bw->d, t, b), *dh = state_row(bw, bw->dh, b);
    if (t >= length_of(run, b)) {
        zero_row(run, da, bw->d_width);
        if (run->norm) zero_row(run, d_row(bw, bw->d_hidden, t, b), bw->d_width);
    } else if (run->args->kind == SONDE_RNN) {
        run->loops->rnn_backward(da, dh, gates, run->hidden, run->args->activation, run->args->leak);
    } else if (run->args->kind == SONDE_LSTM) {
        lstm_cell_row(bw, t, b);
    } else {
        run->loops->gru_output_backward(da, dh, gates, before(run, false, t, b), run->hidden, run->args->reset_after);
    }
}

/* ---- back through weight_hh ----------------------------------------------------------------------------------- */

/* c [B, H] += d (gates first.. of it) · gates `weights`.. of weight_hh; in parts, as the forward products are. */
static void multiply_back(const backward *bw, char *c, int64_t ldc, const char *d, int64_t weights, int64_t n, bool add)
{
    const recurrent_run *run = &bw->run;
    const int64_t h = run->hidden;
    const double one = (double)run->batch * (double)h * (double)h;
    const bool split = one <= 1e6 && one * (double)n > 1e6;
    for (int64_t g = 0; g < (split ? n : 1); g++)
        sonde_matmul_kernel(run->dtype, c, elements(run, d, g * h),
                            elements(run, data_of(run, WEIGHT_HH), (weights + g) * h * h), run->batch, h,
                            split ? h : n * h, bw->d_width, h, ldc, false, false, add || g > 0);
}

/* Where the reset comes before the product: dm = da_n W_hn, which leads to r and to h. */
static void reset_back(const backward *bw, int64_t t, char *into)
{
    const recurrent_run *run = &bw->run;
    const int64_t h = run->hidden;
    char *da = d_row(bw, bw->d, t, 0), *dm = elements(run, da, 3 * h);
    const char *hidden = row_of(run, bw->hidden, h, t - bw->from, 0);
    multiply_back(bw, dm, bw->d_width, elements(run, da, 2 * h), 2, 1, false);
    for (int64_t b = 0; b < run->batch; b++)
        run->loops->gru_reset_backward(elements(run, da, b * bw->d_width), state_row(bw, into, b),
                                       row_of(run, run->kept, run->width, t, b), state_row(bw, hidden, b), h);
}

/* dh += what reaches the h before this step through weight_hh. */
static void hidden_back(const backward *bw, int64_t t)
{
    const recurrent_run *run = &bw->run;
    const int64_t h = run->hidden, n = run->batch * h;
    const bool gru = run->args->kind == SONDE_GRU;
    const char *d = d_row(bw, bw->d_hidden, t, 0);
    char *into = bw->masked ? bw->masked : bw->dh;
    if (bw->masked) zero_row(run, bw->masked, n);
    if (gru && !run->args->reset_after) reset_back(bw, t, into);
    multiply_back(bw, into, h, d, 0, gru ? 2 : run->gates, true);
    if (gru && run->args->reset_after) multiply_back(bw, into, h, elements(run, d, 3 * h), 2, 1, true);
    if (bw->masked) run->loops->multiply(bw->dh, bw->masked, data_of(run, MASK), n, true);
}

/* Where a sequence begins, what is left belongs to its initial state. */
static void leave(const backward *bw, int64_t t)
{
    const recurrent_run *run = &bw->run;
    for (int64_t b = 0; b < run->batch; b++) {
        if (t != first_time(run, b)) continue;
        char *dh = state_row(bw, bw->dh, b), *dc = bw->dc ? state_row(bw, bw->dc, b) : NULL;
        if (bw->gradient[H0]) run->loops->add(state_row(bw, bw->gradient[H0], b), dh, run->hidden);
        if (bw->gradient[C0]) run->loops->add(state_row(bw, bw->gradient[C0], b), dc, run->hidden);
        zero_row(run, dh, run->hidden);
        if (dc) zero_row(run, dc, run->hidden);
    }
}

/* ---- a step ------------------------------------------------------------------------------------------------------- */

void sonde_recurrent_through_output(const backward *bw, int64_t t)
{
    for (int64_t b = 0; b < bw->run.batch; b++)
        if (t < length_of(&bw->run, b)) lstm_output_row(bw, t, b);
}

void sonde_recurrent_through_step(const backward *bw, int64_t t)
{
    const recurrent_run *run = &bw->run;
    for (int64_t b = 0; b < run->batch; b++) row_back(bw, t, b);
    sonde_recurrent_gather(run, row_of(run, bw->hidden, run->hidden, t - bw->from, 0), t);
    hidden_back(bw, t);
    leave(bw, t);
}
