/* What a recurrence remembers: one vector per sample carried back through time, without a weight's or an input's share. */
#include "autograd/recurrent_backward.h"

/* Where a sequence ends, its v joins. */
static void set_out(const backward *bw, const char *v, int64_t t)
{
    const recurrent_run *run = &bw->run;
    for (int64_t b = 0; b < run->batch; b++)
        if (t == last_time(run, b))
            memcpy(state_row(bw, bw->dh, b), state_row(bw, v, b), (size_t)run->hidden * sonde_dtype_size(run->dtype));
}

static sonde_status walk_back(backward *bw, sonde_hidden_grad *at, const char *v, sonde_hidden_watcher watcher,
                              void *context)
{
    for (int64_t s = bw->run.steps; s-- > 0;) {
        at->time = bw->from = time_of(&bw->run, s);
        set_out(bw, v, at->time);
        at->cell = false;
        at->data = bw->dh;
        SONDE_TRY(watcher(context, at));
        if (bw->dc) {
            sonde_recurrent_through_output(bw, at->time);
            at->cell = true;
            at->data = bw->dc;
            SONDE_TRY(watcher(context, at));
        }
        sonde_recurrent_through_step(bw, at->time);
    }
    return SONDE_OK;
}

sonde_status sonde_hidden_jacobian(const sonde_hidden_grad *shown, const void *v, sonde_hidden_watcher watcher,
                                   void *context)
{
    const backward *training = shown->walk;
    const recurrent_run *run = &training->run;
    sonde_hidden_grad at = *shown;
    at.gates = at.walk = NULL;
    backward bw = {.run = *run, .chunk = 1, .d_width = training->d_width};
    const size_t bytes = (size_t)sonde_recurrent_lay_out(&bw) * sonde_dtype_size(run->dtype);
    bw.memory = sonde_alloc_zeroed(bytes);
    if (!bw.memory) return SONDE_ENOMEM;
    sonde_recurrent_lay_out(&bw);
    sonde_status status = walk_back(&bw, &at, v, watcher, context);
    sonde_free(bw.memory);
    return status;
}
