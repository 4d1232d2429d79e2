/* node — what the tape is made of. Private to room autograd.
 *
 * A value is what a gradient belongs to: a leaf tensor, or one output of a node. Tensors point to their value, nodes to
 * the values they read. A result's value lives inside the node that made it, and a reference to it is one to that
 * node; so references only ever lead to older nodes and there are no cycles. An in-place operator gives a tensor a new
 * value; what was registered on the old one stays there.
 */
#ifndef SONDE_AUTOGRAD_NODE_H
#define SONDE_AUTOGRAD_NODE_H

#include "autograd/autograd.h"

typedef struct sonde_grad_state sonde_value;

struct sonde_grad_state {
    sonde_node *node;       /* that makes it; NULL: a leaf */
    int refs;               /* of a leaf */
    uint32_t rewrites;      /* of a view: its storage's count when it was taken */
    sonde_dtype dtype;
    int ndim;
    int64_t shape[SONDE_MAX_DIMS];
    sonde_tensor *grad;     /* a leaf's, or kept by retain_grad */
    sonde_hooks hooks, watchers;
    bool retain_grad;
    /* in a running backward: */
    bool direct;            /* contributions go into grad at once: a leaf without hooks */
    bool fresh;             /* grad was made in this backward and is not complete */
    bool reached;           /* a contribution has come */
    bool needed;            /* its gradient is for someone */
    bool wanted;            /* sonde_gradients asks for it */
    int waiting;            /* readers that have not run */
    uint64_t oldest, newest; /* of all readers, by id; the seed of a backward comes after all */
    uint64_t walk;          /* the backward these belong to */
    sonde_tensor *pending;  /* what came so far, unless direct; contiguous */
    sonde_value *next_leaf;
    sonde_tensor *put_aside; /* a leaf's grad from before, while sonde_backward_aside runs */
};

typedef struct saved_tensor {
    sonde_tensor tensor;    /* a copy of the struct that shares the storage: no tensor, so no history, is kept alive */
    uint32_t version;
} saved_tensor;

struct sonde_node {
    const sonde_op *op;
    uint64_t id;            /* grows: a node reads only values of smaller ones */
    int refs;
    int n_in, n_out, n_extra;
    uint32_t saves;         /* SONDE_SAVE_*: what is in `saved`, in this order */
    bool spent;             /* backward has run and freed what it held */
    uint64_t walk;
    const void *place;      /* where it was made, for the numerics watch */
    sonde_node *next_dead;
    void *args;
    saved_tensor *saved;
    sonde_tensor **extra;
    sonde_value **in;       /* NULL where no gradient is needed */
    sonde_value out[];
};

/* t's value, made if a leaf has none yet (t requires a gradient or is about to hold one). NULL: out of memory. */
sonde_value *sonde_value_of(sonde_tensor *t);
sonde_value *sonde_value_retain(sonde_value *value);
void sonde_value_release(sonde_value *value);
/* The value t is read through by a new node: ESTATE if t is a view taken before its storage was rewritten. */
sonde_status sonde_value_to_read(sonde_value **out, sonde_tensor *t);
/* Gives t another value (one reference taken). */
void sonde_value_move(sonde_tensor *t, sonde_value *value);

/* Records a finished call. Every output with a float dtype gets its value. copies (in place only, else NULL) stand in
 * for saved inputs that were overwritten; the value is then not attached to out[0]: the caller has the one reference. */
sonde_status sonde_node_record(sonde_call *call, sonde_tensor *const *copies, sonde_node **out);
void sonde_node_retain(sonde_node *node);
void sonde_node_release(sonde_node *node);
/* Frees what backward needed; a second backward will be refused. */
void sonde_node_spend(sonde_node *node);
/* ESTATE if something saved has been changed since. */
sonde_status sonde_node_check_saved(const sonde_node *node);


/* Adds a finished contribution to a value: engine.c's and sonde_node_give's common ground. g has the value's dtype and
 * shape. own: nobody else will touch g any more, so it may be kept as it is. */
sonde_status sonde_value_contribute(sonde_value *value, sonde_tensor *g, bool own);
/* A tensor of the same elements without history, contiguous; g itself where it is that already. */
sonde_status sonde_plain(sonde_tensor **out, sonde_tensor *g);

/* A view's shape, where it lies in its storage, and where it would lie in a contiguous copy of its input. */
typedef struct sonde_view_args {
    int ndim;
    int64_t shape[SONDE_MAX_DIMS], stride[SONDE_MAX_DIMS], offset;
    int64_t in_stride[SONDE_MAX_DIMS], in_offset;
} sonde_view_args;
/* Of view as a view of base, which is contiguous. */
void sonde_view_args_within(sonde_view_args *out, const sonde_tensor *view, const sonde_tensor *base);
extern const sonde_op sonde_op_as_strided; /* in[0] seen as sonde_view_args say */
extern const sonde_op sonde_op_overwrite;  /* in[0] with that part of it overwritten by in[1] */

#endif
