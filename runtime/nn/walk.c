/* Walking the tree: every module once, with its path. */
#include "nn/internal.h"

#include <string.h>

/* ---- sets of pointers: open addressing, at most half full ------------------------------------------------ */

static const void **slot_of(const sonde_pointer_set *set, const void *pointer)
{
    size_t mask = set->capacity - 1, i = (size_t)(((uintptr_t)pointer >> 4) * 0x9e3779b97f4a7c15u >> 20) & mask;
    while (set->slots[i] && set->slots[i] != pointer) i = (i + 1) & mask;
    return &set->slots[i];
}

sonde_status sonde_pointer_set_add(sonde_pointer_set *set, const void *pointer, bool *is_new)
{
    if (2 * (set->n + 1) > set->capacity) {
        sonde_pointer_set larger = {.capacity = set->capacity ? 2 * set->capacity : 64};
        larger.slots = sonde_alloc_zeroed(larger.capacity * sizeof *larger.slots);
        if (!larger.slots) return SONDE_ENOMEM;
        for (size_t i = 0; i < set->capacity; i++)
            if (set->slots[i]) *slot_of(&larger, set->slots[i]) = set->slots[i];
        larger.n = set->n;
        sonde_free(set->slots);
        *set = larger;
    }
    const void **slot = slot_of(set, pointer);
    *is_new = !*slot;
    if (*is_new) {
        *slot = pointer;
        set->n++;
    }
    return SONDE_OK;
}

void sonde_pointer_set_free(sonde_pointer_set *set)
{
    sonde_free(set->slots);
    *set = (sonde_pointer_set){0};
}

/* ---- paths: one buffer for the whole walk ---------------------------------------------------------------- */

typedef struct path_text {
    char *text;
    size_t length, capacity;
} path_text;

/* Appends ".name", or "name" to an empty path. */
static sonde_status push(path_text *path, const char *name)
{
    size_t dot = path->length > 0, n = strlen(name), needed = path->length + dot + n + 1;
    if (needed > path->capacity) {
        char *larger = sonde_realloc(path->text, 2 * needed);
        if (!larger) return SONDE_ENOMEM;
        path->text = larger;
        path->capacity = 2 * needed;
    }
    if (dot) path->text[path->length] = '.';
    memcpy(path->text + path->length + dot, name, n + 1);
    path->length += dot + n;
    return SONDE_OK;
}

static void pop(path_text *path, size_t length)
{
    path->length = length;
    if (path->text) path->text[length] = '\0';
}

/* ---- modules --------------------------------------------------------------------------------------------- */

typedef struct walk {
    sonde_pointer_set seen;
    path_text path;
    sonde_module_visitor visitor;
    void *context;
} walk;

static sonde_status visit_child(walk *w, const char *name, sonde_module *child, int depth);

static sonde_status visit(walk *w, sonde_module *m, int depth)
{
    if (depth > SONDE_MAX_NESTING)
        return sonde_fail(SONDE_ESTATE, "modules are nested more than %d deep", SONDE_MAX_NESTING);
    bool is_new;
    SONDE_TRY(sonde_pointer_set_add(&w->seen, m, &is_new));
    if (!is_new) return SONDE_OK;
    SONDE_TRY(w->visitor(w->context, w->path.length ? w->path.text : "", m));
    for (int i = 0; i < m->n_children; i++) /* by index: a visitor may add children */
        SONDE_TRY(visit_child(w, m->children[i].name, m->children[i].module, depth));
    return m->parametrizations ? visit_child(w, "parametrizations", m->parametrizations, depth) : SONDE_OK;
}

static sonde_status visit_child(walk *w, const char *name, sonde_module *child, int depth)
{
    const size_t length = w->path.length;
    SONDE_TRY(push(&w->path, name));
    sonde_module_retain(child);
    sonde_status status = visit(w, child, depth + 1);
    sonde_module_release(child);
    SONDE_TRY(status);
    pop(&w->path, length);
    return SONDE_OK;
}

sonde_status sonde_module_visit(sonde_module *root, sonde_module_visitor visitor, void *context)
{
    walk w = {.visitor = visitor, .context = context};
    sonde_status status = visit(&w, root, 1);
    sonde_pointer_set_free(&w.seen);
    sonde_free(w.path.text);
    return status;
}

/* ---- parameters ------------------------------------------------------------------------------------------ */

typedef struct parameter_walk {
    sonde_pointer_set seen;
    path_text path;
    bool buffers;
    sonde_parameter_visitor visitor;
    void *context;
} parameter_walk;

static sonde_status visit_owner(void *context, const char *path, sonde_module *m)
{
    parameter_walk *w = context;
    for (int i = 0; i < m->n_parameters; i++) {
        const sonde_parameter *p = &m->parameters[i];
        if (!p->tensor || p->is_computed || p->is_buffer != w->buffers) continue;
        bool is_new;
        SONDE_TRY(sonde_pointer_set_add(&w->seen, p->tensor, &is_new));
        if (!is_new) continue;
        pop(&w->path, 0);
        if (path[0]) SONDE_TRY(push(&w->path, path));
        SONDE_TRY(push(&w->path, p->name));
        SONDE_TRY(w->visitor(w->context, w->path.text, m, p));
    }
    return SONDE_OK;
}

sonde_status sonde_module_visit_parameters(sonde_module *root, bool buffers, sonde_parameter_visitor visitor,
                                           void *context)
{
    parameter_walk w = {.buffers = buffers, .visitor = visitor, .context = context};
    sonde_status status = sonde_module_visit(root, visit_owner, &w);
    sonde_pointer_set_free(&w.seen);
    sonde_free(w.path.text);
    return status;
}
