/* Rows: blocks, writing a row, reading one back, and handing rows to the consumer.
 *
 * The producer fills row number `committed` and then raises `committed` (release); the consumer reads rows below it
 * (acquire) and raises `taken`. A row never changes after its commit, so both may be in the same block at once. */
#include "record/history.h"

#include <math.h>
#include <string.h>

static int64_t committed(const sonde_group *g) { return atomic_load_explicit(&g->committed, memory_order_acquire); }
static int64_t taken(const sonde_group *g) { return atomic_load_explicit(&g->taken, memory_order_acquire); }

static sonde_status check_consumer(const sonde_history *h)
{
    sonde_status status = (sonde_status)atomic_load(&h->failed);
    if (status == SONDE_OK) return SONDE_OK;
    return sonde_fail(status, "%s", h->failure ? h->failure : "writing the history failed");
}

/* ---- blocks -------------------------------------------------------------------------------------------- */

static record_block *block_of(const sonde_group *g, int64_t row)
{
    return atomic_load_explicit(&g->slots[row / g->block_rows % g->n_slots], memory_order_acquire);
}

static void *cells_in(const sonde_group *g, const record_block *block, int variable, int64_t row)
{
    size_t size = sonde_cell_size(g->variables[variable].type);
    size_t within = (size_t)(row % g->block_rows * block->layout->cells[variable]) * size;
    return (char *)(uintptr_t)block->data + block->layout->offset[variable] + within;
}

static void *cells_at(const sonde_group *g, int variable, int64_t row)
{
    return cells_in(g, block_of(g, row), variable, row);
}

static int64_t *steps_of(const record_block *block) { return (int64_t *)(uintptr_t)block->data; }

static int64_t *step_at(const sonde_group *g, int64_t row) { return steps_of(block_of(g, row)) + row % g->block_rows; }

/* Twice the slots; every block keeps its number. */
static sonde_status grow_ring(sonde_group *g, int64_t newest_block)
{
    int64_t n = g->n_slots * 2;
    record_slot *slots = sonde_alloc_zeroed(sizeof *slots * (size_t)n);
    if (!slots) return SONDE_ENOMEM;
    for (int64_t b = g->oldest_block; b <= newest_block; b++) atomic_init(&slots[b % n], g->slots[b % g->n_slots]);
    sonde_free(g->slots);
    g->slots = slots;
    g->n_slots = n;
    return SONDE_OK;
}

static sonde_status wait_for_consumer(sonde_group *g, int64_t block)
{
    sonde_history *h = g->history;
    if (taken(g) / g->block_rows > block - g->n_slots) return SONDE_OK;
    double since = sonde_clock();
    pthread_mutex_lock(&h->mutex);
    while (taken(g) / g->block_rows <= block - g->n_slots && atomic_load(&h->failed) == SONDE_OK)
        pthread_cond_wait(&h->moved, &h->mutex);
    pthread_mutex_unlock(&h->mutex);
    h->stalls.count++;
    h->stalls.seconds += sonde_clock() - since;
    return check_consumer(h);
}

static record_block *new_block(const sonde_group *g)
{
    record_block *block = sonde_alloc(sizeof *block + g->layout->bytes);
    if (block) *block = (record_block){.layout = g->layout};
    return block;
}

/* A block of the layout of today in this slot; what was in it is needed no more. */
static sonde_status ready_slot(const sonde_group *g, record_slot *slot)
{
    record_block *old = *slot;
    if (old && old->layout == g->layout) {
        sonde_record_block_free(old->replaced);
        old->replaced = NULL;
        return SONDE_OK;
    }
    sonde_record_block_free(old);
    atomic_store_explicit(slot, NULL, memory_order_release);
    record_block *block = new_block(g);
    atomic_store_explicit(slot, block, memory_order_release);
    return block ? SONDE_OK : SONDE_ENOMEM;
}

