#include "autograd/rows.h"

#include <math.h>

enum {
    QUERY = SONDE_ATTENTION_QUERY,
    KEY = SONDE_ATTENTION_KEY,
    VALUE = SONDE_ATTENTION_VALUE,
    MASK = SONDE_ATTENTION_MASK,
    KEY_MASK = SONDE_ATTENTION_KEY_MASK,
    INPUTS = SONDE_ATTENTION_INPUTS
};

/* ---- where the heads lie ---------------------------------------------------------------------------------- */

/* One of query, key, value or y: head h of sample n starts at data + n step + h width, its rows are ld apart. */
typedef struct part {
    char *data;
    int64_t ld, step;
} part;

typedef struct run {
    sonde_dtype dtype;
    int64_t batch, heads, queries, keys, width; /* width: D, of one head */
    double scale;                               /* 1/√D */
    bool batch_first;
    const sonde_loops *loops;
} run;

static int time_axis(bool batch_first)
{
    return batch_first ? 1 : 0;
}

/* All but the width, which set_width sets. */
static run run_of(const sonde_attention_args *args, const sonde_tensor *weights)
{
    return (run){.dtype = weights->dtype,
                 .batch = weights->shape[0],
                 .heads = weights->shape[1],
                 .queries = weights->shape[2],
                 .keys = weights->shape[3],
                 .batch_first = args->batch_first,
                 .loops = sonde_loops_of(weights->dtype)};
}

static void set_width(run *r, int64_t features)
{
    r->width = features / r->heads;
    r->scale = 1 / sqrt((double)r->width);
}

static char *elements(const run *r, const void *data, int64_t n)
{
    return (char *)data + n * (int64_t)sonde_dtype_size(r->dtype);
}

/* t [.., columns], of which this part is E columns from number `first` on. */
static part part_of(const run *r, const sonde_tensor *t, int64_t first)
{
    const int64_t columns = t->shape[2], length = t->shape[time_axis(r->batch_first)];
    return (part){.data = elements(r, sonde_tensor_data(t), first),
                  .ld = r->batch_first ? columns : r->batch * columns,
                  .step = r->batch_first ? length * columns : columns};
}

static char *head(const run *r, const part *p, int64_t n, int64_t h)
{
    return elements(r, p->data, n * p->step + h * r->width);
}

/* Query, key and value: three tensors, or the thirds of one. */
static void parts_of(const run *r, sonde_tensor *const t[3], part parts[3])
{
    for (int i = 0; i < 3; i++) parts[i] = part_of(r, t[KEY] ? t[i] : t[QUERY], t[KEY] ? 0 : i * r->heads * r->width);
}

/* What backward and forward read, contiguous; what is absent stays NULL. */
static sonde_status ready_all(sonde_tensor *ready_in[], sonde_tensor *const in[], int n)
{
    for (int i = 0; i < n; i++)
        if (in[i]) SONDE_TRY(sonde_tensor_contiguous(&ready_in[i], in[i]));
    return SONDE_OK;
}

static void release_all(sonde_tensor *t[], int n)
{
    for (int i = 0; i < n; i++) sonde_tensor_release(t[i]);
}

/* y [rows, columns] (+)= scale · x, rows ld apart (0: every row is the same). */
static void add_scaled(const run *r, void *y, const void *x, double scale, int64_t rows, int64_t columns, int64_t ld,
                       bool add)
{
    const sonde_loop loop = {.ndim = 2, .n_operands = 2, .size = {rows, columns}, .stride = {{columns, 1}, {ld, 1}}};
    r->loops->accumulate(y, x, scale, &loop, add);
}

/* y [n] = a ∘ b */
static void multiply(const run *r, void *y, const void *a, const void *b, int64_t n)
{
    const sonde_loop loop = {.ndim = 1, .n_operands = 3, .size = {n}, .stride = {{1}, {1}, {1}}};
    r->loops->binary(SONDE_MUL, y, a, b, &loop);
}

