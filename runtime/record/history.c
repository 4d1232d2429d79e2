/* Histories: the list of groups, freezing, failing, and looking at what was declared. */
#include "record/history.h"

#include <string.h>

size_t sonde_cell_size(sonde_cell type)
{
    switch (type) {
    case SONDE_CELL_F32:
    case SONDE_CELL_U32: return 4;
    case SONDE_CELL_F64:
    case SONDE_CELL_I64: return 8;
    case SONDE_CELL_TEXT: return sizeof(char *);
    }
    return 0;
}

sonde_status sonde_history_new(sonde_history **out)
{
    sonde_history *h = sonde_alloc_zeroed(sizeof *h);
    if (!h) return SONDE_ENOMEM;
    atomic_init(&h->failed, SONDE_OK);
    if (pthread_mutex_init(&h->mutex, NULL)) {
        sonde_free(h);
        return sonde_fail(SONDE_ENOMEM, "history: no more mutexes");
    }
    if (pthread_cond_init(&h->moved, NULL)) {
        pthread_mutex_destroy(&h->mutex);
        sonde_free(h);
        return sonde_fail(SONDE_ENOMEM, "history: no more condition variables");
    }
    *out = h;
    return SONDE_OK;
}

void sonde_history_free(sonde_history *h)
{
    if (!h) return;
    for (int i = 0; i < h->n_groups; i++) sonde_group_free(h->groups[i]);
    sonde_free(h->groups);
    sonde_free(h->failure);
    pthread_cond_destroy(&h->moved);
    pthread_mutex_destroy(&h->mutex);
    sonde_free(h);
}

sonde_status sonde_history_freeze(sonde_history *h)
{
    for (int i = 0; i < h->n_groups; i++) SONDE_TRY(sonde_group_freeze(h->groups[i]));
    h->frozen = true;
    return SONDE_OK;
}

bool sonde_history_frozen(const sonde_history *h) { return h->frozen; }

void sonde_history_keep(sonde_history *h, int64_t rows) { h->keep = rows > 0 ? rows : 0; }

sonde_record_stalls sonde_history_stalls(const sonde_history *h) { return h->stalls; }

sonde_status sonde_history_consume(sonde_history *h, void (*wake)(void *), void *context)
{
    if (h->wake) return sonde_fail(SONDE_ESTATE, "the history already has a consumer");
    for (int i = 0; i < h->n_groups; i++)
        if (sonde_group_first_row(h->groups[i]) > 0)
            return sonde_fail(SONDE_ESTATE, "group '%s' has forgotten rows already", h->groups[i]->name);
    SONDE_TRY(sonde_history_freeze(h));
    h->context = context;
    h->wake = wake;
    return SONDE_OK;
}

void sonde_history_release(sonde_history *h)
{
    h->wake = NULL;
    h->context = NULL;
}

void sonde_history_fail(sonde_history *h, sonde_status status, const char *message)
{
    pthread_mutex_lock(&h->mutex);
    if (atomic_load(&h->failed) == SONDE_OK) {
        h->failure = sonde_strdup(message);
        atomic_store(&h->failed, (int)status);
    }
    pthread_cond_broadcast(&h->moved);
    pthread_mutex_unlock(&h->mutex);
}

/* ---- looking ------------------------------------------------------------------------------------------- */

int sonde_history_n_groups(const sonde_history *h) { return h->n_groups; }

sonde_group *sonde_history_at(const sonde_history *h, int i)
{
    return i >= 0 && i < h->n_groups ? h->groups[i] : NULL;
}

sonde_group *sonde_history_find(const sonde_history *h, const char *name)
{
    for (int i = 0; i < h->n_groups; i++)
        if (!strcmp(h->groups[i]->name, name)) return h->groups[i];
    return NULL;
}

const char *sonde_group_name(const sonde_group *g) { return g->name; }
sonde_group_kind sonde_group_kind_of(const sonde_group *g) { return g->kind; }
int sonde_group_n_axes(const sonde_group *g) { return g->n_axes; }
int sonde_group_n_variables(const sonde_group *g) { return g->n_variables; }

const sonde_record_axis *sonde_group_axis_at(const sonde_group *g, int i)
{
    return i >= 0 && i < g->n_axes ? &g->axes[i] : NULL;
}

const sonde_record_variable *sonde_group_variable_at(const sonde_group *g, int i)
{
    return i >= 0 && i < g->n_variables ? &g->variables[i] : NULL;
}

int sonde_group_find_variable(const sonde_group *g, const char *name)
{
    for (int i = 0; i < g->n_variables; i++)
        if (!strcmp(g->variables[i].name, name)) return i;
    return -1;
}
