#include "autograd/autograd.h"

#include <ctype.h>
#include <string.h>

/* Einstein's summation by the operators there are: operands are taken in one after another; what neither the output nor
 * a later operand names is summed away, by a batched matrix product where both sides have it. */

enum { MAX_OPERANDS = 16, LETTERS = 52 };

typedef struct labels { /* one letter for each axis */
    int n;
    char name[SONDE_MAX_DIMS];
} labels;

typedef struct operand {
    sonde_tensor *t; /* one reference */
    labels axes;
} operand;

typedef struct equation {
    int n;
    labels in[MAX_OPERANDS], out;
} equation;

static int find(const labels *l, char name)
{
    for (int i = 0; i < l->n; i++)
        if (l->name[i] == name) return i;
    return -1;
}

/* ---- reading the equation -------------------------------------------------------------------------------- */

static sonde_status read_labels(const char **at, labels *out, const char *whole)
{
    out->n = 0;
    for (;; (*at)++) {
        const char c = **at;
        if (c == ' ') continue;
        if (c == '\0' || c == ',' || c == '-') return SONDE_OK;
        if (c == '.')
            return sonde_fail(SONDE_EARG, "einsum '%.99s': an ellipsis is not supported: name the axes", whole);
        if (!isalpha((unsigned char)c))
            return sonde_fail(SONDE_EARG, "einsum '%.99s': '%c' is no label (a-z, A-Z)", whole, c);
        if (find(out, c) >= 0)
            return sonde_fail(SONDE_EARG,
                              "einsum '%.99s': label '%c' occurs twice in one operand; diagonals are not supported",
                              whole, c);
        if (out->n == SONDE_MAX_DIMS)
            return sonde_fail(SONDE_EARG, "einsum '%.99s': more than %d axes", whole, SONDE_MAX_DIMS);
        out->name[out->n++] = c;
    }
}

/* Without an arrow the output has the labels that occur once, in the order of the alphabet. */
static sonde_status implicit_output(equation *e, const char *whole)
{
    int count[128] = {0};
    for (int i = 0; i < e->n; i++)
        for (int d = 0; d < e->in[i].n; d++) count[(int)e->in[i].name[d]]++;
    e->out.n = 0;
    for (int c = 'A'; c <= 'z'; c++) {
        if (count[c] != 1) continue;
        if (e->out.n == SONDE_MAX_DIMS)
            return sonde_fail(SONDE_EARG, "einsum '%.99s': more than %d axes", whole, SONDE_MAX_DIMS);
        e->out.name[e->out.n++] = (char)c;
    }
    return SONDE_OK;
}

static sonde_status read_equation(equation *e, const char *text)
{
    const char *at = text;
    for (e->n = 0;;) {
        if (e->n == MAX_OPERANDS)
            return sonde_fail(SONDE_EARG, "einsum '%.99s': more than %d operands", text, MAX_OPERANDS);
        SONDE_TRY(read_labels(&at, &e->in[e->n++], text));
        if (*at != ',') break;
        at++;
    }
    if (*at == '\0') return implicit_output(e, text);
    if (at[1] != '>') return sonde_fail(SONDE_EARG, "einsum '%.99s': expected '->'", text);
    at += 2;
    SONDE_TRY(read_labels(&at, &e->out, text));
    if (*at != '\0') return sonde_fail(SONDE_EARG, "einsum '%.99s': only one output", text);
    for (int d = 0; d < e->out.n; d++) {
        bool known = false;
        for (int i = 0; i < e->n; i++) known |= find(&e->in[i], e->out.name[d]) >= 0;
        if (!known)
            return sonde_fail(SONDE_EARG, "einsum '%.99s': output label '%c' is in no operand", text, e->out.name[d]);
    }
    return SONDE_OK;
}

static sonde_status check_sizes(const equation *e, const char *text, int n, sonde_tensor *const *in)
{
    int64_t size[128];
    memset(size, -1, sizeof size);
    if (n != e->n) return sonde_fail(SONDE_EARG, "einsum '%.99s' has %d operands, got %d tensors", text, e->n, n);
    for (int i = 0; i < n; i++) {
        if (in[i]->ndim != e->in[i].n)
            return sonde_fail(SONDE_ESHAPE, "einsum '%.99s': operand %d has %d axes, the equation names %d", text,
                              i + 1, in[i]->ndim, e->in[i].n);
        for (int d = 0; d < in[i]->ndim; d++) {
            int64_t *known = &size[(int)e->in[i].name[d]];
            if (*known >= 0 && *known != in[i]->shape[d])
                return sonde_fail(SONDE_ESHAPE,
                                  "einsum '%.99s': label '%c' is %lld in one operand and %lld in operand %d", text,
                                  e->in[i].name[d], (long long)*known, (long long)in[i]->shape[d], i + 1);
            *known = in[i]->shape[d];
        }
    }
    return SONDE_OK;
}

/* ---- working it out -------------------------------------------------------------------------------------- */

/* What an operator has just made takes the place of o's tensor. */
static sonde_status become(operand *o, sonde_status status, sonde_tensor **made)
{
    if (status != SONDE_OK) return status;
    sonde_tensor_release(o->t);
    o->t = *made;
    return SONDE_OK;
}

/* Sums over the axes of o that `needed` does not have. */
static sonde_status sum_away(operand *o, const bool needed[128])
{
    int axes[SONDE_MAX_DIMS], n = 0;
    labels left = {.n = 0};
    for (int d = 0; d < o->axes.n; d++) {
        if (needed[(int)o->axes.name[d]]) left.name[left.n++] = o->axes.name[d];
        else axes[n++] = d;
    }
    if (n == 0) return SONDE_OK;
    sonde_tensor *sum;
    sonde_status status = sonde_reduce(&sum, SONDE_SUM, o->t, n, axes, false, 0);
    o->axes = left;
    return become(o, status, &sum);
}