/* Makes the slot of this row usable: overwrites the oldest block, or finds more room. */
static sonde_status make_room(sonde_group *g, int64_t row)
{
    int64_t block = row / g->block_rows;
    if (row % g->block_rows != 0) return SONDE_OK;
    if (block - g->oldest_block >= g->n_slots) {
        int64_t keep = g->history->keep;
        if (g->history->wake) {
            SONDE_TRY(wait_for_consumer(g, block));
            g->oldest_block = block - g->n_slots + 1;
        } else if (keep > 0 && (g->n_slots - 1) * g->block_rows >= keep && taken(g) == 0) {
            g->oldest_block++;
        } else {
            SONDE_TRY(grow_ring(g, block - 1));
        }
    }
    return ready_slot(g, &g->slots[block % g->n_slots]);
}

/* ---- growing ------------------------------------------------------------------------------------------- */

static void fill(void *cells, sonde_cell type, int64_t n)
{
    switch (type) {
    case SONDE_CELL_F32:
        for (int64_t i = 0; i < n; i++) ((float *)cells)[i] = NAN;
        return;
    case SONDE_CELL_F64:
        for (int64_t i = 0; i < n; i++) ((double *)cells)[i] = (double)NAN;
        return;
    case SONDE_CELL_U32: /* 4294967295 */
    case SONDE_CELL_I64: /* -1 */
        memset(cells, 0xff, (size_t)n * sonde_cell_size(type));
        return;
    case SONDE_CELL_TEXT: return;
    }
}

/* The cells of one row in an array whose axes are at least as long. */
static void spread(const sonde_group *g, int variable, const record_block *from, const record_block *to, int64_t row)
{
    const sonde_record_variable *v = &g->variables[variable];
    const int64_t *old = from->layout->lengths, *new = to->layout->lengths;
    size_t size = sonde_cell_size(v->type);
    const char *source = cells_in(g, from, variable, row);
    char *target = cells_in(g, to, variable, row);
    int64_t run = v->n_axes > 0 ? old[v->axes[v->n_axes - 1]] : 1, n = from->layout->cells[variable] / run;
    fill(target, v->type, to->layout->cells[variable]);
    for (int64_t i = 0; i < n; i++) { /* run number i of the last axis: where is it among longer ones? */
        int64_t rest = i, at = 0, stride = v->n_axes > 0 ? new[v->axes[v->n_axes - 1]] : 1;
        for (int d = v->n_axes - 2; d >= 0; d--) {
            at += rest % old[v->axes[d]] * stride;
            rest /= old[v->axes[d]];
            stride *= new[v->axes[d]];
        }
        memcpy(target + (size_t)at * size, source + (size_t)(i * run) * size, (size_t)run * size);
    }
}

/* The block that is being filled in today's layout. */
static sonde_status lay_out_again(sonde_group *g)
{
    int64_t row = committed(g), n = row % g->block_rows;
    if (n == 0) return SONDE_OK;
    record_slot *slot = &g->slots[row / g->block_rows % g->n_slots];
    record_block *old = *slot, *new = new_block(g);
    if (!new) return SONDE_ENOMEM;
    memcpy(new->data, old->data, (size_t)n * sizeof(int64_t));
    for (int i = 0; i < g->n_variables; i++) {
        for (int64_t r = row - n; r < row; r++) spread(g, i, old, new, r);
    }
    if (g->history->wake) new->replaced = old;
    atomic_store_explicit(slot, new, memory_order_release);
    if (!g->history->wake) sonde_record_block_free(old);
    return SONDE_OK;
}

sonde_status sonde_group_grow(sonde_group *g, int axis, int64_t length)
{
    if (axis < 0 || axis >= g->n_axes || !g->axes[axis].grows)
        return sonde_fail(SONDE_EARG, "group '%s': axis %d is none that grows", g->name, axis);
    if (g->open) return sonde_fail(SONDE_ESTATE, "group '%s': a row is open", g->name);
    int64_t before = g->axes[axis].length;
    if (length <= before) return SONDE_OK;
    record_layout *layout = g->layout;
    sonde_status status = sonde_group_set_length(g, axis, length);
    if (status == SONDE_OK && g->frozen) status = sonde_group_lay_out(g);
    if (status == SONDE_OK && g->frozen) status = lay_out_again(g);
    if (status == SONDE_OK) return SONDE_OK;
    sonde_group_drop_layout(g, layout);
    sonde_group_set_length(g, axis, before); /* shorter: cannot fail */
    return status;
}

