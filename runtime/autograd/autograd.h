/* autograd — the tape: operators as rows, recorded as they run, walked backwards once.
 *
 * Recording: an operator applied while gradients are enabled to a tensor that requires one makes a node. The node
 *            keeps only the tensors its backward names, with the version each had. A result's `requires_grad` is
 *            true and it points to its node; a leaf is a tensor with requires_grad and no node.
 * Backward:  nodes run in the reverse order of their making, each when its last consumer has run, so sums of
 *            gradients have one fixed order. Gradients accumulate: the first contribution writes, later ones add.
 *            A node frees what it holds as it runs, unless the graph is retained.
 * Observers: hooks may replace a gradient; watchers only read it, after hooks, once it is complete and still in
 *            cache. Training never knows who watches; without watchers there is no cost.
 * Thread:    grad mode and the engine belong to the calling thread.
 */
#ifndef SONDE_AUTOGRAD_H
#define SONDE_AUTOGRAD_H

#include "tensor/tensor.h"

/* ---- operators ----------------------------------------------------------------------------------------- */

#define SONDE_OP_MAX_IN 16
#define SONDE_OP_MAX_OUT 4
#define SONDE_OP_MAX_SAVED 16
#define SONDE_OP_MAX_ARGS 256 /* bytes */

typedef struct sonde_node sonde_node;

/* One application while it runs forward. `shape` reads in/args and fills out_dtype, out_ndim, out_shape; then the
 * outputs are allocated (unless the row is a view) and `forward` fills them. */
typedef struct sonde_call {
    const struct sonde_op *op;
    int n_in, n_out;
    sonde_tensor *in[SONDE_OP_MAX_IN];   /* borrowed; NULL for an optional input left out (a bias) */
    sonde_tensor *out[SONDE_OP_MAX_OUT];
    sonde_dtype out_dtype[SONDE_OP_MAX_OUT];
    int out_ndim[SONDE_OP_MAX_OUT];
    int64_t out_shape[SONDE_OP_MAX_OUT][SONDE_MAX_DIMS];
    void *args;                          /* this call's copy: forward may note things for backward in it */
    bool recording;                      /* false: nothing need be kept for backward */
    uint32_t saves;                      /* the row's; shape may narrow it to what this call's backward reads */
    sonde_tensor *extra[SONDE_OP_MAX_SAVED]; /* made by forward for backward (a mask): one reference each, the node's */
    int n_extra;
    bool args_taken;                     /* the engine's: a node owns them now */
} sonde_call;

enum { SONDE_SAVE_IN0 = 1, SONDE_SAVE_IN1 = 2, SONDE_SAVE_IN2 = 4, SONDE_SAVE_IN3 = 8, SONDE_SAVE_ALL_IN = 0xffff,
       SONDE_SAVE_OUT0 = 0x10000, SONDE_SAVE_OUT1 = 0x20000, SONDE_SAVE_OUT2 = 0x40000 };

/* An operator is one row. */
typedef struct sonde_op {
    const char *name;                               /* "matmul", as errors and graphs show it */
    int n_out;                                      /* 1 if left 0 */
    size_t args_size;
    uint32_t saves;                                 /* what backward reads: SONDE_SAVE_* */
    bool is_view;                                   /* forward makes out[0] itself, sharing in[0]'s storage */
    bool elementwise;                               /* forward may write out[0] over in[0], if contiguous, same shape */
    sonde_status (*shape)(sonde_call *call);        /* the shape rule: every argument is checked here */
    sonde_status (*forward)(sonde_call *call);
    sonde_status (*backward)(sonde_node *node);     /* NULL: not differentiable */
    void (*free_args)(void *args);                  /* args that own something: called once, when the node is spent or,
                                                     * if none was made, when the call ends; NULL: nothing to free */
} sonde_op;

/* Applies a row. out[] receives one reference per output. */
sonde_status sonde_apply(const sonde_op *op, int n_in, sonde_tensor *const *in, const void *args, sonde_tensor **out);
/* The same, the result stored into in[0]: dtype and shape must be in[0]'s. The tensor then stands for a new value, with
 * this row's node; what was registered on it before keeps watching the value before. In place on a view, the tensor it
 * looks into gets a new value as well; other views taken before are stale and refused. ESTATE on a leaf that requires a
 * gradient while recording, and on an expanded tensor. */
sonde_status sonde_apply_inplace(const sonde_op *op, int n_in, sonde_tensor *const *in, const void *args);

/* Inside `backward` only: */
const void *sonde_node_args(const sonde_node *node);
bool sonde_node_needs(const sonde_node *node, int input);                 /* does this input require a gradient? */
sonde_tensor *sonde_node_in(const sonde_node *node, int input);          /* saved input (borrowed) */
sonde_tensor *sonde_node_out(const sonde_node *node, int output);        /* saved output */
sonde_tensor *sonde_node_extra(const sonde_node *node, int i);
sonde_tensor *sonde_node_grad(const sonde_node *node, int output);       /* incoming, contiguous; NULL: zero */
const int64_t *sonde_node_in_shape(const sonde_node *node, int input, int *ndim);
/* The contiguous buffer for the gradient of `input`; *add tells whether to add to it or to overwrite it.
 * Takes in[input]'s shape. Call at most once per input and only when sonde_node_needs says so. */
sonde_status sonde_node_target(sonde_node *node, int input, sonde_tensor **target, bool *add);
/* Gives a finished gradient (any strides, broadcast or not: it is summed down to the input's shape). Borrows. */
sonde_status sonde_node_give(sonde_node *node, int input, sonde_tensor *gradient);

