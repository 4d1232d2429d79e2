/* What the files of room nn share with each other. */
#ifndef SONDE_NN_INTERNAL_H
#define SONDE_NN_INTERNAL_H

#include "nn/nn.h"

struct sonde_module_hooks {
    sonde_hooks forward_pre, forward, backward, watch, skip;
    uint64_t began; /* position of the tape when the newest finished forward began */
};
struct sonde_module_hooks *sonde_module_hooks_of(sonde_module *m); /* made if there are none; NULL: ENOMEM */

/* EARG "Linear takes 1 argument, got 2". */
sonde_status sonde_module_check_arguments(const sonde_module *m, const sonde_values *in);
/* forward between hooks, for a module that has (or had) some. */
sonde_status sonde_module_call_hooked(sonde_module *m, const sonde_values *in, sonde_values *out);
/* The same for a module with parametrised tensors: their values are made first, and lie in their places meanwhile. */
sonde_status sonde_module_call_parametrized(sonde_module *m, const sonde_values *in, sonde_values *out);
/* A call under a name that may be a path; sonde_module_call looks the name up among the caller's children. */
sonde_status sonde_module_call_as(sonde_module *m, const char *name, const sonde_values *in, sonde_values *out);
void sonde_module_remove_child(sonde_module *m, const char *name);
/* EARG for the container of a module's parametrisations, but while sonde_parametrize puts one in. */
sonde_status sonde_parametrizations_check_child(const sonde_module *m, const char *name);
/* Parameter `name` of m, to be parametrised: borrowed; EARG with the names there are. */
sonde_status sonde_parametrize_find(sonde_tensor **out, const sonde_module *m, const char *name);
void sonde_module_hooks_free(struct sonde_module_hooks *hooks);

/* One call of a module with backward hooks. begin leads the inputs through a node, putting copies in their place;
 * after forward, write_back gives the caller's tensors what the module wrote into those copies; end leads the outputs
 * through another node. The nodes keep the call alive. */
typedef struct sonde_hooked_call sonde_hooked_call;
sonde_status sonde_hooked_call_begin(sonde_hooked_call **out, sonde_module *m, sonde_values *in);
sonde_status sonde_hooked_call_write_back(sonde_hooked_call *call, const sonde_values *in, const sonde_values *passed,
                                          sonde_values *out);
sonde_status sonde_hooked_call_end(sonde_hooked_call *call, sonde_values *out);
void sonde_hooked_call_release(sonde_hooked_call *call); /* NULL is fine */

/* For blocks with a skip: the two ways from x on (released whatever happens), shown once they have met. */
sonde_status sonde_skip_fork(sonde_skip *out, sonde_tensor *x); /* on failure there is nothing to release */
void sonde_skip_show(sonde_module *m, const sonde_skip *skip);
void sonde_skip_release(sonde_skip *skip);

/* A set of pointers; all zero: empty. */
typedef struct sonde_pointer_set {
    const void **slots;
    size_t n, capacity; /* capacity: 0 or a power of 2 */
} sonde_pointer_set;
sonde_status sonde_pointer_set_add(sonde_pointer_set *set, const void *pointer, bool *is_new);
void sonde_pointer_set_free(sonde_pointer_set *set);

/* Makes a parameter, registers it and fills it from U(low, high) with the next stream of "init"; low == high: with that
 * number. */
sonde_status sonde_module_make_parameter(sonde_module *m, const char *name, sonde_dtype dtype, int ndim,
                                         const int64_t *shape, double low, double high);
/* A float with the fewest digits that say it, as PyTorch prints it: 1.0, 0.01, 1e-05. */
const char *sonde_nn_number(char text[static 32], double value);

#endif
