/* The end of the first step: forward order, depth, and the groups' structure. */
#include "probe/internal.h"

#include <stdlib.h>
#include <string.h>

static const char *const group_names[SONDE_PROBE_GROUP_COUNT] = {
    "weight_grad", "activation_grad", "activation", "weight", "weight_grad_hist", "activation_grad_hist",
    "hidden_grad", "hidden_jacobian", "gate", "gain", "skip", "weight_drift",
};

const char *sonde_probe_group_name(sonde_probe_group group)
{
    return group_names[group];
}

bool sonde_probe_group_parse(const char *name, sonde_probe_group *out)
{
    for (int g = 0; g < SONDE_PROBE_GROUP_COUNT; g++) {
        if (strcmp(name, group_names[g]) != 0) continue;
        *out = (sonde_probe_group)g;
        return true;
    }
    return false;
}

/* ---- columns ------------------------------------------------------------------------------------------- */

typedef enum column_type {
    NORM,   /* float64 */
    MOMENT, /* the model's dtype */
    COUNT,  /* uint32 */
    COUNTS, /* uint32 [probe, binade] */
    LENGTH, /* uint32, one a row */
    NORMS,  /* float64 [probe, time_step] */
} column_type;

typedef struct column {
    column_type type;
    const char *name, *long_name;
} column;

#define MOMENT_COLUMNS                                                                                                 \
    [MOMENT_L2] = {NORM, "l2_norm", "L2 norm"}, [MOMENT_MEAN] = {MOMENT, "mean", "mean"},                              \
    [MOMENT_STD] = {MOMENT, "std", "standard deviation of the population"},                                            \
    [MOMENT_ABS_MEAN] = {MOMENT, "abs_mean", "mean absolute value"},                                                   \
    [MOMENT_ABS_MAX] = {MOMENT, "abs_max", "largest absolute value"},                                                  \
    [MOMENT_ZERO_FRAC] = {MOMENT, "zero_frac", "share of zeros"},                                                      \
    [MOMENT_POSITIVE_FRAC] = {MOMENT, "positive_frac", "share of positive elements"},                                  \
    [MOMENT_N_SUBNORMAL] = {COUNT, "n_subnormal", "subnormal elements"},                                               \
    [MOMENT_N_NONFINITE] = {COUNT, "n_nonfinite", "infinite and NaN elements"}

static const column weight_grad_columns[] = {MOMENT_COLUMNS};
static const column activation_grad_columns[] = {
    MOMENT_COLUMNS, [MOMENT_N_ELEMENTS] = {COUNT, "n_elements", "elements measured"}};
static const column activation_columns[] = {
    [ACTIVATION_MEAN] = {MOMENT, "mean", "mean"},
    [ACTIVATION_STD] = {MOMENT, "std", "standard deviation of the population"},
    [ACTIVATION_L2] = {NORM, "l2_norm", "L2 norm"},
    [ACTIVATION_ABS_MAX] = {MOMENT, "abs_max", "largest absolute value"},
    [ACTIVATION_ZERO_FRAC] = {MOMENT, "zero_frac", "share of zeros"},
    [ACTIVATION_SLOPE_RMS] = {MOMENT, "slope_rms", "root mean square slope over the largest slope"},
    [ACTIVATION_SATURATED_FRAC] = {MOMENT, "saturated_frac", "share of slopes under 5 % of the largest"},
    [ACTIVATION_DEAD_FRAC] = {MOMENT, "dead_frac", "share of units with slope 0 for the last 2000 samples measured"},
    [ACTIVATION_IDLE_FRAC] = {MOMENT, "idle_frac", "share of units with slope 0 for every sample of the step"},
    [ACTIVATION_SAMPLE_COSINE] = {MOMENT, "sample_cosine", "mean cosine between different samples that are not 0"},
    [ACTIVATION_N_NONFINITE] = {COUNT, "n_nonfinite", "infinite and NaN elements"},
};
static const column weight_columns[] = {
    [WEIGHT_L2] = {NORM, "l2_norm", "L2 norm before the step"},
    [WEIGHT_UPDATE_L2] = {NORM, "update_l2_norm", "L2 norm of the change as stored"},
    [WEIGHT_UPDATE_RATIO] = {MOMENT, "update_ratio", "norm of the change over norm of the weight"},
    [WEIGHT_UNCHANGED_FRAC] = {MOMENT, "unchanged_frac", "share of elements with a gradient that did not move"},
};
#define UNDERFLOW(precision, name)                                                                                     \
    [HISTOGRAM_UNDERFLOW + UNDERFLOW_COLUMNS * precision] =                                                            \
        {MOMENT, name "_underflow_frac", "share of elements other than 0 that " name " rounds to 0"},                  \
    {MOMENT, name "_loss_scale", "largest power of two that keeps them within " name},                                   \
    {MOMENT, name "_scaled_underflow_frac", "the share left with " name "_loss_scale"}