/* ---- writing a row ------------------------------------------------------------------------------------- */

sonde_status sonde_group_begin(sonde_group *g, int64_t step)
{
    SONDE_TRY(check_consumer(g->history));
    if (g->open) return sonde_fail(SONDE_ESTATE, "group '%s': a row is open already", g->name);
    SONDE_TRY(sonde_group_freeze(g));
    int64_t row = committed(g);
    SONDE_TRY(make_room(g, row));
    *step_at(g, row) = step;
    for (int i = 0; i < g->n_variables; i++) fill(cells_at(g, i, row), g->variables[i].type, g->variables[i].cells);
    g->open = true;
    return SONDE_OK;
}

void *sonde_group_cells(sonde_group *g, int variable)
{
    if (!g->open || variable < 0 || variable >= g->n_variables) return NULL;
    return cells_at(g, variable, committed(g));
}

bool sonde_group_is_open(const sonde_group *g) { return g->open; }

sonde_status sonde_group_commit(sonde_group *g)
{
    if (!g->open) return sonde_fail(SONDE_ESTATE, "group '%s': no row is open", g->name);
    g->open = false;
    int64_t rows = committed(g) + 1;
    atomic_store_explicit(&g->committed, rows, memory_order_release);
    sonde_history *h = g->history;
    if (h->wake && rows % g->block_rows == 0) h->wake(h->context);
    return check_consumer(h);
}

void sonde_group_discard(sonde_group *g) { g->open = false; }

/* ---- reading ------------------------------------------------------------------------------------------- */

int64_t sonde_group_rows(const sonde_group *g) { return committed(g); }
int64_t sonde_group_block_rows(const sonde_group *g) { return g->block_rows; }
int64_t sonde_group_first_row(const sonde_group *g) { return g->oldest_block * g->block_rows; }

static bool in_memory(const sonde_group *g, int64_t row)
{
    return row >= sonde_group_first_row(g) && row < committed(g);
}

int64_t sonde_group_row_length(const sonde_group *g, int axis, int64_t row)
{
    if (axis < 0 || axis >= g->n_axes || !in_memory(g, row)) return 0;
    return block_of(g, row)->layout->lengths[axis];
}

const void *sonde_group_read(const sonde_group *g, int variable, int64_t row)
{
    if (variable < 0 || variable >= g->n_variables || !in_memory(g, row)) return NULL;
    return cells_at(g, variable, row);
}

int64_t sonde_group_step(const sonde_group *g, int64_t row) { return in_memory(g, row) ? *step_at(g, row) : -1; }

/* ---- consumer ------------------------------------------------------------------------------------------ */

sonde_record_run sonde_group_run(const sonde_group *g, int64_t first)
{
    sonde_record_run run = { .first = first };
    int64_t end = committed(g);
    if (first >= end) return run;
    int64_t block_end = (first / g->block_rows + 1) * g->block_rows;
    run.fills_block = end >= block_end;
    run.n = (run.fills_block ? block_end : end) - first;
    run.block = block_of(g, first); /* after `committed` was read: it holds all these rows */
    run.step = steps_of(run.block) + first % g->block_rows;
    return run;
}

sonde_record_run sonde_group_pending(const sonde_group *g) { return sonde_group_run(g, taken(g)); }

const void *sonde_group_run_cells(const sonde_group *g, const sonde_record_run *run, int variable)
{
    return cells_in(g, run->block, variable, run->first);
}

int64_t sonde_group_run_length(const sonde_record_run *run, int axis) { return run->block->layout->lengths[axis]; }

void sonde_group_taken(sonde_group *g, int64_t n)
{
    sonde_history *h = g->history;
    pthread_mutex_lock(&h->mutex);
    atomic_store_explicit(&g->taken, taken(g) + n, memory_order_release);
    pthread_cond_broadcast(&h->moved);
    pthread_mutex_unlock(&h->mutex);
}