/* ---- shapes ----------------------------------------------------------------------------------------------- */

static sonde_status check_dtypes(const sonde_call *call)
{
    static const char *const names[INPUTS] = {"query", "key", "value", "mask", "key_mask"};
    SONDE_TRY(need_float(call, QUERY));
    for (int i = 1; i < INPUTS; i++)
        if (call->in[i] && call->in[i]->dtype != call->in[QUERY]->dtype)
            return sonde_fail(SONDE_EDTYPE, "attention: the query is %s, the %s %s: convert one of them",
                              sonde_dtype_name(call->in[QUERY]->dtype), names[i], sonde_dtype_name(call->in[i]->dtype));
    return SONDE_OK;
}

static sonde_status check_masks(const sonde_call *call, int64_t batch, int64_t heads, int64_t queries, int64_t keys)
{
    const sonde_tensor *mask = call->in[MASK], *key_mask = call->in[KEY_MASK];
    char text[SONDE_SHAPE_TEXT];
    if (mask) {
        const int64_t want[3] = {batch * heads, queries, keys};
        const bool fits = (mask->ndim == 2 || mask->ndim == 3) &&
                          memcmp(mask->shape, want + 3 - mask->ndim, (size_t)mask->ndim * sizeof *want) == 0;
        if (!fits)
            return sonde_fail(SONDE_ESHAPE, "expected an attn_mask [%lld, %lld] or [%lld, %lld, %lld], got %s",
                              (long long)queries, (long long)keys, (long long)want[0], (long long)queries,
                              (long long)keys, sonde_shape_text(text, mask->ndim, mask->shape));
    }
    if (key_mask && (key_mask->ndim != 2 || key_mask->shape[0] != batch || key_mask->shape[1] != keys))
        return sonde_fail(SONDE_ESHAPE, "expected a key_padding_mask [%lld, %lld], got %s", (long long)batch,
                          (long long)keys, sonde_shape_text(text, key_mask->ndim, key_mask->shape));
    return SONDE_OK;
}

static sonde_status attention_shape(sonde_call *call)
{
    const sonde_attention_args *args = call->args;
    const sonde_tensor *q = call->in[QUERY], *k = call->in[KEY], *v = call->in[VALUE];
    const int time = time_axis(args->batch_first);
    char text_q[SONDE_SHAPE_TEXT], text_k[SONDE_SHAPE_TEXT], text_v[SONDE_SHAPE_TEXT];
    SONDE_TRY(check_dtypes(call));
    sonde_shape_text(text_q, q->ndim, q->shape);
    if (q->ndim != 3 || q->shape[time] < 1)
        return sonde_fail(SONDE_ESHAPE, "attention: expected a query with three axes and at least one position, got %s",
                          text_q);
    bool fits = !k == !v;
    if (k && v)
        fits = k->ndim == 3 && v->ndim == 3 && k->shape[1 - time] == q->shape[1 - time] && k->shape[2] == q->shape[2] &&
               k->shape[time] >= 1 && sonde_tensor_same_shape(k, v);
    if (!fits)
        return sonde_fail(SONDE_ESHAPE, "attention: query %s, key %s and value %s do not fit", text_q,
                          k ? sonde_shape_text(text_k, k->ndim, k->shape) : "none",
                          v ? sonde_shape_text(text_v, v->ndim, v->shape) : "none");
    const int64_t thirds = k ? 1 : 3;
    if (args->heads < 1 || q->shape[2] < 1 || q->shape[2] % (thirds * args->heads) != 0)
        return sonde_fail(SONDE_EARG, "attention: %lld features cannot be cut into %lld heads", (long long)q->shape[2],
                          (long long)args->heads);
    if (!(args->dropout >= 0 && args->dropout <= 1))
        return sonde_fail(SONDE_EARG, "attention: dropout must be between 0 and 1, got %g", args->dropout);
    const int64_t keys = (k ? k : q)->shape[time];
    SONDE_TRY(check_masks(call, q->shape[1 - time], args->heads, q->shape[time], keys));
    out_like(call, 0, q->dtype, q);
    call->out_shape[0][2] = q->shape[2] / thirds;
    call->out_dtype[1] = q->dtype;
    call->out_ndim[1] = 4;
    memcpy(call->out_shape[1], (int64_t[]){q->shape[1 - time], args->heads, q->shape[time], keys}, 4 * sizeof(int64_t));
    return SONDE_OK;
}