static const column histogram_columns[] = {
    [HISTOGRAM_COUNTS] = {COUNTS, "counts", "elements by floor(log2 |g|)"},
    [HISTOGRAM_N_ZERO] = {COUNT, "n_zero", "zeros"},
    [HISTOGRAM_N_SUBNORMAL] = {COUNT, "n_subnormal", "subnormal elements, in counts as well"},
    [HISTOGRAM_N_NONFINITE] = {COUNT, "n_nonfinite", "infinite and NaN elements"},
    UNDERFLOW(PRECISION_FLOAT16, "float16"), UNDERFLOW(PRECISION_BFLOAT16, "bfloat16"),
    UNDERFLOW(PRECISION_FLOAT8_E4M3, "float8_e4m3"), UNDERFLOW(PRECISION_FLOAT8_E5M2, "float8_e5m2"),
};

static const column hidden_columns[] = {
    [HIDDEN_L2] = {NORMS, "l2_norm", "L2 norm of dL/dh_t"},
    [HIDDEN_LENGTH] = {LENGTH, "length", "elements of the longest sequence"},
    [HIDDEN_CELL_L2] = {NORMS, "cell_l2_norm", "L2 norm of dL/dc_t"},
};

static const column memory_columns[] = {
    [HIDDEN_L2] = {NORMS, "l2_norm", "L2 norm of v times dh_T/dh_t, v a random unit vector"},
    [HIDDEN_LENGTH] = {LENGTH, "length", "elements of the longest sequence; a cell's lag is length - time_step"},
    [HIDDEN_CELL_L2] = {NORMS, "cell_l2_norm", "L2 norm of v times dh_T/dc_t"},
};

static const column gate_columns[] = {
    [GATE_OPENNESS] = {MOMENT, "openness", "mean of the gate"},
    [GATE_OPEN_FRAC] = {MOMENT, "open_frac", "share above 0.9"},
    [GATE_CLOSED_FRAC] = {MOMENT, "closed_frac", "share below 0.1"},
    [GATE_SATURATED_FRAC] = {MOMENT, "saturated_frac", "share of slopes under 5 % of the largest"},
};
static const column gain_columns[] = {[GAIN_GAIN] = {NORM, "gain", "norm of the input's gradient over the output's"}};

static const column skip_columns[] = {
    [SKIP_BRANCH_SHARE] = {MOMENT, "branch_share", "share of the squared gradient that comes through the branch"},
    [SKIP_COSINE] = {MOMENT, "cosine", "between the gradients through skip and branch"},
    [SKIP_L2] = {NORM, "skip_l2_norm", "L2 norm of the gradient through the skip"},
    [SKIP_BRANCH_L2] = {NORM, "branch_l2_norm", "L2 norm of the gradient through the branch"},
};

static const column drift_columns[] = {
    [DRIFT_COSINE] = {MOMENT, "grad_cosine", "cosine between the gradient and that of the measured step before"},
    [DRIFT_DISTANCE] = {NORM, "init_distance", "L2 norm of the weight before the step less the initial one"},
    [DRIFT_RATIO] = {MOMENT, "init_distance_ratio", "init_distance over the norm of the initial weight"},
};

#define COLUMNS(list) {list, sizeof list / sizeof *list}
static const struct {
    const column *list;
    size_t n;
} columns_of[SONDE_PROBE_GROUP_COUNT] = {
    [SONDE_PROBE_WEIGHT_GRAD] = COLUMNS(weight_grad_columns),
    [SONDE_PROBE_ACTIVATION_GRAD] = COLUMNS(activation_grad_columns),
    [SONDE_PROBE_ACTIVATION] = COLUMNS(activation_columns),
    [SONDE_PROBE_WEIGHT] = COLUMNS(weight_columns),
    [SONDE_PROBE_WEIGHT_GRAD_HIST] = COLUMNS(histogram_columns),
    [SONDE_PROBE_ACTIVATION_GRAD_HIST] = COLUMNS(histogram_columns),
    [SONDE_PROBE_HIDDEN_GRAD] = COLUMNS(hidden_columns),
    [SONDE_PROBE_HIDDEN_JACOBIAN] = COLUMNS(memory_columns),
    [SONDE_PROBE_GATE] = COLUMNS(gate_columns),
    [SONDE_PROBE_GAIN] = COLUMNS(gain_columns),
    [SONDE_PROBE_SKIP] = COLUMNS(skip_columns),
    [SONDE_PROBE_WEIGHT_DRIFT] = COLUMNS(drift_columns),
};

