/* What comes back to a block's input by way of its skip, and by way of the branch beside it.
 *
 * Both gradients of a forward are needed for their cosine, and arrive one after the other, with nothing of another
 * forward of the same block in between: so the first is copied, and the slot holds it until the second comes. A way by
 * which none comes (a branch that is stopped) counts as 0.
 */
#include "probe/internal.h"

#include <math.h>
#include <string.h>

/* ---- reading the tree -------------------------------------------------------------------------------------- */

static int slots_of(const probe_module *slot)
{
    const char *const *names = slot->module ? sonde_skip_names(slot->module) : NULL;
    int n = 0;
    while (names && names[n]) n++;
    return n;
}

sonde_status sonde_probe_skips_read(probe_network *network)
{
    int n = 0;
    if (!wants_group(network, SONDE_PROBE_SKIP)) return SONDE_OK;
    for (int i = 0; i < network->n_modules; i++) n += slots_of(&network->modules[i]);
    if (n == 0) return SONDE_OK;
    network->skips = sonde_alloc_zeroed((size_t)n * sizeof *network->skips);
    if (!network->skips) return SONDE_ENOMEM;
    for (int i = 0; i < network->n_modules; i++) {
        const int of_module = slots_of(&network->modules[i]);
        for (int k = 0; k < of_module; k++) {
            probe_skip *slot = &network->skips[network->n_skips++];
            probe_site *site = &slot->site;
            slot->first = slot - k;
            site->owner = &network->modules[i];
            site->role = sonde_skip_names(site->owner->module)[k];
            if (of_module > 1) SONDE_TRY(sonde_probe_name_part(&site->name, &site->role, site->owner, site->role));
        }
    }
    return SONDE_OK;
}

void sonde_probe_skips_free(probe_network *network)
{
    for (int i = 0; i < network->n_skips; i++) {
        sonde_free(network->skips[i].held);
        sonde_free(network->skips[i].site.name);
    }
    sonde_free(network->skips);
}

/* ---- gradients --------------------------------------------------------------------------------------------- */

typedef struct way { /* of one forward; lives as long as the watcher on it */
    probe_skip *slot;
    int64_t forward;
    int number;
} way;

static void way_gone(void *context)
{
    probe_skip *slot = ((way *)context)->slot;
    sonde_free(context);
    sonde_probe_unref(slot->site.owner->network->probe);
}

/* The step's norm of this way grows; the cosine is over it. */
static void add_norm(probe_skip *slot, int number, double norm)
{
    const double before = slot->norms[number], now = before == 0 ? norm : hypot(before, norm);
    if (now > 0) slot->cosine *= before / now;
    slot->norms[number] = now;
    slot->arrived = true;
}

/* Both ways of one forward. */
static void add_angle(probe_skip *slot, int way_a, const sonde_angle *angle)
{
    add_norm(slot, way_a, angle->norm_a);
    add_norm(slot, !way_a, angle->norm_b);
    if (angle->norm_a == 0 || angle->norm_b == 0) return;
    slot->cosine += angle->cosine * (angle->norm_a / slot->norms[way_a]) * (angle->norm_b / slot->norms[!way_a]);
}

void sonde_probe_skip_settle(probe_skip *slot)
{
    if (slot->held_forward == 0) return;
    sonde_moments moments;
    sonde_brief_moments_kernel(&moments, slot->held_dtype, slot->held, slot->n_held);
    add_norm(slot, slot->held_way, sonde_moments_l2(&moments));
    slot->held_forward = 0;
}

static sonde_status hold(probe_skip *slot, const way *w, sonde_dtype dtype, const void *data, size_t n)
{
    const size_t size = n * sonde_dtype_size(dtype);
    if (size > slot->held_capacity) {
        void *grown = sonde_realloc(slot->held, size);
        if (!grown) return SONDE_ENOMEM;
        slot->held = grown;
        slot->held_capacity = size;
    }
    if (size > 0) memcpy(slot->held, data, size);
    slot->held_dtype = dtype;
    slot->n_held = n;
    slot->held_way = w->number;
    slot->held_forward = w->forward;
    return SONDE_OK;
}

static sonde_status measure(const way *w, const sonde_tensor *gradient)
{
    probe_skip *slot = w->slot;
    sonde_tensor *temporary;
    const void *data = sonde_probe_elements(gradient, &temporary);
    if (!data) return SONDE_ENOMEM;
    const size_t n = (size_t)sonde_tensor_numel(gradient);
    sonde_status status = SONDE_OK;
    if (slot->held_forward == w->forward && slot->held_way != w->number) {
        sonde_angle angle;
        sonde_angle_kernel(&angle, gradient->dtype, slot->held, data, n);
        add_angle(slot, slot->held_way, &angle);
        slot->held_forward = 0;
    } else {
        sonde_probe_skip_settle(slot);
        status = hold(slot, w, gradient->dtype, data, n);
    }
    sonde_tensor_release(temporary);
    return status;
}

static void gradient_arrived(void *context, const sonde_tensor *gradient)
{
    const way *w = context;
    const probe_network *network = w->slot->site.owner->network;
    if (network->probe->closed || !network->measuring) return;
    uint64_t since = clock_of(network);
    const sonde_status status = measure(w, gradient);
    spend(network, SONDE_PROBE_SKIP, &since);
    if (status != SONDE_OK) sonde_probe_failed(network->probe, status);
}

/* ---- forwards ---------------------------------------------------------------------------------------------- */

static sonde_status watch_way(probe_skip *slot, int number, sonde_tensor *t)
{
    sonde_probe *probe = slot->site.owner->network->probe;
    way *w = sonde_alloc(sizeof *w);
    if (!w) return SONDE_ENOMEM;
    *w = (way){.slot = slot, .forward = slot->n_forwards, .number = number};
    const sonde_status status = sonde_watch_grad(t, gradient_arrived, w, way_gone, NULL);
    if (status == SONDE_OK) probe->refs++;
    else sonde_free(w);
    return status;
}

static void skip_shown(void *context, sonde_module *m, const sonde_skip *skip)
{
    probe_skip *slot = (probe_skip *)context + skip->index;
    const probe_network *network = slot->site.owner->network;
    if (!network->measuring || !sonde_probe_counts(network) || !skip->skip->requires_grad) return;
    uint64_t since = clock_of(network);
    slot->n_forwards++;
    sonde_status status = watch_way(slot, 0, skip->skip);
    if (status == SONDE_OK) status = watch_way(slot, 1, skip->branch);
    spend(network, SONDE_PROBE_SKIP, &since);
    if (status != SONDE_OK) sonde_probe_failed(network->probe, status);
}

sonde_status sonde_probe_skips_watch(probe_network *network)
{
    for (int i = 0; i < network->n_skips; i++) {
        probe_skip *slot = &network->skips[i];
        if (slot->first != slot) continue;
        SONDE_TRY(sonde_skip_watch(slot->site.owner->module, skip_shown, slot, NULL, &slot->watch));
    }
    return SONDE_OK;
}

void sonde_probe_skips_unwatch(probe_network *network)
{
    for (int i = 0; i < network->n_skips; i++) {
        sonde_handle_remove(network->skips[i].watch);
        network->skips[i].watch = NULL;
    }
}

void sonde_probe_skips_open(probe_network *network)
{
    for (int i = 0; i < network->n_skips; i++) {
        probe_skip *slot = &network->skips[i];
        slot->arrived = false;
        slot->held_forward = 0;
        slot->norms[0] = slot->norms[1] = slot->cosine = 0;
    }
}
