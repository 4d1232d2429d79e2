/* The end of a step: what the slots hold becomes cells. A cell not written keeps "not measured". */
#include "probe/internal.h"

#include <math.h>
#include <string.h>

typedef struct row {               /* one open row of a group */
    const probe_table *table;
    bool is_double;                /* the moments' cells */
    void *cells[PROBE_MAX_COLUMNS];
} row;

static inline void put_moment(const row *r, int column, int place, double value)
{
    if (r->is_double) ((double *)r->cells[column])[place] = value;
    else ((float *)r->cells[column])[place] = (float)value;
}

static inline void put_norm(const row *r, int column, int place, double value)
{
    ((double *)r->cells[column])[place] = value;
}

static inline void put_count(const row *r, int column, int place, uint64_t count)
{
    ((uint32_t *)r->cells[column])[place] = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX - 1;
}

static sonde_status open_row(row *r, const sonde_probe *probe, sonde_probe_group g, int64_t step, double time)
{
    r->table = &probe->tables[g];
    r->is_double = probe->dtype == SONDE_FLOAT64;
    SONDE_TRY(sonde_group_begin(r->table->group, step));
    *(double *)sonde_group_cells(r->table->group, r->table->time) = time;
    for (int c = 0; c < r->table->n_columns; c++) {
        r->cells[c] = sonde_group_cells(r->table->group, r->table->columns[c]);
    }
    return SONDE_OK;
}

/* ---- one slot ------------------------------------------------------------------------------------------ */

static void put_moments(const row *r, int place, const sonde_moments *m)
{
    double n = (double)m->n;
    put_norm(r, MOMENT_L2, place, sonde_moments_l2(m));
    put_moment(r, MOMENT_MEAN, place, sonde_moments_mean(m));
    put_moment(r, MOMENT_STD, place, sonde_moments_std(m));
    put_moment(r, MOMENT_ABS_MEAN, place, sonde_moments_abs_mean(m));
    put_moment(r, MOMENT_ABS_MAX, place, m->abs_max);
    put_moment(r, MOMENT_ZERO_FRAC, place, (double)m->n_zero / n);
    put_moment(r, MOMENT_POSITIVE_FRAC, place, (double)m->n_positive / n);
    put_count(r, MOMENT_N_SUBNORMAL, place, m->n_subnormal);
    put_count(r, MOMENT_N_NONFINITE, place, m->n_nonfinite);
}

/* slope_rms = √(mean φ'²) / max|φ'| */
static void put_slopes(const row *r, int place, const probe_module *slot)
{
    const sonde_slopes *s = &slot->activation.slopes;
    if (s->n == 0) return;
    sonde_activation_facts facts = sonde_activation_facts_of(slot->module->class->activation(slot->module));
    put_moment(r, ACTIVATION_SLOPE_RMS, place, sqrt(s->sum_sq / (double)s->n) / facts.max_slope);
    if (facts.bounded) put_moment(r, ACTIVATION_SATURATED_FRAC, place, (double)s->n_saturated / (double)s->n);
}

static sonde_status put_activation(const row *r, int place, probe_module *slot)
{
    const probe_activation *a = &slot->activation;
    const sonde_moments *m = &a->moments;
    put_moment(r, ACTIVATION_MEAN, place, sonde_moments_mean(m));
    put_moment(r, ACTIVATION_STD, place, sonde_moments_std(m));
    put_norm(r, ACTIVATION_L2, place, sonde_moments_l2(m));
    put_moment(r, ACTIVATION_ABS_MAX, place, m->abs_max);
    put_moment(r, ACTIVATION_ZERO_FRAC, place, (double)m->n_zero / (double)m->n);
    put_count(r, ACTIVATION_N_NONFINITE, place, m->n_nonfinite);
    if (a->n_pairs > 0) put_moment(r, ACTIVATION_SAMPLE_COSINE, place, a->cosine_sum / a->n_pairs);
    put_slopes(r, place, slot);
    double dead_frac, idle_frac;
    SONDE_TRY(sonde_probe_units_advance(slot, &dead_frac, &idle_frac));
    put_moment(r, ACTIVATION_DEAD_FRAC, place, dead_frac);
    put_moment(r, ACTIVATION_IDLE_FRAC, place, idle_frac);
    return SONDE_OK;
}

static void put_update(const row *r, int place, const sonde_update_stats *stats)
{
    double weight = sqrt(stats->weight_sq), update = sqrt(stats->update_sq);
    put_norm(r, WEIGHT_L2, place, weight);
    put_norm(r, WEIGHT_UPDATE_L2, place, update);
    put_moment(r, WEIGHT_UPDATE_RATIO, place, weight != 0 ? update / weight : (double)NAN);
    put_moment(r, WEIGHT_UNCHANGED_FRAC, place, (double)stats->n_unchanged / (double)stats->n);
}