bool sonde_probe_names_column(sonde_probe_group group, const char *name)
{
    static const char *const labels[] = {"step", "time", "probe", "layer", "module", "role", "depth", "n_elements"};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        if (strcmp(labels[i], name) == 0) return true;
    }
    for (size_t i = 0; i < columns_of[group].n; i++) {
        if (strcmp(columns_of[group].list[i].name, name) == 0) return true;
    }
    return false;
}

static sonde_status declare_columns(sonde_probe *probe, sonde_probe_group g, int probe_axis)
{
    probe_table *table = &probe->tables[g];
    sonde_cell moment = probe->dtype == SONDE_FLOAT64 ? SONDE_CELL_F64 : SONDE_CELL_F32;
    SONDE_TRY(sonde_group_time_column(table->group, &table->time, "time", SONDE_CELL_F64, "time since the start", "s"));
    int axes[2] = {probe_axis, -1};
    if (SONDE_PROBE_BIT(g) & HISTOGRAM_GROUPS) {
        int64_t binades[SONDE_BINADE_COUNT];
        for (int b = 0; b < SONDE_BINADE_COUNT; b++) binades[b] = SONDE_BINADE_LOW + b;
        SONDE_TRY(sonde_group_axis(table->group, &axes[1], "binade", SONDE_BINADE_COUNT, SONDE_CELL_I64, binades));
    }
    if (SONDE_PROBE_BIT(g) & TIME_GROUPS) {
        int64_t longest = sonde_probe_hidden_longest(probe, g);
        SONDE_TRY(sonde_group_growing_axis(table->group, &axes[1], "time_step", longest > 0 ? longest : 1));
        table->time_step = axes[1];
    }
    if (g == SONDE_PROBE_HIDDEN_JACOBIAN)
        SONDE_TRY(sonde_group_countdown(table->group, axes[1], "lag", "steps before the end of the longest sequence"));
    table->n_columns = (int)columns_of[g].n;
    if ((SONDE_PROBE_BIT(g) & TIME_GROUPS) && !sonde_probe_hidden_has_cells(probe)) table->n_columns--; /* the last one */
    for (int c = 0; c < table->n_columns; c++) {
        const column *this = &columns_of[g].list[c];
        bool is_count = this->type == COUNT || this->type == COUNTS || this->type == LENGTH;
        bool is_norm = this->type == NORM || this->type == NORMS;
        int n_axes = this->type == COUNTS || this->type == NORMS ? 2 : this->type == LENGTH ? 0 : 1;
        SONDE_TRY(sonde_group_variable(table->group, &table->columns[c], this->name,
                                       is_count ? SONDE_CELL_U32 : is_norm ? SONDE_CELL_F64 : moment, n_axes, axes,
                                       this->long_name, "1"));
    }
    return SONDE_OK;
}

/* ---- order and depth ----------------------------------------------------------------------------------- */

static int compare_modules(const void *a, const void *b)
{
    const probe_module *x = *(probe_module *const *)a, *y = *(probe_module *const *)b;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return x < y ? -1 : x > y; /* slots lie in tree order */
}

static int compare_parameters(const void *a, const void *b)
{
    const probe_parameter *x = *(probe_parameter *const *)a, *y = *(probe_parameter *const *)b;
    int by_owner = compare_modules(&x->owner, &y->owner);
    return by_owner ? by_owner : x < y ? -1 : x > y;
}

static void sort(probe_network *network)
{
    for (int i = 0; i < network->n_modules; i++) {
        if (!network->modules[i].called) network->modules[i].order = network->n_called;
    }
    if (network->n_modules > 0 && is_input(&network->modules[0])) network->modules[0].order = -1;
    qsort(network->sorted_modules, (size_t)network->n_modules, sizeof *network->sorted_modules, compare_modules);
    int depth = 0;
    for (int i = 0; i < network->n_modules; i++) {
        depth += network->sorted_modules[i]->is_weight_layer;
        network->sorted_modules[i]->depth = depth;
    }
    if (network->n_parameters == 0) return;
    qsort(network->sorted_parameters, (size_t)network->n_parameters, sizeof *network->sorted_parameters,
          compare_parameters);
}

