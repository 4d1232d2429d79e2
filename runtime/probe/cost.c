/* What measuring costs. Watchers read the processor's counter when they begin and after each part of their work (see
 * spend() in internal.h); when a step ends its ticks become seconds. A thousand readings a step would be a tenth of the
 * price themselves, so most steps are not clocked.
 */
#include "probe/internal.h"

#include <string.h>

/* Of the measured steps the first FIRST, then every RARE-th: with the usual cadences it shares no factor, so that steps
 * with histograms are as frequent among them as among all. */
enum { FIRST = 10, RARE = 7 };

void sonde_probe_cost_begin(sonde_probe *probe)
{
    probe->cost.clocks = true;
    probe->cost.began = sonde_clock();
    probe->cost.began_ticks = sonde_ticks();
}

static uint64_t spent_on_groups(const probe_cost *cost)
{
    uint64_t sum = 0;
    for (int g = 0; g < SONDE_PROBE_GROUP_COUNT; g++) sum += cost->ticks[g];
    return sum;
}

/* What is measured of the samples goes to its groups; the rest, their forward and backward, is a part of its own. */
void sonde_probe_cost_samples(sonde_probe *probe, bool begin)
{
    probe_cost *cost = &probe->cost;
    if (begin) {
        cost->samples_began = sonde_ticks();
        cost->samples_before = spent_on_groups(cost);
        return;
    }
    const uint64_t passed = sonde_ticks() - cost->samples_began, measured = spent_on_groups(cost) - cost->samples_before;
    if (passed > measured) cost->ticks[COST_SAMPLES] += passed - measured;
}

static bool is_measuring(const sonde_probe *probe)
{
    for (int i = 0; i < probe->n_networks; i++) {
        if (probe->networks[i]->measuring) return true;
    }
    return false;
}

void sonde_probe_cost_end_step(sonde_probe *probe)
{
    probe_cost *cost = &probe->cost;
    cost->clocked = cost->clocks;
    cost->n_measured += is_measuring(probe);
    cost->clocks = cost->n_measured < FIRST || cost->n_measured % RARE == 0;
    if (!cost->clocked) return;
    const uint64_t ticks = sonde_ticks() - cost->began_ticks;
    const double seconds = sonde_clock() - cost->began;
    for (int i = 0; i < COST_COUNT; i++) {
        cost->seconds[i] = ticks > 0 ? (double)cost->ticks[i] * (seconds / (double)ticks) : 0;
    }
    memset(cost->ticks, 0, sizeof cost->ticks);
}

/* ---- the door -------------------------------------------------------------------------------------------- */

int sonde_probe_n_costs(void)
{
    return COST_COUNT;
}

static bool has_fixed(const sonde_probe *probe)
{
    for (int i = 0; i < probe->n_networks; i++) {
        if (probe->networks[i]->fixed) return true;
    }
    return false;
}

bool sonde_probe_cost_at(const sonde_probe *probe, int i, sonde_probe_cost *out)
{
    if (i < 0 || i >= COST_COUNT || !probe->cost.clocked) return false;
    const bool is_group = i < SONDE_PROBE_GROUP_COUNT;
    out->name = is_group ? sonde_probe_group_name((sonde_probe_group)i) : "fixed_samples";
    out->seconds = probe->cost.seconds[i];
    return is_group ? probe->tables[i].group != NULL : has_fixed(probe);
}
