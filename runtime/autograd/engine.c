#include "autograd/node.h"
#include "autograd/watch.h"

/* One backward: first the nodes that lead to the root are found, newest first, which is the order in which they run;
 * then each runs. A value is complete when its last reader in this walk has run. */

typedef struct node_list {
    sonde_node **items, *few[64];
    size_t n, capacity;
} node_list;

typedef struct backward_walk {
    uint64_t id;
    bool capturing; /* sonde_gradients: only wanted values count, .grad is left alone */
    bool retain_graph;
    bool aside;     /* every .grad is put aside and back */
    node_list heap, order;
    sonde_value *leaves;
} backward_walk;

static _Thread_local uint64_t last_walk;
static _Thread_local bool walking;
static _Thread_local const sonde_value *watched; /* whose watchers are being told */
static _Thread_local sonde_autograd_observer *observers;

/* ---- lists ---------------------------------------------------------------------------------------------- */

static void list_start(node_list *list)
{
    list->items = list->few;
    list->n = 0;
    list->capacity = sizeof list->few / sizeof *list->few;
}

static void list_end(node_list *list)
{
    if (list->items != list->few) sonde_free(list->items);
}

static sonde_status list_grow(node_list *list)
{
    const size_t capacity = 2 * list->capacity;
    sonde_node **items = list->items == list->few ? NULL : list->items;
    items = sonde_realloc(items, capacity * sizeof *items);
    if (!items) return SONDE_ENOMEM;
    if (list->items == list->few)
        for (size_t i = 0; i < list->n; i++) items[i] = list->few[i];
    list->items = items;
    list->capacity = capacity;
    return SONDE_OK;
}

static sonde_status list_append(node_list *list, sonde_node *node)
{
    if (list->n == list->capacity) SONDE_TRY(list_grow(list));
    list->items[list->n++] = node;
    return SONDE_OK;
}

/* A heap with the newest node on top. */
static sonde_status heap_push(node_list *heap, sonde_node *node)
{
    SONDE_TRY(list_append(heap, node));
    size_t at = heap->n - 1;
    for (; at > 0 && heap->items[(at - 1) / 2]->id < node->id; at = (at - 1) / 2)
        heap->items[at] = heap->items[(at - 1) / 2];
    heap->items[at] = node;
    return SONDE_OK;
}

static sonde_node *heap_pop(node_list *heap)
{
    sonde_node *top = heap->items[0], *last = heap->items[--heap->n];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->n) break;
        if (child + 1 < heap->n && heap->items[child + 1]->id > heap->items[child]->id) child++;
        if (heap->items[child]->id < last->id) break;
        heap->items[at] = heap->items[child];
        at = child;
    }
    heap->items[at] = last;
    return top;
}

/* ---- finding -------------------------------------------------------------------------------------------- */

/* First sight of a value in this walk; its maker, if it is new as well, goes on the heap. */
static sonde_status enter_value(backward_walk *walk, sonde_value *value)
{
    value->walk = walk->id;
    value->waiting = 0;
    value->oldest = UINT64_MAX;
    value->newest = 0;
    value->reached = value->fresh = false;
    value->needed = !walk->capturing || value->wanted;
    value->direct = !value->node && !walk->capturing && value->hooks.n == 0;
    if (!value->node) {
        value->next_leaf = walk->leaves;
        walk->leaves = sonde_value_retain(value);
        if (walk->aside) {
            value->put_aside = value->grad;
            value->grad = NULL;
        }
        return SONDE_OK;
    }
    sonde_node *node = value->node;
    if (node->walk == walk->id) return SONDE_OK;
    if (node->spent)
        return sonde_fail(SONDE_ESTATE,
                          "backward a second time: the graph of '%s' was freed by the first one; call it with "
                          "retain_graph = true the first time, or compute the result again",
                          node->op->name);
    SONDE_TRY(heap_push(&walk->heap, node));
    node->walk = walk->id;
    sonde_node_retain(node);
    return SONDE_OK;
}

