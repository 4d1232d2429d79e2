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

static char *block_of(const sonde_group *g, int64_t row) { return g->slots[row / g->block_rows % g->n_slots]; }

static void *cells_at(const sonde_group *g, int variable, int64_t row)
{
    const sonde_record_variable *v = &g->variables[variable];
    size_t within = (size_t)(row % g->block_rows * v->cells) * sonde_cell_size(v->type);
    return block_of(g, row) + g->offset[variable] + within;
}

static int64_t *step_at(const sonde_group *g, int64_t row)
{
    return (int64_t *)(void *)block_of(g, row) + row % g->block_rows;
}

/* Twice the slots; every block keeps its number. */
static sonde_status grow_ring(sonde_group *g, int64_t newest_block)
{
    int64_t n = g->n_slots * 2;
    char **slots = sonde_alloc_zeroed(sizeof *slots * (size_t)n);
    if (!slots) return SONDE_ENOMEM;
    for (int64_t b = g->oldest_block; b <= newest_block; b++) slots[b % n] = g->slots[b % g->n_slots];
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

/* Makes the slot of this block number usable: overwrites the oldest block, or finds more room. */
static sonde_status make_room(sonde_group *g, int64_t block)
{
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
    char **slot = &g->slots[block % g->n_slots];
    if (!*slot && !(*slot = sonde_alloc(g->block_bytes))) return SONDE_ENOMEM;
    return SONDE_OK;
}

/* ---- writing a row ------------------------------------------------------------------------------------- */

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

sonde_status sonde_group_begin(sonde_group *g, int64_t step)
{
    SONDE_TRY(check_consumer(g->history));
    if (g->open) return sonde_fail(SONDE_ESTATE, "group '%s': a row is open already", g->name);
    SONDE_TRY(sonde_group_freeze(g));
    int64_t row = committed(g);
    SONDE_TRY(make_room(g, row / g->block_rows));
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
    run.step = step_at(g, first);
    return run;
}

sonde_record_run sonde_group_pending(const sonde_group *g) { return sonde_group_run(g, taken(g)); }

const void *sonde_group_run_cells(const sonde_group *g, const sonde_record_run *run, int variable)
{
    return cells_at(g, variable, run->first);
}

void sonde_group_taken(sonde_group *g, int64_t n)
{
    sonde_history *h = g->history;
    pthread_mutex_lock(&h->mutex);
    atomic_store_explicit(&g->taken, taken(g) + n, memory_order_release);
    pthread_cond_broadcast(&h->moved);
    pthread_mutex_unlock(&h->mutex);
}
