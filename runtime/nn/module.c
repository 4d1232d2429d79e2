/* The module itself: life, parameters, children. */
#include "nn/internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Atomic int64_t live;

int64_t sonde_module_live(void)
{
    return atomic_load(&live);
}

sonde_status sonde_module_new(sonde_module **out, const sonde_module_class *class, void *state)
{
    sonde_module *m = sonde_alloc_zeroed(sizeof *m);
    if (!m) return SONDE_ENOMEM;
    m->refs = 1;
    m->class = class;
    m->training = true;
    m->state = state;
    atomic_fetch_add(&live, 1);
    *out = m;
    return SONDE_OK;
}

sonde_module *sonde_module_retain(sonde_module *m)
{
    m->refs++;
    return m;
}

/* Puts the children that nobody else holds in front of `dying` and returns the new front. */
static sonde_module *destroy(sonde_module *m, sonde_module *dying)
{
    for (int i = 0; i < m->n_children; i++) {
        sonde_module *child = m->children[i].module;
        sonde_free(m->children[i].name);
        if (--child->refs == 0) {
            child->next_dying = dying;
            dying = child;
        }
    }
    sonde_free(m->children);
    if (m->parametrizations && --m->parametrizations->refs == 0) {
        m->parametrizations->next_dying = dying;
        dying = m->parametrizations;
    }
    if (m->class->free)
        m->class->free(m);
    else
        sonde_free(m->state);
    for (int i = 0; i < m->n_parameters; i++) {
        sonde_free(m->parameters[i].name);
        sonde_tensor_release(m->parameters[i].tensor);
    }
    sonde_free(m->parameters);
    if (m->hooks) sonde_module_hooks_free(m->hooks);
    sonde_free(m);
    atomic_fetch_sub(&live, 1);
    return dying;
}

void sonde_module_release(sonde_module *m)
{
    if (!m || --m->refs > 0) return;
    sonde_module *dying = m;
    while (dying) {
        sonde_module *next = dying->next_dying;
        dying = destroy(dying, next);
    }
}

static int find_parameter(const sonde_module *m, const char *name)
{
    for (int i = 0; i < m->n_parameters; i++)
        if (strcmp(m->parameters[i].name, name) == 0) return i;
    return -1;
}

static int find_child(const sonde_module *m, const char *name)
{
    for (int i = 0; i < m->n_children; i++)
        if (strcmp(m->children[i].name, name) == 0) return i;
    return -1;
}

sonde_tensor *sonde_module_parameter(const sonde_module *m, const char *name)
{
    int i = find_parameter(m, name);
    return i < 0 ? NULL : m->parameters[i].tensor;
}

sonde_module *sonde_module_child(const sonde_module *m, const char *name)
{
    int i = find_child(m, name);
    return i < 0 ? NULL : m->children[i].module;
}

static sonde_status check_name(const sonde_module *m, const char *what, const char *name)
{
    if (name[0] == '\0') return sonde_fail(SONDE_EARG, "the name of a %s of %s is empty", what, m->class->name);
    if (strchr(name, '.'))
        return sonde_fail(SONDE_EARG, "'%s' cannot name a %s of %s: dots join the names of a path", name, what,
                          m->class->name);
    return SONDE_OK;
}

/* Room for one more element in an array that grows by doubling; its capacity is the power of 2 that holds n. */
static sonde_status grow(void **array, int n, size_t size)
{
    if (n & (n - 1)) return SONDE_OK; /* not full: n is no power of 2 */
    void *larger = sonde_realloc(*array, (n ? 2 * (size_t)n : 1) * size);
    if (!larger) return SONDE_ENOMEM;
    *array = larger;
    return SONDE_OK;
}

