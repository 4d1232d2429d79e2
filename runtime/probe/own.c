/* Columns of the host's own: copies of what a step measured are kept for it, and its numbers become cells of the row. */
#include "probe/internal.h"

#include <math.h>
#include <string.h>

/* ---- copies ------------------------------------------------------------------------------------------------ */

sonde_status sonde_probe_keep(probe_kept *kept, const sonde_tensor *t)
{
    if (kept->n == kept->capacity) {
        int capacity = kept->capacity ? 2 * kept->capacity : 1;
        sonde_tensor **grown = sonde_realloc(kept->tensors, (size_t)capacity * sizeof *grown);
        if (!grown) return SONDE_ENOMEM;
        kept->tensors = grown;
        kept->capacity = capacity;
    }
    SONDE_TRY(sonde_tensor_clone(&kept->tensors[kept->n], t));
    kept->n++;
    return SONDE_OK;
}

void sonde_probe_kept_clear(probe_kept *kept)
{
    while (kept->n > 0) sonde_tensor_release(kept->tensors[--kept->n]);
}

static void let_go(probe_parameter *parameter)
{
    sonde_tensor_release(parameter->copy);
    parameter->copy = NULL;
}

void sonde_probe_own_end_step(sonde_probe *probe)
{
    if (probe->n_columns == 0) return;
    for (int i = 0; i < probe->n_networks; i++) {
        probe_network *network = probe->networks[i];
        for (int k = 0; k < network->n_modules; k++) {
            sonde_probe_kept_clear(&network->modules[k].outputs);
            sonde_probe_kept_clear(&network->modules[k].gradients);
        }
        for (int k = 0; k < network->n_parameters; k++) let_go(&network->parameters[k]);
        for (int k = 0; k < network->n_effective; k++) let_go(&network->effective[k].weight);
    }
}

/* ---- columns ----------------------------------------------------------------------------------------------- */

#define OWN_GROUPS (SONDE_PROBE_BIT(SONDE_PROBE_WEIGHT_GRAD) | SONDE_PROBE_BIT(SONDE_PROBE_ACTIVATION) | \
                    SONDE_PROBE_BIT(SONDE_PROBE_ACTIVATION_GRAD))

static bool is_taken(const sonde_probe *probe, sonde_probe_group group, const char *name)
{
    for (int i = 0; i < probe->n_columns; i++) {
        if (probe->columns[i].group == group && strcmp(probe->columns[i].name, name) == 0) return true;
    }
    return sonde_probe_names_column(group, name);
}

sonde_status sonde_probe_add_column(sonde_probe *probe, sonde_probe_group group, const char *name, const char *long_name,
                                    int *out)
{
    const char *where = sonde_probe_group_name(group);
    if (!(OWN_GROUPS & SONDE_PROBE_BIT(group))) return sonde_fail(SONDE_EARG, "%s takes no further columns", where);
    if (is_taken(probe, group, name)) return sonde_fail(SONDE_EARG, "%s has a '%s' already", where, name);
    if (probe->declared) return sonde_fail(SONDE_ESTATE, "the columns of %s were fixed when the first step ended", where);
    if (probe->n_columns == SONDE_PROBE_MAX_COLUMNS)
        return sonde_fail(SONDE_ENOMEM, "there are %d columns of one's own already", SONDE_PROBE_MAX_COLUMNS);
    probe_column *column = &probe->columns[probe->n_columns];
    *column = (probe_column){.group = group, .name = sonde_strdup(name), .long_name = sonde_strdup(long_name)};
    if (!column->name || !column->long_name) {
        sonde_free(column->name);
        sonde_free(column->long_name);
        return SONDE_ENOMEM;
    }
    *out = probe->n_columns++;
    probe->columns_of[group] |= UINT64_C(1) << *out;
    return SONDE_OK;
}

void sonde_probe_own_free(sonde_probe *probe)
{
    for (int i = 0; i < probe->n_columns; i++) {
        sonde_free(probe->columns[i].name);
        sonde_free(probe->columns[i].long_name);
        sonde_free(probe->columns[i].values);
    }
}

int sonde_probe_select(sonde_probe *probe, int column, const sonde_module *module)
{
    const sonde_probe_group group = probe->columns[column].group;
    const uint64_t bit = UINT64_C(1) << column;
    int n = 0;
    for (int i = 0; i < probe->n_networks; i++) {
        probe_network *network = probe->networks[i];
        if (!wants_group(network, group)) continue;
        for (int k = 0; group != SONDE_PROBE_WEIGHT_GRAD && k < network->n_modules; k++) {
            probe_module *slot = &network->modules[k];
            if (slot->module != module || !slot->is_leaf) continue;
            slot->own |= bit;
            n++;
        }
        for (int k = 0; group == SONDE_PROBE_WEIGHT_GRAD && k < network->n_parameters + network->n_effective; k++) {
            const int e = k - network->n_parameters;
            probe_parameter *slot = e < 0 ? &network->parameters[k] : &network->effective[e].weight;
            if (slot->owner->module != module) continue;
            slot->own |= bit;
            n++;
        }
    }
    return n;
}