/* ---- probes along the axis ----------------------------------------------------------------------------- */

typedef struct places { /* one group's probes as coordinates; NULL lists: only counting */
    int n;
    const char **probe, **layer, **module, **role, **kind; /* kind: of modules */
    int64_t *depth, *n_elements;
} places;

static const char *class_name(const probe_module *slot)
{
    return slot->module ? slot->module->class->name : slot->is_tap ? "Tensor" : "Input";
}

static void add_place(places *to, const char *name, const char *role, const probe_module *slot, int64_t n_elements)
{
    int i = to->n++;
    if (!to->probe) return;
    to->probe[i] = name;
    to->layer[i] = slot->name;
    to->module[i] = class_name(slot);
    to->role[i] = role;
    to->kind[i] = slot->module ? sonde_probe_gain_kind(slot) : NULL;
    to->depth[i] = slot->depth;
    to->n_elements[i] = n_elements;
}

/* A leaf that ran but put out no numbers with a fraction is absent; where gradients are told of, so is one that needed
 * none, and an input that did not. */
bool sonde_probe_has_place(const probe_module *slot, sonde_probe_group group)
{
    if (is_input(slot)) {
        return slot->needed_gradient && group != SONDE_PROBE_ACTIVATION && group != SONDE_PROBE_GAIN;
    }
    if (!slot->is_leaf || !slot->called) return slot->is_leaf;
    if (group == SONDE_PROBE_GAIN) return slot->has_gain_place;
    return group == SONDE_PROBE_ACTIVATION ? slot->is_float : slot->needed_gradient;
}

/* Is it on the axis of any group that is wanted? */
static bool has_any_place(const probe_module *slot)
{
    for (int g = 0; g < SONDE_PROBE_GROUP_COUNT; g++) {
        if (!(SONDE_PROBE_BIT(g) & MODULE_GROUPS) || !wants_group(slot->network, (sonde_probe_group)g)) continue;
        if (sonde_probe_has_place(slot, (sonde_probe_group)g)) return true;
    }
    return false;
}

static void collect_hidden(probe_network *network, places *to)
{
    for (int i = 0; i < network->n_modules; i++) {
        for (int k = 0; k < network->n_hidden; k++) {
            probe_hidden *slot = &network->hidden[k];
            if (slot->owner != network->sorted_modules[i]) continue;
            slot->place = to->n;
            add_place(to, slot->name, slot->role, slot->owner, 0);
        }
    }
}

/* sites: n of them, `size` bytes apart, each at the beginning of a slot. */
static void collect_sites(probe_network *network, places *to, void *sites, int n, size_t size)
{
    for (int i = 0; i < network->n_modules; i++) {
        for (int k = 0; k < n; k++) {
            probe_site *site = (probe_site *)(void *)((char *)sites + (size_t)k * size);
            if (site->owner != network->sorted_modules[i]) continue;
            site->place = to->n;
            add_place(to, site->name ? site->name : site->owner->name, site->role, site->owner, 0);
        }
    }
}

static void collect(sonde_probe *probe, sonde_probe_group g, places *to)
{
    to->n = 0;
    for (int i = 0; i < probe->n_networks; i++) {
        probe_network *network = probe->networks[i];
        if (!wants_group(network, g)) continue;
        network->first_place[g] = to->n;
        if (SONDE_PROBE_BIT(g) & TIME_GROUPS) {
            collect_hidden(network, to);
        } else if (g == SONDE_PROBE_GATE) {
            collect_sites(network, to, network->gates, network->n_gates, sizeof *network->gates);
        } else if (g == SONDE_PROBE_SKIP) {
            collect_sites(network, to, network->skips, network->n_skips, sizeof *network->skips);
        } else if (SONDE_PROBE_BIT(g) & MODULE_GROUPS) {
            for (int k = 0; k < network->n_modules; k++) {
                const probe_module *slot = network->sorted_modules[k];
                if (sonde_probe_has_place(slot, g))
                    add_place(to, slot->name, slot->is_tap ? "watched" : "output", slot, 0);
            }
        } else {
            for (int k = 0; k < network->n_parameters; k++) {
                const probe_parameter *slot = network->sorted_parameters[k];
                add_place(to, slot->name, slot->role, slot->owner, sonde_tensor_numel(slot->tensor));
            }
            for (int k = 0; k < network->n_effective; k++) {
                const probe_effective *slot = &network->effective[k];
                add_place(to, slot->weight.name, slot->weight.role, slot->weight.owner, slot->n_elements);
            }
        }
    }
}