sonde_status sonde_module_set_parameter(sonde_module *m, const char *name, sonde_tensor *tensor, bool is_buffer)
{
    SONDE_TRY(check_name(m, is_buffer ? "buffer" : "parameter", name));
    if (find_child(m, name) >= 0) return sonde_fail(SONDE_EARG, "%s has a child '%s' already", m->class->name, name);
    if (tensor && !is_buffer) {
        if (!sonde_dtype_is_float(tensor->dtype))
            return sonde_fail(SONDE_EDTYPE, "parameter '%s' of %s must be a float tensor, got %s", name, m->class->name,
                              sonde_dtype_name(tensor->dtype));
        if (!sonde_is_leaf(tensor))
            return sonde_fail(SONDE_ESTATE, "parameter '%s' of %s must be a leaf, got the result of %s", name,
                              m->class->name, sonde_grad_op_name(tensor));
    }
    int i = find_parameter(m, name);
    if (i < 0) {
        SONDE_TRY(grow((void **)&m->parameters, m->n_parameters, sizeof *m->parameters));
        char *own = sonde_strdup(name);
        if (!own) return SONDE_ENOMEM;
        i = m->n_parameters++;
        m->parameters[i] = (sonde_parameter){.name = own};
    }
    if (m->parameters[i].is_computed)
        return sonde_fail(SONDE_ESTATE,
                          "'%s' of %s is made by a parametrisation: set its originals, or remove it first", name,
                          m->class->name);
    sonde_tensor *old = m->parameters[i].tensor;
    m->parameters[i].tensor = tensor ? sonde_tensor_retain(tensor) : NULL;
    m->parameters[i].is_buffer = is_buffer;
    sonde_tensor_release(old);
    return SONDE_OK;
}

/* A child that contains m would make the tree endless. */
static sonde_status refuse_self(void *context, const char *path, sonde_module *visited)
{
    sonde_module *m = context;
    if (visited != m) return SONDE_OK;
    return sonde_fail(SONDE_EARG, "%s cannot contain itself", m->class->name);
}

sonde_status sonde_module_set_child(sonde_module *m, const char *name, sonde_module *child)
{
    char number[16];
    if (!name) {
        snprintf(number, sizeof number, "%d", m->n_children + 1);
        if (find_child(m, number) >= 0)
            return sonde_fail(SONDE_EARG, "%s has a child '%s' already: give this one a name", m->class->name, number);
        name = number;
    }
    SONDE_TRY(check_name(m, "child", name));
    SONDE_TRY(sonde_parametrizations_check_child(m, name));
    if (m->parametrizations && strcmp(name, "parametrizations") == 0)
        return sonde_fail(SONDE_EARG, "%s has parametrised tensors: no child can be called '%s'", m->class->name, name);
    if (!child) return sonde_fail(SONDE_EARG, "child '%s' of %s: expected a module, got none", name, m->class->name);
    if (find_parameter(m, name) >= 0)
        return sonde_fail(SONDE_EARG, "%s has a parameter '%s' already", m->class->name, name);
    SONDE_TRY(sonde_module_visit(child, refuse_self, m));
    int i = find_child(m, name);
    if (i >= 0) {
        sonde_module *old = m->children[i].module;
        m->children[i].module = sonde_module_retain(child);
        sonde_module_release(old);
        return SONDE_OK;
    }
    SONDE_TRY(grow((void **)&m->children, m->n_children, sizeof *m->children));
    char *own = sonde_strdup(name);
    if (!own) return SONDE_ENOMEM;
    m->children[m->n_children++] = (sonde_child){.name = own, .module = sonde_module_retain(child)};
    return SONDE_OK;
}

void sonde_module_remove_child(sonde_module *m, const char *name)
{
    const int i = find_child(m, name);
    if (i < 0) return;
    sonde_child gone = m->children[i];
    m->n_children--;
    memmove(&m->children[i], &m->children[i + 1], (size_t)(m->n_children - i) * sizeof gone);
    sonde_free(gone.name);
    sonde_module_release(gone.module);
}

sonde_status sonde_module_make_parameter(sonde_module *m, const char *name, sonde_dtype dtype, int ndim,
                                         const int64_t *shape, double low, double high)
{
    sonde_stream stream;
    sonde_nn_random_parameter(&stream);
    sonde_tensor *tensor = NULL;
    SONDE_TRY(sonde_tensor_new(&tensor, dtype, ndim, shape));
    sonde_status status =
        low == high ? sonde_init_constant_(tensor, low) : sonde_init_uniform_(tensor, &stream, low, high);
    if (status == SONDE_OK) status = sonde_requires_grad_(tensor, true);
    if (status == SONDE_OK) status = sonde_module_set_parameter(m, name, tensor, false);
    sonde_tensor_release(tensor);
    return status;
}