/* ---- forward ---------------------------------------------------------------------------------------------- */

/* p [L, S] = softmax(Q Kᵀ/√D + masks); scratch: L · D elements */
static void probabilities(const run *r, void *p, void *scratch, const part parts[3], sonde_tensor *const in[INPUTS],
                          int64_t n, int64_t h)
{
    const sonde_tensor *mask = in[MASK], *key_mask = in[KEY_MASK];
    const int64_t l = r->queries, s = r->keys, d = r->width;
    add_scaled(r, scratch, head(r, &parts[QUERY], n, h), r->scale, l, d, parts[QUERY].ld, false);
    sonde_matmul_kernel(r->dtype, p, scratch, head(r, &parts[KEY], n, h), l, s, d, d, parts[KEY].ld, s, false, true,
                        false);
    const int64_t own = mask && mask->ndim == 3 ? (n * r->heads + h) * l * s : 0;
    if (mask) add_scaled(r, p, elements(r, sonde_tensor_data(mask), own), 1, l, s, s, true);
    if (key_mask) add_scaled(r, p, elements(r, sonde_tensor_data(key_mask), n * s), 1, l, s, 0, true);
    r->loops->softmax(p, p, l, s, 1, false);
}

/* Makes P and the dropout's mask, which backward needs besides W. */
static sonde_status make_dropped(sonde_call *call, const sonde_attention_args *args)
{
    const sonde_tensor *w = call->out[1];
    for (; call->n_extra < 2; call->n_extra++) SONDE_TRY(sonde_tensor_like(&call->extra[call->n_extra], w));
    sonde_stream_fill_bernoulli(args->stream, w->dtype, sonde_tensor_data(call->extra[1]),
                                (size_t)sonde_tensor_numel(w), 1 - args->dropout,
                                args->dropout < 1 ? 1 / (1 - args->dropout) : 0);
    return SONDE_OK;
}

static sonde_status attention_forward(sonde_call *call)
{
    const sonde_attention_args *args = call->args;
    sonde_tensor *in[INPUTS] = {NULL}, *y = call->out[0], *w = call->out[1];
    const bool dropped = args->dropout > 0;
    run r = run_of(args, w);
    set_width(&r, y->shape[2]);
    if (dropped) SONDE_TRY(make_dropped(call, args));
    if (r.batch == 0) return SONDE_OK;
    void *scratch = sonde_alloc((size_t)(r.queries * r.width) * sonde_dtype_size(r.dtype));
    if (!scratch) return SONDE_ENOMEM;
    const sonde_status status = ready_all(in, call->in, INPUTS);
    if (status == SONDE_OK) {
        part parts[3], result = part_of(&r, y, 0);
        parts_of(&r, in, parts);
        const int64_t l = r.queries, s = r.keys;
        for (int64_t i = 0; i < r.batch * r.heads; i++) {
            const int64_t n = i / r.heads, h = i % r.heads;
            char *weights = elements(&r, sonde_tensor_data(w), i * l * s);
            char *p = dropped ? elements(&r, sonde_tensor_data(call->extra[0]), i * l * s) : weights;
            probabilities(&r, p, scratch, parts, in, n, h);
            if (dropped) multiply(&r, weights, p, elements(&r, sonde_tensor_data(call->extra[1]), i * l * s), l * s);
            sonde_matmul_kernel(r.dtype, head(&r, &result, n, h), weights, head(&r, &parts[VALUE], n, h), l, r.width, s,
                                s, parts[VALUE].ld, result.ld, false, false, false);
        }
    }
    release_all(in, INPUTS);
    sonde_free(scratch);
    return status;
}

