#include "autograd/node.h"
#include "autograd/watch.h"

#include <string.h>

static _Thread_local uint64_t last_id;
static _Thread_local sonde_node *dead; /* nodes waiting to be freed, and */
static _Thread_local bool burying;     /* whether someone is at it: a long chain must not recurse */

/* ---- values --------------------------------------------------------------------------------------------- */

static void describe(sonde_value *value, const sonde_tensor *t)
{
    value->dtype = t->dtype;
    value->ndim = t->ndim;
    memcpy(value->shape, t->shape, (size_t)t->ndim * sizeof *t->shape);
    value->rewrites = t->storage->rewrites;
}

static bool describes(const sonde_value *value, const sonde_tensor *t)
{
    return value->dtype == t->dtype && value->ndim == t->ndim &&
           memcmp(value->shape, t->shape, (size_t)t->ndim * sizeof *t->shape) == 0;
}

static void clear_value(sonde_value *value)
{
    sonde_tensor_release(value->grad);
    sonde_tensor_release(value->pending);
    value->grad = value->pending = NULL;
    sonde_hooks_clear(&value->hooks);
    sonde_hooks_clear(&value->watchers);
}

/* A leaf whose tensor has become another one inside (converted to another dtype): hooks move along. */
static void rewrite_leaf(sonde_value *value, const sonde_tensor *t)
{
    describe(value, t);
    sonde_tensor_release(value->grad);
    value->grad = NULL;
}

sonde_value *sonde_value_of(sonde_tensor *t)
{
    sonde_value *value = t->autograd;
    if (!value) {
        value = sonde_alloc_zeroed(sizeof *value);
        if (!value) return NULL;
        value->refs = 1;
        describe(value, t);
        t->autograd = value;
    } else if (!value->node && !describes(value, t)) {
        rewrite_leaf(value, t);
    }
    return value;
}

sonde_value *sonde_value_retain(sonde_value *value)
{
    if (value->node) sonde_node_retain(value->node);
    else value->refs++;
    return value;
}

void sonde_value_release(sonde_value *value)
{
    if (!value) return;
    if (value->node) {
        sonde_node_release(value->node);
    } else if (--value->refs == 0) {
        clear_value(value);
        sonde_free(value);
    }
}

void sonde_value_move(sonde_tensor *t, sonde_value *value)
{
    sonde_value *old = t->autograd;
    if (old && value) value->retain_grad = old->retain_grad;
    t->autograd = value;
    sonde_value_release(old);
}

sonde_status sonde_value_to_read(sonde_value **out, sonde_tensor *t)
{
    *out = sonde_value_of(t);
    if (!*out) return SONDE_ENOMEM;
    if ((*out)->node && (*out)->node->op->is_view && (*out)->rewrites != t->storage->rewrites)
        return sonde_fail(SONDE_ESTATE,
                          "this view ('%s') was taken before the tensor it looks into was changed in place; "
                          "take the view again",
                          (*out)->node->op->name);
    return SONDE_OK;
}

static const char *value_op_name(const sonde_value *value) { return value->node ? value->node->op->name : NULL; }

__attribute__((constructor)) static void join_tensors(void)
{
    sonde_tensor_autograd = (sonde_tensor_autograd_calls){.free = sonde_value_release, .op_name = value_op_name};
}

uint64_t sonde_tape_position(void) { return last_id; }

/* ---- nodes ---------------------------------------------------------------------------------------------- */

void sonde_node_retain(sonde_node *node) { node->refs++; }

static void release_saved(sonde_node *node)
{
    const int n = __builtin_popcount(node->saves);
    for (int i = 0; i < n; i++) sonde_storage_release(node->saved[i].tensor.storage);
    node->saves = 0;
    for (int i = 0; i < node->n_extra; i++) sonde_tensor_release(node->extra[i]);
    node->n_extra = 0;
}

static void release_inputs(sonde_node *node)
{
    for (int i = 0; i < node->n_in; i++) {
        sonde_value_release(node->in[i]);
        node->in[i] = NULL;
    }
}

void sonde_node_spend(sonde_node *node)
{
    if (node->spent) return;
    node->spent = true;
    release_saved(node);
    for (int k = 0; k < node->n_out; k++) {
        sonde_hooks_clear(&node->out[k].hooks);
        sonde_hooks_clear(&node->out[k].watchers);
    }
    release_inputs(node);
    if (node->op->free_args) node->op->free_args(node->args);
}

static void bury(sonde_node *node)
{
    sonde_node_spend(node);
    for (int k = 0; k < node->n_out; k++) clear_value(&node->out[k]);
    sonde_free(node);
}

void sonde_node_release(sonde_node *node)
{
    if (--node->refs > 0) return;
    node->next_dead = dead;
    dead = node;
    if (burying) return;
    burying = true;
    while (dead) {
        sonde_node *next = dead;
        dead = next->next_dead;
        bury(next);
    }
    burying = false;
}

/* Bits of the saves that there is something for. */
static uint32_t saves_of(const sonde_call *call)
{
    uint32_t saves = 0;
    for (int i = 0; i < call->n_in; i++)
        if (call->in[i]) saves |= call->saves & (1u << i);
    for (int k = 0; k < call->n_out; k++) saves |= call->saves & ((uint32_t)SONDE_SAVE_OUT0 << k);
    return saves;
}

static void save(saved_tensor *slot, const sonde_tensor *t)
{
    slot->tensor = *t;
    slot->tensor.refs = 1;
    slot->tensor.requires_grad = false;
    slot->tensor.autograd = NULL;
    slot->tensor.base = NULL;
    slot->tensor.storage->refs++;
    slot->version = t->storage->version;
}