static void put_underflow(const row *r, int place, const sonde_histogram *h)
{
    probe_underflow underflow[PRECISION_COUNT];
    sonde_probe_underflows(underflow, h, r->is_double ? SONDE_FLOAT64 : SONDE_FLOAT32);
    for (int k = 0; k < PRECISION_COUNT; k++) {
        const int column = HISTOGRAM_UNDERFLOW + UNDERFLOW_COLUMNS * k;
        put_moment(r, column, place, underflow[k].share);
        put_moment(r, column + 1, place, underflow[k].scale);
        put_moment(r, column + 2, place, underflow[k].share_scaled);
    }
}

static void put_drift(const row *r, int place, const probe_parameter *slot)
{
    const double norm = slot->initial_norm;
    if (!slot->network->compares) return;
    if (slot->has_gradient && slot->cosine_step == slot->network->probe->step) {
        put_moment(r, DRIFT_COSINE, place, slot->cosine);
    }
    if (!slot->has_distance) return;
    put_norm(r, DRIFT_DISTANCE, place, slot->init_distance);
    put_moment(r, DRIFT_RATIO, place, norm != 0 ? slot->init_distance / norm : (double)NAN);
}

static void put_histogram(const row *r, int place, const sonde_histogram *h)
{
    uint32_t *counts = r->cells[HISTOGRAM_COUNTS];
    memcpy(counts + (size_t)place * SONDE_BINADE_COUNT, h->counts, sizeof h->counts);
    put_count(r, HISTOGRAM_N_ZERO, place, h->n_zero);
    put_count(r, HISTOGRAM_N_SUBNORMAL, place, h->n_subnormal);
    put_count(r, HISTOGRAM_N_NONFINITE, place, h->n_nonfinite);
    put_underflow(r, place, h);
}

/* ---- one group ----------------------------------------------------------------------------------------- */

static sonde_status put_module(const row *r, sonde_probe_group g, int place, probe_module *slot)
{
    if (g == SONDE_PROBE_ACTIVATION) return slot->has_activation ? put_activation(r, place, slot) : SONDE_OK;
    if (g == SONDE_PROBE_ACTIVATION_GRAD && slot->has_gradient) {
        put_moments(r, place, &slot->gradient);
        put_count(r, MOMENT_N_ELEMENTS, place, slot->gradient.n);
    }
    if (g == SONDE_PROBE_GAIN && slot->has_gain) {
        put_norm(r, GAIN_GAIN, place, slot->gain_before / slot->gain_behind);
    }
    if (g == SONDE_PROBE_ACTIVATION_GRAD_HIST && slot->has_histogram) put_histogram(r, place, slot->histogram);
    return SONDE_OK;
}

static void put_parameter(const row *r, sonde_probe_group g, int place, const probe_parameter *slot)
{
    if (g == SONDE_PROBE_WEIGHT_GRAD && slot->has_gradient) put_moments(r, place, &slot->gradient);
    if (g == SONDE_PROBE_WEIGHT && slot->has_update) put_update(r, place, &slot->update);
    if (g == SONDE_PROBE_WEIGHT_DRIFT) put_drift(r, place, slot);
    if (g == SONDE_PROBE_WEIGHT_GRAD_HIST && slot->has_histogram) put_histogram(r, place, slot->histogram);
}

static void put_effective(const row *r, sonde_probe_group g, int place, const probe_effective *slot)
{
    put_parameter(r, g, place, &slot->weight);
    if (g == SONDE_PROBE_WEIGHT && slot->has_norm) put_norm(r, WEIGHT_L2, place, slot->l2_norm);
}

/* Along time_step the row may be longer than this layer's sequences. */
static void put_hidden(const row *r, const probe_hidden *slot)
{
    int64_t longest = sonde_group_axis_at(r->table->group, r->table->time_step)->length;
    uint32_t *length = r->cells[HIDDEN_LENGTH];
    if (slot->length == 0) return;
    if (*length == UINT32_MAX || *length < (uint32_t)slot->length) *length = (uint32_t)slot->length;
    for (int kind = 0; kind <= slot->has_cell; kind++) {
        double *cells = (double *)r->cells[kind ? HIDDEN_CELL_L2 : HIDDEN_L2] + slot->place * longest;
        memcpy(cells, slot->norms[kind], (size_t)slot->length * sizeof *cells);
    }
}

/* By lag: all sequences end at `length`, the longest of the row. */
static void put_memory(const row *r, const probe_hidden *slot, int64_t length)
{
    const probe_memory *memory = &slot->memory;
    const int64_t longest = sonde_group_axis_at(r->table->group, r->table->time_step)->length;
    if (memory->length == 0) return;
    *(uint32_t *)r->cells[HIDDEN_LENGTH] = (uint32_t)length;
    for (int kind = 0; kind <= slot->has_cell; kind++) {
        double *cells = (double *)r->cells[kind ? HIDDEN_CELL_L2 : HIDDEN_L2] + slot->place * longest;
        for (int64_t k = 0; k < memory->length; k++)
            cells[length - 1 - k] = memory->norms[kind][k] / sqrt((double)memory->samples[k]);
    }
}