void sonde_probe_column_due(sonde_probe *probe, int column, bool due)
{
    const uint64_t bit = UINT64_C(1) << column;
    probe->columns_due = due ? probe->columns_due | bit : probe->columns_due & ~bit;
}

/* ---- looking ------------------------------------------------------------------------------------------------ */

typedef struct look {
    sonde_status (*visit)(void *context, const sonde_probe_sight *sight);
    void *context;
    uint64_t bit;
} look;

static sonde_status show_module(const look *l, int place, const probe_module *slot, const probe_kept *kept)
{
    if (!(slot->own & l->bit) || kept->n == 0) return SONDE_OK;
    return l->visit(l->context, &(sonde_probe_sight){
        .place = place, .name = slot->name, .layer = slot->name, .role = "output", .module = slot->module, .n = kept->n,
        .tensors = kept->tensors});
}

static sonde_status show_parameter(const look *l, int place, const probe_parameter *slot)
{
    if (!(slot->own & l->bit) || !slot->has_gradient || !slot->copy) return SONDE_OK;
    return l->visit(l->context, &(sonde_probe_sight){
        .place = place, .name = slot->name, .layer = slot->owner->name, .role = slot->role,
        .module = slot->owner->module, .parameter = slot->tensor, .n = 1, .tensors = &slot->copy});
}

static sonde_status look_at(const probe_network *network, sonde_probe_group group, const look *l)
{
    int place = network->first_place[group];
    if (group == SONDE_PROBE_WEIGHT_GRAD) {
        for (int i = 0; i < network->n_parameters; i++)
            SONDE_TRY(show_parameter(l, place++, network->sorted_parameters[i]));
        for (int i = 0; i < network->n_effective; i++)
            SONDE_TRY(show_parameter(l, place++, &network->effective[i].weight));
        return SONDE_OK;
    }
    for (int i = 0; i < network->n_modules; i++) {
        const probe_module *slot = network->sorted_modules[i];
        if (!sonde_probe_has_place(slot, group)) continue;
        SONDE_TRY(show_module(l, place++, slot, group == SONDE_PROBE_ACTIVATION ? &slot->outputs : &slot->gradients));
    }
    return SONDE_OK;
}

sonde_status sonde_probe_look(sonde_probe *probe, int column,
                              sonde_status (*visit)(void *context, const sonde_probe_sight *sight), void *context)
{
    const sonde_probe_group group = probe->columns[column].group;
    const look l = {.visit = visit, .context = context, .bit = UINT64_C(1) << column};
    if (!probe->declared) SONDE_TRY(sonde_probe_declare(probe));
    for (int i = 0; i < probe->n_networks; i++) {
        const probe_network *network = probe->networks[i];
        if (network->measuring && wants_group(network, group)) SONDE_TRY(look_at(network, group, &l));
    }
    return SONDE_OK;
}

void sonde_probe_put(sonde_probe *probe, int column, int place, double value)
{
    if (place >= 0 && place < probe->columns[column].n_places) probe->columns[column].values[place] = value;
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

static void clear(probe_column *column)
{
    for (int i = 0; i < column->n_places; i++) column->values[i] = (double)NAN;
}

sonde_status sonde_probe_own_declare(sonde_probe *probe, sonde_probe_group group, int axis, int n_places)
{
    for (int i = 0; i < probe->n_columns; i++) {
        probe_column *column = &probe->columns[i];
        if (column->group != group) continue;
        SONDE_TRY(sonde_group_variable(probe->tables[group].group, &column->variable, column->name, SONDE_CELL_F64, 1,
                                       &axis, column->long_name, NULL));
        column->values = sonde_alloc((size_t)n_places * sizeof *column->values);
        if (!column->values) return SONDE_ENOMEM;
        column->n_places = n_places;
        clear(column);
    }
    return SONDE_OK;
}

void sonde_probe_own_write(sonde_probe *probe, sonde_probe_group group)
{
    for (int i = 0; i < probe->n_columns; i++) {
        probe_column *column = &probe->columns[i];
        if (column->group != group || column->n_places == 0) continue;
        memcpy(sonde_group_cells(probe->tables[group].group, column->variable), column->values,
               (size_t)column->n_places * sizeof *column->values);
        clear(column);
    }
}