/* Brings o's axes into this order (all of them are named). */
static sonde_status reorder(operand *o, const labels *order)
{
    int axes[SONDE_MAX_DIMS];
    bool same = true;
    for (int d = 0; d < order->n; d++) {
        axes[d] = find(&o->axes, order->name[d]);
        same &= axes[d] == d;
    }
    if (same) return SONDE_OK;
    sonde_tensor *view;
    sonde_status status = sonde_permute(&view, o->t, axes);
    o->axes = *order;
    return become(o, status, &view);
}

static void append(labels *to, const labels *from)
{
    for (int i = 0; i < from->n; i++) to->name[to->n++] = from->name[i];
}

/* The labels two operands share out among themselves. */
typedef struct split {
    labels batch, contracted, only_a, only_b;
} split;

static split split_labels(const labels *a, const labels *b, const bool needed[128])
{
    split s = {{0}, {0}, {0}, {0}};
    for (int d = 0; d < a->n; d++) {
        const char c = a->name[d];
        labels *to = find(b, c) < 0 ? &s.only_a : needed[(int)c] ? &s.batch : &s.contracted;
        to->name[to->n++] = c;
    }
    for (int d = 0; d < b->n; d++)
        if (find(a, b->name[d]) < 0) s.only_b.name[s.only_b.n++] = b->name[d];
    return s;
}

/* o as [batch, rows, columns]; shape gets the sizes of the three. */
static sonde_status as_matrices(operand *o, const labels *batch, const labels *rows, const labels *columns,
                                int64_t *sizes)
{
    labels order = {.n = 0};
    append(&order, batch);
    append(&order, rows);
    append(&order, columns);
    SONDE_TRY(reorder(o, &order));
    int64_t shape[3] = {1, 1, 1};
    for (int d = 0; d < order.n; d++) {
        sizes[(int)order.name[d]] = o->t->shape[d];
        shape[d < batch->n ? 0 : d < batch->n + rows->n ? 1 : 2] *= o->t->shape[d];
    }
    sonde_tensor *flat;
    return become(o, sonde_reshape(&flat, o->t, 3, shape), &flat);
}

/* a := a with b multiplied in; `needed`: labels that something later still wants. */
static sonde_status contract(operand *a, operand *b, const bool needed[128], const char *text)
{
    const split s = split_labels(&a->axes, &b->axes, needed);
    int64_t sizes[128], shape[SONDE_MAX_DIMS];
    labels result = {.n = 0};
    if (s.batch.n + s.only_a.n + s.only_b.n > SONDE_MAX_DIMS)
        return sonde_fail(SONDE_EARG, "einsum '%.99s': more than %d axes on the way", text, SONDE_MAX_DIMS);
    SONDE_TRY(as_matrices(a, &s.batch, &s.only_a, &s.contracted, sizes));
    SONDE_TRY(as_matrices(b, &s.batch, &s.contracted, &s.only_b, sizes));
    sonde_tensor *product;
    SONDE_TRY(become(a, sonde_matmul(&product, a->t, b->t), &product));
    append(&result, &s.batch);
    append(&result, &s.only_a);
    append(&result, &s.only_b);
    for (int d = 0; d < result.n; d++) shape[d] = sizes[(int)result.name[d]];
    a->axes = result;
    return become(a, sonde_reshape(&product, a->t, result.n, shape), &product);
}

static void note_needed(bool needed[128], const equation *e, int from)
{
    memset(needed, 0, 128 * sizeof *needed);
    for (int d = 0; d < e->out.n; d++) needed[(int)e->out.name[d]] = true;
    for (int i = from; i < e->n; i++)
        for (int d = 0; d < e->in[i].n; d++) needed[(int)e->in[i].name[d]] = true;
}

static sonde_status take_in(operand *result, sonde_tensor *t, const equation *e, int i, const char *text)
{
    operand next = {sonde_tensor_retain(t), e->in[i]};
    bool needed[128], here[128];
    note_needed(needed, e, i + 1);
    memcpy(here, needed, sizeof here);
    for (int d = 0; d < result->axes.n; d++) here[(int)result->axes.name[d]] = true;
    sonde_status status = sum_away(&next, here); /* what only this operand names */
    memcpy(here, needed, sizeof here);
    for (int d = 0; d < next.axes.n; d++) here[(int)next.axes.name[d]] = true;
    if (status == SONDE_OK) status = sum_away(result, here);
    if (status == SONDE_OK) status = contract(result, &next, needed, text);
    sonde_tensor_release(next.t);
    return status;
}

sonde_status sonde_einsum(sonde_tensor **out, const char *text, int n, sonde_tensor *const *in)
{
    equation e;
    bool needed[128];
    SONDE_TRY(read_equation(&e, text));
    SONDE_TRY(check_sizes(&e, text, n, in));
    operand result = {sonde_tensor_retain(in[0]), e.in[0]};
    sonde_status status = SONDE_OK;
    for (int i = 1; i < n && status == SONDE_OK; i++) status = take_in(&result, in[i], &e, i, text);
    note_needed(needed, &e, n);
    if (status == SONDE_OK) status = sum_away(&result, needed);
    if (status == SONDE_OK) status = reorder(&result, &e.out);
    if (status != SONDE_OK) {
        sonde_tensor_release(result.t);
        return status;
    }
    *out = result.t;
    return SONDE_OK;
}