static void put_gate(const row *r, const probe_gate *slot)
{
    const sonde_gates *y = &slot->values;
    double n = (double)y->n;
    if (y->n == 0) return;
    put_moment(r, GATE_OPENNESS, slot->site.place, y->sum / n);
    put_moment(r, GATE_OPEN_FRAC, slot->site.place, (double)y->n_open / n);
    put_moment(r, GATE_CLOSED_FRAC, slot->site.place, (double)y->n_closed / n);
    put_moment(r, GATE_SATURATED_FRAC, slot->site.place, (double)y->n_saturated / n);
}

/* The share from the ratio of the norms, whose squares might leave the range. */
static void put_skip(const row *r, probe_skip *slot)
{
    sonde_probe_skip_settle(slot);
    if (!slot->arrived) return;
    const double skip = slot->norms[0], branch = slot->norms[1];
    const double ratio = branch > skip ? skip / branch : branch / skip, square = ratio * ratio;
    put_moment(r, SKIP_BRANCH_SHARE, slot->site.place, (branch > skip ? 1 : square) / (1 + square));
    put_moment(r, SKIP_COSINE, slot->site.place, skip > 0 && branch > 0 ? slot->cosine : (double)NAN);
    put_norm(r, SKIP_L2, slot->site.place, skip);
    put_norm(r, SKIP_BRANCH_L2, slot->site.place, branch);
}

static sonde_status put_network(const row *r, sonde_probe_group g, probe_network *network)
{
    int place = network->first_place[g];
    if (g == SONDE_PROBE_HIDDEN_GRAD) {
        for (int i = 0; i < network->n_hidden; i++) put_hidden(r, &network->hidden[i]);
    } else if (g == SONDE_PROBE_HIDDEN_JACOBIAN) {
        const int64_t length = sonde_probe_hidden_longest(network->probe, g);
        for (int i = 0; i < network->n_hidden; i++) put_memory(r, &network->hidden[i], length);
    } else if (g == SONDE_PROBE_GATE) {
        for (int i = 0; i < network->n_gates; i++) put_gate(r, &network->gates[i]);
    } else if (g == SONDE_PROBE_SKIP) {
        for (int i = 0; i < network->n_skips; i++) put_skip(r, &network->skips[i]);
    } else if (SONDE_PROBE_BIT(g) & MODULE_GROUPS) {
        for (int i = 0; i < network->n_modules; i++) {
            probe_module *slot = network->sorted_modules[i];
            if (sonde_probe_has_place(slot, g)) SONDE_TRY(put_module(r, g, place++, slot));
        }
    } else {
        for (int i = 0; i < network->n_parameters; i++) put_parameter(r, g, place++, network->sorted_parameters[i]);
        for (int i = 0; i < network->n_effective; i++) put_effective(r, g, place++, &network->effective[i]);
    }
    return SONDE_OK;
}

/* all: also of networks not measured in the open step. */
static sonde_status write_row(sonde_probe *probe, sonde_probe_group g, int64_t step, double time, bool all)
{
    row r;
    const probe_table *table = &probe->tables[g];
    if (SONDE_PROBE_BIT(g) & TIME_GROUPS) {
        SONDE_TRY(sonde_group_grow(table->group, table->time_step, sonde_probe_hidden_longest(probe, g)));
    }
    SONDE_TRY(open_row(&r, probe, g, step, time));
    for (int i = 0; i < probe->n_networks; i++) {
        probe_network *network = probe->networks[i];
        if (!wants_group(network, g) || !(network->measuring || all)) continue;
        sonde_status status = put_network(&r, g, network);
        if (status == SONDE_OK) continue;
        sonde_group_discard(r.table->group);
        return status;
    }
    sonde_probe_own_write(probe, g);
    return sonde_group_commit(r.table->group);
}

sonde_status sonde_probe_write_histograms(sonde_probe *probe, sonde_probe_group g, int64_t step, double time)
{
    return write_row(probe, g, step, time, true);
}

static bool has_row(const sonde_probe *probe, sonde_probe_group g)
{
    if (!probe->tables[g].group) return false;
    for (int i = 0; i < probe->n_networks; i++) {
        const probe_network *network = probe->networks[i];
        bool is_due = SONDE_PROBE_BIT(g) & RARE_GROUPS ? network->histograms
                      : g == SONDE_PROBE_WEIGHT_DRIFT  ? network->compares
                                                       : network->measuring;
        if (wants_group(network, g) && is_due) return true;
    }
    return false;
}

sonde_status sonde_probe_write_rows(sonde_probe *probe, double time)
{
    for (int g = 0; g < SONDE_PROBE_GROUP_COUNT; g++) {
        if (!has_row(probe, (sonde_probe_group)g)) continue;
        const uint64_t begun = probe->cost.clocks ? sonde_ticks() : 0;
        SONDE_TRY(write_row(probe, (sonde_probe_group)g, probe->step, time, false));
        if (probe->cost.clocks) probe->cost.ticks[g] += sonde_ticks() - begun;
    }
    for (int i = 0; i < probe->n_networks; i++) {
        probe_network *network = probe->networks[i];
        if (!network->measuring) continue;
        network->measured_step = probe->step;
        network->measured_time = time;
    }
    return SONDE_OK;
}