static sonde_status find_nodes(backward_walk *walk, sonde_value *root)
{
    SONDE_TRY(enter_value(walk, root));
    root->waiting = 1;
    root->newest = UINT64_MAX;
    while (walk->heap.n > 0) {
        sonde_node *node = walk->heap.items[0];
        SONDE_TRY(list_append(&walk->order, node));
        heap_pop(&walk->heap);
        for (int i = 0; i < node->n_in; i++) {
            sonde_value *value = node->in[i];
            if (!value) continue;
            if (value->walk != walk->id) SONDE_TRY(enter_value(walk, value));
            value->waiting++;
            value->oldest = node->id; /* newest first */
            if (node->id > value->newest) value->newest = node->id;
        }
    }
    return SONDE_OK;
}

static bool reads_needed(const sonde_node *node)
{
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && node->in[i]->needed) return true;
    return false;
}

/* Oldest first: what a node makes is needed if something it reads is. */
static void find_needed(backward_walk *walk)
{
    for (size_t i = walk->order.n; i-- > 0;) {
        sonde_node *node = walk->order.items[i];
        if (!reads_needed(node)) continue;
        for (int k = 0; k < node->n_out; k++) node->out[k].needed = true;
    }
}

/* ---- running -------------------------------------------------------------------------------------------- */

static sonde_status run_hooks(sonde_value *value)
{
    sonde_hook_walk hooks = sonde_hooks_walk(&value->hooks);
    sonde_status status = SONDE_OK;
    for (sonde_handle *h; status == SONDE_OK && (h = sonde_hooks_next(&hooks));) {
        sonde_tensor *replacement = NULL, *plain = NULL;
        status = ((sonde_grad_hook)h->callback)(h->context, value->pending, &replacement);
        if (status != SONDE_OK || !replacement) continue;
        if (replacement->dtype != value->dtype || !sonde_tensor_same_shape(replacement, value->pending)) {
            char got[SONDE_SHAPE_TEXT], want[SONDE_SHAPE_TEXT];
            status = sonde_fail(SONDE_ESHAPE, "a gradient hook returned a %s tensor of shape %s, expected %s %s",
                                sonde_dtype_name(replacement->dtype),
                                sonde_shape_text(got, replacement->ndim, replacement->shape),
                                sonde_dtype_name(value->dtype), sonde_shape_text(want, value->ndim, value->shape));
        } else if ((status = sonde_plain(&plain, replacement)) == SONDE_OK) {
            sonde_tensor_release(value->pending);
            value->pending = plain;
        }
        sonde_tensor_release(replacement);
    }
    sonde_hooks_end(&hooks);
    return status;
}

static void run_watchers(sonde_value *value, const sonde_tensor *gradient)
{
    sonde_hook_walk watchers = sonde_hooks_walk(&value->watchers);
    watched = value;
    for (sonde_handle *h; (h = sonde_hooks_next(&watchers));) ((sonde_grad_watcher)h->callback)(h->context, gradient);
    watched = NULL;
    sonde_hooks_end(&watchers);
}

bool sonde_gradient_is_from(uint64_t after, uint64_t upto)
{
    return watched && watched->oldest > after && watched->newest <= upto;
}

/* The last reader of this value has run: its gradient is whole. */
static sonde_status complete(backward_walk *walk, sonde_value *value)
{
    if (!value->reached) return SONDE_OK;
    if (value->hooks.n > 0 && value->pending) SONDE_TRY(run_hooks(value));
    if (walk->capturing) return SONDE_OK;
    if (!value->node && !value->direct) {
        sonde_tensor *gradient = value->pending;
        value->pending = NULL;
        value->direct = true; /* from here on as any leaf */
        sonde_status status =
            sonde_value_contribute(value, gradient, gradient->refs == 1 && gradient->storage->refs == 1);
        sonde_tensor_release(gradient);
        SONDE_TRY(status);
    } else if (value->node && value->retain_grad) {
        value->direct = true; /* into grad, beside what the node goes on with */
        sonde_status status = sonde_value_contribute(value, value->pending, false);
        value->direct = false;
        SONDE_TRY(status);
    }
    value->fresh = false;
    if (value->watchers.n > 0) run_watchers(value, value->node ? value->pending : value->grad);
    return SONDE_OK;
}