static void *take(char **memory, size_t bytes)
{
    void *at = *memory;
    *memory += (bytes + 15) & ~(size_t)15;
    return at;
}

static size_t rounded(size_t bytes) { return (bytes + 15) & ~(size_t)15; }

/* One block: the node and behind it its values, inputs, extras, args and saved tensors. */
static sonde_node *allocate(const sonde_call *call, uint32_t saves)
{
    const size_t args_size = call->op->args_size, n_saved = (size_t)__builtin_popcount(saves);
    const size_t head = rounded(sizeof(sonde_node) + (size_t)call->n_out * sizeof(sonde_value));
    const size_t in_size = (size_t)call->n_in * sizeof(sonde_value *),
                 extra_size = (size_t)call->n_extra * sizeof(sonde_tensor *);
    char *memory = sonde_alloc(head + rounded(in_size) + rounded(extra_size) + rounded(args_size) +
                               n_saved * sizeof(saved_tensor));
    if (!memory) return NULL;
    sonde_node *node = (sonde_node *)memory;
    memset(node, 0, head);
    memory += head;
    node->in = take(&memory, in_size);
    node->extra = take(&memory, extra_size);
    node->args = take(&memory, args_size);
    node->saved = (saved_tensor *)memory;
    return node;
}

static sonde_status find_inputs(const sonde_call *call, sonde_value **in)
{
    for (int i = 0; i < call->n_in; i++) {
        in[i] = NULL;
        if (call->in[i] && call->in[i]->requires_grad) SONDE_TRY(sonde_value_to_read(&in[i], call->in[i]));
    }
    return SONDE_OK;
}

sonde_status sonde_node_record(sonde_call *call, sonde_tensor *const *copies, sonde_node **out)
{
    sonde_value *in[SONDE_OP_MAX_IN];
    SONDE_TRY(find_inputs(call, in));
    const uint32_t saves = saves_of(call);
    sonde_node *node = allocate(call, saves);
    if (!node) return SONDE_ENOMEM;
    node->op = call->op;
    node->id = ++last_id;
    node->n_in = call->n_in;
    node->n_out = call->n_out;
    node->saves = saves;
    if (sonde_numbers_on) node->place = sonde_numbers_place();
    for (int i = 0; i < call->n_in; i++) node->in[i] = in[i] ? sonde_value_retain(in[i]) : NULL;
    node->n_extra = call->n_extra;
    for (int i = 0; i < call->n_extra; i++) node->extra[i] = call->extra[i];
    call->n_extra = 0;
    if (call->op->args_size) memcpy(node->args, call->args, call->op->args_size);
    call->args_taken = true;
    saved_tensor *slot = node->saved;
    for (int i = 0; i < call->n_in; i++)
        if (saves & (1u << i)) save(slot++, copies && copies[i] ? copies[i] : call->in[i]);
    for (int k = 0; k < call->n_out; k++) {
        if (saves & ((uint32_t)SONDE_SAVE_OUT0 << k)) save(slot++, call->out[k]);
        node->out[k].node = node;
        describe(&node->out[k], call->out[k]);
    }
    node->refs = copies ? 1 : 0;
    for (int k = 0; k < call->n_out && !copies; k++) {
        if (!sonde_dtype_is_float(call->out[k]->dtype)) continue;
        node->refs++;
        call->out[k]->autograd = &node->out[k];
        call->out[k]->requires_grad = true;
    }
    *out = node;
    return SONDE_OK;
}

sonde_status sonde_node_check_saved(const sonde_node *node)
{
    const int n = __builtin_popcount(node->saves);
    for (int i = 0; i < n; i++) {
        const uint32_t now = node->saved[i].tensor.storage->version, then = node->saved[i].version;
        if (__builtin_expect(now != then, 0)) {
            char text[SONDE_SHAPE_TEXT];
            return sonde_fail(
                SONDE_ESTATE,
                "a tensor of shape %s needed by the backward of '%s' was changed in place (version %u, expected "
                "%u): use the operator that returns a new tensor, or clone it first",
                sonde_shape_text(text, node->saved[i].tensor.ndim, node->saved[i].tensor.shape), node->op->name, now,
                then);
        }
    }
    return SONDE_OK;
}

/* ---- what a row's backward asks ------------------------------------------------------------------------- */

const void *sonde_node_args(const sonde_node *node) { return node->args; }

bool sonde_node_needs(const sonde_node *node, int input)
{
    const sonde_value *value = node->in[input];
    return value && value->needed;
}

static sonde_tensor *saved_at(const sonde_node *node, uint32_t bit)
{
    if (!(node->saves & bit)) return NULL;
    return &node->saved[__builtin_popcount(node->saves & (bit - 1))].tensor;
}

sonde_tensor *sonde_node_in(const sonde_node *node, int input) { return saved_at(node, 1u << input); }
sonde_tensor *sonde_node_out(const sonde_node *node, int output)
{
    return saved_at(node, (uint32_t)SONDE_SAVE_OUT0 << output);
}
sonde_tensor *sonde_node_extra(const sonde_node *node, int i) { return i < node->n_extra ? node->extra[i] : NULL; }
sonde_tensor *sonde_node_grad(const sonde_node *node, int output) { return node->out[output].pending; }

const int64_t *sonde_node_in_shape(const sonde_node *node, int input, int *ndim)
{
    *ndim = node->in[input]->ndim;
    return node->in[input]->shape;
}