/* ---- backward --------------------------------------------------------------------------------------------- */

/* A backward under way: what is read, and where gradients go (data NULL: to nobody). */
typedef struct pass {
    run r;
    sonde_tensor *in[3];
    part parts[3], targets[3], dy;
    const sonde_tensor *w, *p, *dropout, *dw; /* dropout, dw: may be NULL; p: before dropout */
    sonde_tensor *dmask, *dkey_mask;          /* NULL: not wanted */
    bool add[3];
    char *scores; /* scratch: L · S elements */
} pass;

/* dS, the gradient of the scores, into b->scores: P ∘ (dP - Σ P dP), dP = dropout ∘ (dY Vᵀ + dW). */
static void give_scores(const pass *b, int64_t n, int64_t h)
{
    const run *r = &b->r;
    const int64_t l = r->queries, s = r->keys, at = (n * r->heads + h) * l * s;
    if (b->dy.data)
        sonde_matmul_kernel(r->dtype, b->scores, head(r, &b->dy, n, h), head(r, &b->parts[VALUE], n, h), l, s, r->width,
                            b->dy.ld, b->parts[VALUE].ld, s, false, true, false);
    if (b->dw) add_scaled(r, b->scores, elements(r, sonde_tensor_data(b->dw), at), 1, l, s, s, b->dy.data != NULL);
    if (b->dropout) multiply(r, b->scores, b->scores, elements(r, sonde_tensor_data(b->dropout), at), l * s);
    r->loops->softmax_backward(b->scores, b->scores, elements(r, sonde_tensor_data(b->p), at), l, s, 1, false, false);
}

static void give_masks(const pass *b, int64_t n, int64_t h)
{
    const run *r = &b->r;
    const int64_t l = r->queries, s = r->keys;
    if (b->dmask) {
        const int64_t own = b->dmask->ndim == 3 ? (n * r->heads + h) * l * s : 0;
        add_scaled(r, elements(r, sonde_tensor_data(b->dmask), own), b->scores, 1, l, s, s, true);
    }
    for (int64_t i = 0; b->dkey_mask && i < l; i++)
        add_scaled(r, elements(r, sonde_tensor_data(b->dkey_mask), n * s), elements(r, b->scores, i * s), 1, 1, s, s,
                   true);
}

/* dV (+)= Wᵀ dY, dQ (+)= dS K/√D, dK (+)= dSᵀ Q/√D */
static void give_head(const pass *b, int64_t n, int64_t h)
{
    const run *r = &b->r;
    const int64_t l = r->queries, s = r->keys, d = r->width, at = (n * r->heads + h) * l * s;
    const part *to = b->targets;
    if (to[VALUE].data && b->dy.data)
        sonde_matmul_kernel(r->dtype, head(r, &to[VALUE], n, h), elements(r, sonde_tensor_data(b->w), at),
                            head(r, &b->dy, n, h), s, d, l, s, b->dy.ld, to[VALUE].ld, true, false, b->add[VALUE]);
    if (!to[QUERY].data && !to[KEY].data && !b->dmask && !b->dkey_mask) return;
    give_scores(b, n, h);
    give_masks(b, n, h);
    add_scaled(r, b->scores, b->scores, r->scale, l, s, s, false);
    if (to[QUERY].data)
        sonde_matmul_kernel(r->dtype, head(r, &to[QUERY], n, h), b->scores, head(r, &b->parts[KEY], n, h), l, d, s, s,
                            b->parts[KEY].ld, to[QUERY].ld, false, false, b->add[QUERY]);
    if (to[KEY].data)
        sonde_matmul_kernel(r->dtype, head(r, &to[KEY], n, h), b->scores, head(r, &b->parts[QUERY], n, h), s, d, l, s,
                            b->parts[QUERY].ld, to[KEY].ld, true, false, b->add[KEY]);
}

static void zero(sonde_tensor *t)
{
    memset(sonde_tensor_data(t), 0, (size_t)sonde_tensor_numel(t) * sonde_dtype_size(t->dtype));
}

