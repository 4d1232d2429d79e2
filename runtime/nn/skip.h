/* Blocks with a skip: Residual, DenseSkip, Highway, and a transformer's encoder layer, which has two after each other.
 * Included by nn.h: not a door of its own.
 *
 * Where a gradient will be asked for, a block's input goes through two aliases, one on each way. So what comes back
 * along a way is whole before the two are summed, and a training run's bits are the same whether somebody looks or not.
 */
#ifndef SONDE_NN_SKIP_H
#define SONDE_NN_SKIP_H

/* The names of a block's skips, in the order they run, and NULL at the end: "block", or "self_attn" and "feed_forward".
 * NULL: m has none. */
const char *const *sonde_skip_names(const sonde_module *m);
bool sonde_is_highway(const sonde_module *m);

/* One skip in one forward. The gradients of `skip` and `branch` are those with respect to the input: by way of the skip
 * (and its shortcut, where there is one), and by way of the branch (of a Highway: of the block and of the gate). */
typedef struct sonde_skip {
    int index;                   /* which of the names */
    sonde_tensor *skip, *branch; /* the input, as either way sees it; the same tensor where it needs no gradient */
    sonde_tensor *gate;          /* of a Highway: t of its input's shape; else NULL */
    sonde_tensor *out;           /* where the ways meet */
} sonde_skip;

/* Told of each skip as it has run. It changes nothing. EARG: m has none. out may be NULL. */
typedef void (*sonde_skip_watcher)(void *context, sonde_module *m, const sonde_skip *skip);
sonde_status sonde_skip_watch(sonde_module *m, sonde_skip_watcher watcher, void *context, void (*free_context)(void *),
                              sonde_handle **out);

#endif