/* ---- gradients of tensors ------------------------------------------------------------------------------ */

bool sonde_grad_enabled(void);
bool sonde_grad_enable(bool enabled); /* returns what it was */

sonde_status sonde_requires_grad_(sonde_tensor *t, bool flag);           /* ESTATE on a non-leaf, EDTYPE on int64 */
bool sonde_is_leaf(const sonde_tensor *t);
sonde_tensor *sonde_grad(const sonde_tensor *t);                         /* borrowed; NULL: none */
sonde_status sonde_set_grad(sonde_tensor *t, sonde_tensor *gradient);    /* NULL clears; shape and dtype must match */
sonde_status sonde_retain_grad(sonde_tensor *t);                         /* a non-leaf keeps its gradient too */
sonde_status sonde_detach(sonde_tensor **out, sonde_tensor *t);          /* a view without history */
sonde_status sonde_detach_(sonde_tensor *t);
const char *sonde_grad_op_name(const sonde_tensor *t);                   /* "tanh"; NULL for a leaf */

/* gradient NULL: ones, for a tensor of one element. ESTATE on a graph already freed, wholly or in part (then nothing has
 * been added anywhere), and inside a hook or watcher of another backward. */
sonde_status sonde_backward(sonde_tensor *root, sonde_tensor *gradient, bool retain_graph);
/* A backward only to be watched: hooks run, watchers and observers are told, and afterwards every leaf's .grad is the
 * tensor it was before. The graph is freed. */
sonde_status sonde_backward_aside(sonde_tensor *root);
/* d root / d inputs without touching anyone's .grad; out[i] NULL where unused. Only what leads to the inputs runs and is
 * freed. Hooks run; watchers and observers are not told. */
sonde_status sonde_gradients(sonde_tensor *root, sonde_tensor *gradient, int n, sonde_tensor *const *inputs,
                             bool retain_graph, sonde_tensor **out);

/* ---- hooks and watchers -------------------------------------------------------------------------------- */

/* A registered callback. The registrar holds one reference, which it gives up by one of these two (NULL is fine). If
 * a registration fails, the context stays the caller's. */
typedef struct sonde_handle sonde_handle;
void sonde_handle_remove(sonde_handle *handle);  /* the callback is never called again */
void sonde_handle_release(sonde_handle *handle); /* leaves it in force */
#include "autograd/hooks.h"

/* Called with the complete gradient, before it is stored. Sets *replacement (one reference) to change it. */
typedef sonde_status (*sonde_grad_hook)(void *context, sonde_tensor *gradient, sonde_tensor **replacement);
sonde_status sonde_add_grad_hook(sonde_tensor *t, sonde_grad_hook hook, void *context, void (*free_context)(void *),
                                 sonde_handle **out);
/* Called with the final gradient: of a leaf, what is in .grad once this backward's last contribution arrived,
 * earlier accumulation included. It must not change anything. out may be NULL. On a non-leaf it dies with the graph. */
typedef void (*sonde_grad_watcher)(void *context, const sonde_tensor *gradient);
sonde_status sonde_watch_grad(sonde_tensor *t, sonde_grad_watcher watcher, void *context,
                              void (*free_context)(void *), sonde_handle **out);

/* Whose gradient it is, for watchers. Operators are numbered as they are recorded, in this thread: */
uint64_t sonde_tape_position(void); /* the newest one's number */
/* Inside a watcher: did no other operators read what this is the gradient of than those numbered after < n <= upto? */
bool sonde_gradient_is_from(uint64_t after, uint64_t upto);
/* The context of the k-th (from 0) of those callbacks on t's gradient that are this watcher; NULL: no more. */
void *sonde_watch_context(const sonde_tensor *t, sonde_grad_watcher watcher, int k);
/* A copy of t's elements that goes on standing for what t stands for now, when t itself is overwritten. */
sonde_status sonde_clone_value(sonde_tensor **out, const sonde_tensor *t);

/* Told of every backward in this thread. The struct is the observer's own; it unregisters before it dies. */
typedef struct sonde_autograd_observer {
    void *context;
    void (*backward_begin)(void *context);
    void (*backward_end)(void *context, sonde_status status);
    struct sonde_autograd_observer *next;
} sonde_autograd_observer;
void sonde_autograd_observe(sonde_autograd_observer *observer);
void sonde_autograd_unobserve(sonde_autograd_observer *observer);

/* ---- gradcheck ----------------------------------------------------------------------------------------- */

/* Compares the gradients of fn (float64 inputs that require one) with central differences, and two backward passes
 * with each other bit for bit. Defaults as PyTorch: eps 1e-6, atol 1e-5, rtol 1e-3. A difference is SONDE_EARG with
 * a message naming input, element, analytic and numerical value. fn: out[] gets *n_out references (at most 8). */
typedef sonde_status (*sonde_gradcheck_fn)(void *context, int n_in, sonde_tensor *const *in, int *n_out,
                                           sonde_tensor **out);
sonde_status sonde_gradcheck(sonde_gradcheck_fn fn, void *context, int n_in, sonde_tensor *const *in,
                             double eps, double atol, double rtol);

#include "autograd/numbers.h"
#include "autograd/ops.h"
#include "autograd/ops_linalg.h"
#include "autograd/ops_attention.h"
#include "autograd/ops_losses.h"
#include "autograd/ops_recurrent.h"
#include "autograd/ops_spatial.h"

#endif
