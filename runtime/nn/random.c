/* Which stream a new parameter or stochastic module draws from. */
#include "nn/nn.h"

static _Thread_local sonde_nn_random default_source;
static _Thread_local bool default_is_seeded;
static _Thread_local sonde_nn_random *current;

static void seed_source(sonde_nn_random *source, uint64_t seed)
{
    *source = (sonde_nn_random){0};
    sonde_stream_init(&source->root, seed, "nn");
}

sonde_nn_random *sonde_nn_random_current(void)
{
    if (current) return current;
    if (!default_is_seeded) {
        seed_source(&default_source, 0);
        default_is_seeded = true;
    }
    return &default_source;
}

void sonde_nn_random_seed(uint64_t seed)
{
    seed_source(sonde_nn_random_current(), seed);
}

sonde_nn_random *sonde_nn_random_use(sonde_nn_random *source)
{
    sonde_nn_random *was = current;
    current = source;
    return was;
}

void sonde_nn_random_parameter(sonde_stream *out)
{
    sonde_nn_random *source = sonde_nn_random_current();
    sonde_stream_derive(out, &source->root, "init", source->n_parameters++);
}

void sonde_nn_random_stochastic(sonde_stream *out, const char *name)
{
    sonde_nn_random *source = sonde_nn_random_current();
    sonde_stream_derive(out, &source->root, name, source->n_stochastic++);
}