/* Where the gradient of query, key or value goes, with one packed input those of all three. What every head does not
 * overwrite begins at zero: a buffer that two inputs share, and dV where nothing came for y. */
static sonde_status open_target(pass *b, sonde_node *node, int input, bool packed)
{
    sonde_tensor *target;
    bool shared = false;
    if (!sonde_node_needs(node, input)) return SONDE_OK;
    SONDE_TRY(sonde_node_target(node, input, &target, &b->add[input]));
    if (b->r.batch == 0) return SONDE_OK;
    for (int k = input + 1; k < INPUTS; k++) shared |= node->in[k] == node->in[input];
    if (!b->add[input] && (shared || !b->dy.data)) {
        zero(target);
        b->add[input] = true;
    }
    b->targets[input] = part_of(&b->r, target, 0);
    for (int k = 1; packed && k < 3; k++) {
        b->targets[k] = part_of(&b->r, target, k * b->r.heads * b->r.width);
        b->add[k] = b->add[input];
    }
    return SONDE_OK;
}

static sonde_status open_mask(sonde_node *node, int input, sonde_tensor **target)
{
    bool add;
    if (!sonde_node_needs(node, input)) return SONDE_OK;
    SONDE_TRY(sonde_node_target(node, input, target, &add));
    if (!add) zero(*target);
    return SONDE_OK;
}

static sonde_status attention_backward(sonde_node *node)
{
    const sonde_attention_args *args = sonde_node_args(node);
    sonde_tensor *dy = sonde_node_grad(node, 0), *w = sonde_node_out(node, 1);
    const bool dropped = args->dropout > 0;
    pass b = {.r = run_of(args, w), .w = w, .p = w, .dw = sonde_node_grad(node, 1)};
    if (dropped) {
        b.p = sonde_node_extra(node, 0);
        b.dropout = sonde_node_extra(node, 1);
    }
    sonde_tensor *const in[3] = {sonde_node_in(node, QUERY), sonde_node_in(node, KEY), sonde_node_in(node, VALUE)};
    const bool packed = !in[KEY];
    set_width(&b.r, in[QUERY]->shape[2] / (packed ? 3 : 1));
    if (dy && b.r.batch > 0) b.dy = part_of(&b.r, dy, 0);
    const size_t size = sonde_dtype_size(b.r.dtype);
    b.scores = sonde_alloc(b.r.batch > 0 ? (size_t)(b.r.queries * b.r.keys) * size : size);
    sonde_status status = b.scores ? ready_all(b.in, in, 3) : SONDE_ENOMEM;
    if (status == SONDE_OK) {
        if (b.r.batch > 0) parts_of(&b.r, b.in, b.parts);
        for (int i = 0; i < (packed ? 1 : 3) && status == SONDE_OK; i++) status = open_target(&b, node, i, packed);
    }
    if (status == SONDE_OK) status = open_mask(node, MASK, &b.dmask);
    if (status == SONDE_OK) status = open_mask(node, KEY_MASK, &b.dkey_mask);
    for (int64_t i = 0; status == SONDE_OK && i < b.r.batch * b.r.heads; i++)
        give_head(&b, i / b.r.heads, i % b.r.heads);
    release_all(b.in, 3);
    sonde_free(b.scores);
    return status;
}

static const sonde_op attention_row = {.name = "attention",
                                       .n_out = 2,
                                       .args_size = sizeof(sonde_attention_args),
                                       .saves = SONDE_SAVE_IN0 | SONDE_SAVE_IN1 | SONDE_SAVE_IN2 | SONDE_SAVE_OUT1,
                                       .shape = attention_shape,
                                       .forward = attention_forward,
                                       .backward = attention_backward};

sonde_status sonde_attention(sonde_tensor *out[2], sonde_tensor *const in[INPUTS], const sonde_attention_args *args)
{
    return sonde_apply(&attention_row, INPUTS, in, args, out);
}
