/* Calling a module, and saying where it went wrong. Frames of the calls under way form a list on the C stack: a path
 * is put together only when an error needs it. */
#include "nn/internal.h"

#include <stdio.h>
#include <string.h>

typedef struct frame {
    struct frame *up;
    const sonde_module *module;
    const char *name; /* in the module above; NULL: called by its owner's code, the name is looked up when needed */
    int depth;
} frame;

static _Thread_local frame *innermost;

static const char *name_in_parent(const frame *f)
{
    if (f->name || !f->up) return f->name;
    const sonde_module *parent = f->up->module;
    for (int i = 0; i < parent->n_children; i++)
        if (parent->children[i].module == f->module) return parent->children[i].name;
    return NULL;
}

/* "h3.1" into path: from the outermost module that the names lead back to. The end is kept if it does not fit. */
static void write_path(const frame *f, char *path, size_t size)
{
    char *at = path + size - 1;
    *at = '\0';
    for (const char *name; f && (name = name_in_parent(f)); f = f->up) {
        size_t length = strlen(name), dot = *at != '\0';
        if (length + dot > (size_t)(at - path)) break;
        if (dot) *--at = '.';
        at -= length;
        memcpy(at, name, length);
    }
    memmove(path, at, (size_t)(path + size - at));
}

bool sonde_module_calling(char *path, size_t size, const sonde_module **m)
{
    if (!innermost) return false;
    write_path(innermost, path, size);
    *m = innermost->module;
    return true;
}

const void *sonde_module_here(void) { return innermost ? innermost->module : NULL; }

/* Names the layer in front of the message; frames further out find it named and leave it. */
static void name_layer(const frame *f)
{
    static const char opening[] = "layer '";
    const char *class = f->module->class->name, *message = sonde_message();
    if (strncmp(message, opening, sizeof opening - 1) == 0) return;
    char path[512];
    write_path(f, path, sizeof path);
    if (path[0])
        sonde_fail_within("%s%s' (%s): ", opening, path, class);
    else if (strncmp(message, class, strlen(class)) != 0)
        sonde_fail_within("%s: ", class);
}

sonde_status sonde_module_check_arguments(const sonde_module *m, const sonde_values *in)
{
    int least = m->class->min_in ? m->class->min_in : 1, most = m->class->max_in ? m->class->max_in : 1;
    if (least < 0) least = 0;
    if (in->n < least || in->n > most) {
        int bound = in->n < least ? least : most;
        const char *qualifier = least == most ? "" : in->n < least ? "at least " : "at most ";
        return sonde_fail(SONDE_EARG, "%s takes %s%d argument%s, got %d", m->class->name, qualifier, bound,
                          bound == 1 ? "" : "s", in->n);
    }
    for (int i = 0; i < least; i++)
        if (!in->t[i]) return sonde_fail(SONDE_EARG, "%s: argument %d is missing", m->class->name, i + 1);
    return SONDE_OK;
}

static sonde_status call(sonde_module *m, const char *name, const sonde_values *in, sonde_values *out)
{
    frame **top = &innermost; /* one look-up of the thread's variable */
    frame here = {.up = *top, .module = m, .name = name, .depth = *top ? (*top)->depth + 1 : 1};
    out->n = 0;
    *top = &here;
    sonde_module_retain(m);
    sonde_status status =
        here.depth <= SONDE_MAX_NESTING
            ? sonde_module_check_arguments(m, in)
            : sonde_fail(SONDE_ESTATE, "modules call each other more than %d deep", SONDE_MAX_NESTING);
    if (status != SONDE_OK) {
    } else if (m->parametrizations)
        status = sonde_module_call_parametrized(m, in, out);
    else
        status = m->hooks ? sonde_module_call_hooked(m, in, out) : m->class->forward(m, in, out);
    if (status != SONDE_OK && status != SONDE_ECALLBACK) name_layer(&here);
    *top = here.up;
    sonde_module_release(m);
    return status;
}

sonde_status sonde_module_call(sonde_module *m, const sonde_values *in, sonde_values *out)
{
    return call(m, NULL, in, out);
}

sonde_status sonde_module_call_as(sonde_module *m, const char *name, const sonde_values *in, sonde_values *out)
{
    return call(m, name, in, out);
}

sonde_status sonde_module_call_child(sonde_module *m, int i, const sonde_values *in, sonde_values *out)
{
    return call(m->children[i].module, m->children[i].name, in, out);
}

sonde_status sonde_module_call1(sonde_module *m, sonde_tensor *in, sonde_tensor **out)
{
    sonde_values results;
    SONDE_TRY(call(m, NULL, &(sonde_values){.n = 1, .t = {in}}, &results));
    if (results.n == 0 || !results.t[0]) {
        sonde_values_release(&results);
        return sonde_fail(SONDE_ESTATE, "%s returned nothing", m->class->name);
    }
    *out = results.t[0];
    results.t[0] = NULL;
    sonde_values_release(&results);
    return SONDE_OK;
}

void sonde_values_release(sonde_values *values)
{
    for (int i = 0; i < values->n; i++) sonde_tensor_release(values->t[i]);
    values->n = 0;
}