static bool any_gradient(const sonde_node *node)
{
    for (int k = 0; k < node->n_out; k++)
        if (node->out[k].pending) return true;
    return false;
}

static sonde_status run_node(backward_walk *walk, sonde_node *node)
{
    const bool runs = any_gradient(node) && reads_needed(node);
    if (runs) {
        SONDE_TRY(sonde_node_check_saved(node));
        SONDE_TRY(node->op->backward(node));
        if (sonde_numbers_on) sonde_numbers_gave(node);
    }
    for (int k = 0; k < node->n_out; k++) {
        sonde_value *value = &node->out[k];
        if (!value->pending || (walk->capturing && value->wanted)) continue;
        sonde_tensor_release(value->pending);
        value->pending = NULL;
    }
    for (int i = 0; i < node->n_in; i++) {
        sonde_value *value = node->in[i];
        if (value && --value->waiting == 0) SONDE_TRY(complete(walk, value));
    }
    if (!walk->retain_graph && (runs || !walk->capturing)) sonde_node_spend(node);
    return SONDE_OK;
}

static sonde_status run_all(backward_walk *walk, sonde_value *root, sonde_tensor *seed)
{
    SONDE_TRY(find_nodes(walk, root));
    if (walk->capturing) find_needed(walk);
    SONDE_TRY(sonde_value_contribute(root, seed, false));
    SONDE_TRY(complete(walk, root));
    for (size_t i = 0; i < walk->order.n; i++) {
        SONDE_TRY(run_node(walk, walk->order.items[i]));
        sonde_node_release(walk->order.items[i]); /* often the last reference: its memory is used again at once */
        walk->order.items[i] = NULL;
    }
    return SONDE_OK;
}

/* ---- around it ------------------------------------------------------------------------------------------ */

static void drop_pending(sonde_value *value)
{
    sonde_tensor_release(value->pending);
    value->pending = NULL;
}

/* After a failure part of the walk is left: contributions are dropped, and gradients begun but not whole. */
static void clean_up(backward_walk *walk)
{
    for (size_t i = 0; i < walk->heap.n; i++) sonde_node_release(walk->heap.items[i]);
    for (size_t i = 0; i < walk->order.n; i++) {
        sonde_node *node = walk->order.items[i];
        if (!node) continue;
        for (int k = 0; k < node->n_out; k++) drop_pending(&node->out[k]);
        sonde_node_release(node);
    }
    while (walk->leaves) {
        sonde_value *leaf = walk->leaves;
        walk->leaves = leaf->next_leaf;
        drop_pending(leaf);
        if (leaf->fresh || walk->aside) {
            sonde_tensor_release(leaf->grad);
            leaf->grad = leaf->put_aside;
            leaf->put_aside = NULL;
        }
        sonde_value_release(leaf);
    }
    list_end(&walk->heap);
    list_end(&walk->order);
}

static sonde_status make_seed(sonde_tensor **out, sonde_tensor *root, sonde_tensor *gradient)
{
    if (walking)
        return sonde_fail(SONDE_ESTATE, "backward inside a hook of another backward in the same thread");
    if (!root->requires_grad)
        return sonde_fail(SONDE_ESTATE, "backward of a tensor that does not require a gradient and has no history");
    if (!gradient) {
        if (sonde_tensor_numel(root) == 1) return sonde_tensor_full(out, root->dtype, root->ndim, root->shape, 1);
        char text[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE,
                          "backward without a gradient needs a tensor of one element, got shape %s: reduce it, "
                          "or give the gradient",
                          sonde_shape_text(text, root->ndim, root->shape));
    }
    if (!sonde_tensor_same_shape(root, gradient)) {
        char want[SONDE_SHAPE_TEXT], got[SONDE_SHAPE_TEXT];
        return sonde_fail(SONDE_ESHAPE, "backward of a tensor of shape %s with a gradient of shape %s",
                          sonde_shape_text(want, root->ndim, root->shape),
                          sonde_shape_text(got, gradient->ndim, gradient->shape));
    }
    sonde_tensor *converted;
    SONDE_TRY(sonde_tensor_to(&converted, gradient, root->dtype));
    sonde_status status = sonde_plain(out, converted);
    sonde_tensor_release(converted);
    return status;
}