static void free_places(places *p)
{
    sonde_free(p->probe);
    sonde_free(p->layer);
    sonde_free(p->module);
    sonde_free(p->role);
    sonde_free(p->kind);
    sonde_free(p->depth);
    sonde_free(p->n_elements);
}

static sonde_status alloc_places(places *p)
{
    size_t n = (size_t)p->n;
    p->probe = sonde_alloc(n * sizeof *p->probe);
    p->layer = sonde_alloc(n * sizeof *p->layer);
    p->module = sonde_alloc(n * sizeof *p->module);
    p->role = sonde_alloc(n * sizeof *p->role);
    p->kind = sonde_alloc(n * sizeof *p->kind);
    p->depth = sonde_alloc(n * sizeof *p->depth);
    p->n_elements = sonde_alloc(n * sizeof *p->n_elements);
    return p->probe && p->layer && p->module && p->role && p->kind && p->depth && p->n_elements ? SONDE_OK : SONDE_ENOMEM;
}

static sonde_status declare_group(sonde_probe *probe, sonde_probe_group g, const places *p)
{
    bool is_histogram = (SONDE_PROBE_BIT(g) & HISTOGRAM_GROUPS) != 0;
    sonde_group **group = &probe->tables[g].group;
    SONDE_TRY(sonde_history_group(probe->history, group, group_names[g],
                                  is_histogram ? SONDE_GROUP_COMPRESSED : SONDE_GROUP_PLAIN));
    int axis;
    SONDE_TRY(sonde_group_axis(*group, &axis, "probe", p->n, SONDE_CELL_TEXT, p->probe));
    SONDE_TRY(sonde_group_coordinate(*group, axis, "layer", SONDE_CELL_TEXT, p->layer, "path of the module", NULL));
    SONDE_TRY(sonde_group_coordinate(*group, axis, "module", SONDE_CELL_TEXT, p->module, "class of the module", NULL));
    SONDE_TRY(sonde_group_coordinate(*group, axis, "role", SONDE_CELL_TEXT, p->role, NULL, NULL));
    SONDE_TRY(sonde_group_coordinate(*group, axis, "depth", SONDE_CELL_I64, p->depth, "weight layers up to here", "1"));
    if (g == SONDE_PROBE_GAIN) {
        SONDE_TRY(sonde_group_coordinate(*group, axis, "kind", SONDE_CELL_TEXT, p->kind, "part of the layer", NULL));
    }
    if (SONDE_PROBE_BIT(g) & PARAMETER_GROUPS) {
        SONDE_TRY(sonde_group_coordinate(*group, axis, "n_elements", SONDE_CELL_I64, p->n_elements, "elements", "1"));
    }
    SONDE_TRY(declare_columns(probe, g, axis));
    return sonde_probe_own_declare(probe, g, axis, p->n);
}

/* Float64 if any parameter is, else float32. */
static sonde_dtype dtype_of(const sonde_probe *probe)
{
    for (int i = 0; i < probe->n_networks; i++) {
        for (int k = 0; k < probe->networks[i]->n_parameters; k++) {
            if (probe->networks[i]->parameters[k].tensor->dtype == SONDE_FLOAT64) return SONDE_FLOAT64;
        }
    }
    return SONDE_FLOAT32;
}

/* What was only watched to learn the order, or has no place, is let go. */
static void settle(probe_network *network)
{
    if (!(network->what & MODULE_GROUPS)) {
        sonde_probe_unwatch_modules(network);
        return;
    }
    for (int i = 0; i < network->n_modules; i++) {
        probe_module *slot = &network->modules[i];
        if (has_any_place(slot)) continue;
        sonde_handle_remove(slot->watch);
        slot->watch = NULL;
    }
}

sonde_status sonde_probe_declare(sonde_probe *probe)
{
    probe->declared = true;
    probe->dtype = dtype_of(probe);
    for (int i = 0; i < probe->n_networks; i++) {
        sort(probe->networks[i]);
        settle(probe->networks[i]);
    }
    for (int g = 0; g < SONDE_PROBE_GROUP_COUNT; g++) {
        places p = {0};
        collect(probe, (sonde_probe_group)g, &p);
        if (p.n == 0) continue;
        sonde_status status = alloc_places(&p);
        if (status == SONDE_OK) {
            collect(probe, (sonde_probe_group)g, &p);
            status = declare_group(probe, (sonde_probe_group)g, &p);
        }
        free_places(&p);
        if (status != SONDE_OK) {
            probe->tables[g].group = NULL;
            return status;
        }
    }
    return SONDE_OK;
}