static sonde_status walk_backward(backward_walk *walk, sonde_value *root, sonde_tensor *seed)
{
    const bool was_enabled = sonde_grad_enable(false);
    walking = true;
    walk->id = ++last_walk;
    walk->leaves = NULL;
    list_start(&walk->heap);
    list_start(&walk->order);
    sonde_status status = run_all(walk, root, seed);
    walking = false;
    sonde_grad_enable(was_enabled);
    return status;
}

static sonde_status observed_backward(sonde_tensor *root, sonde_tensor *gradient, backward_walk *walk)
{
    sonde_tensor *seed;
    sonde_value *value;
    SONDE_TRY(make_seed(&seed, root, gradient));
    sonde_status status = sonde_value_to_read(&value, root);
    if (status == SONDE_OK) {
        for (sonde_autograd_observer *o = observers; o; o = o->next)
            if (o->backward_begin) o->backward_begin(o->context);
        status = walk_backward(walk, value, seed);
        clean_up(walk);
        for (sonde_autograd_observer *o = observers, *next; o; o = next) {
            next = o->next; /* it may leave */
            if (o->backward_end) o->backward_end(o->context, status);
        }
    }
    sonde_tensor_release(seed);
    return status;
}

sonde_status sonde_backward(sonde_tensor *root, sonde_tensor *gradient, bool retain_graph)
{
    return observed_backward(root, gradient, &(backward_walk){.retain_graph = retain_graph});
}

sonde_status sonde_backward_aside(sonde_tensor *root)
{
    return observed_backward(root, NULL, &(backward_walk){.aside = true});
}

static sonde_status find_wanted(int n, sonde_tensor *const *inputs, sonde_value **wanted)
{
    for (int i = 0; i < n; i++) {
        if (!inputs[i]->requires_grad)
            return sonde_fail(SONDE_ESTATE, "gradient of input %d, which does not require one", i + 1);
        wanted[i] = sonde_value_of(inputs[i]);
        if (!wanted[i]) return SONDE_ENOMEM;
    }
    return SONDE_OK;
}

sonde_status sonde_gradients(sonde_tensor *root, sonde_tensor *gradient, int n, sonde_tensor *const *inputs,
                             bool retain_graph, sonde_tensor **out)
{
    sonde_tensor *seed;
    sonde_value *value, **wanted = sonde_alloc((size_t)(n > 0 ? n : 1) * sizeof *wanted);
    if (!wanted) return SONDE_ENOMEM;
    sonde_status status = make_seed(&seed, root, gradient);
    if (status != SONDE_OK) seed = NULL;
    if (status == SONDE_OK) status = find_wanted(n, inputs, wanted);
    if (status == SONDE_OK) status = sonde_value_to_read(&value, root);
    if (status == SONDE_OK) {
        backward_walk walk = {.retain_graph = retain_graph, .capturing = true};
        for (int i = 0; i < n; i++) wanted[i]->wanted = true;
        status = walk_backward(&walk, value, seed);
        for (int i = 0; i < n; i++) {
            wanted[i]->wanted = false;
            out[i] = NULL;
            if (status == SONDE_OK && wanted[i]->pending) out[i] = sonde_tensor_retain(wanted[i]->pending);
        }
        for (int i = 0; i < n; i++) drop_pending(wanted[i]);
        clean_up(&walk);
    }
    sonde_free(wanted);
    sonde_tensor_release(seed);
    return status;
}

void sonde_autograd_observe(sonde_autograd_observer *observer)
{
    sonde_autograd_observer **at = &observers;
    while (*at) at = &(*at)->next;
    observer->next = NULL;
    *at = observer;
}

void sonde_autograd_unobserve(sonde_autograd_observer *observer)
{
    for (sonde_autograd_observer **at = &observers; *at; at = &(*at)->next)
        if (*at == observer) {
            *at = observer->next;
            return;
        }
}
