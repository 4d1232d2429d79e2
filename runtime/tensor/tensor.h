/* tensor — n-dimensional arrays: counted storage, cheap views, shapes, broadcasting. No gradients here.
 *
 * Ownership: a tensor and its storage are reference counted. Functions borrow unless named _new, _retain or
 *            _take; an `out` pointer receives one reference, which the caller releases.
 * Axes:      0-based in C; negative axes count from the end where said. (Lua is 1-based: bind translates.)
 * Views:     share storage; a change through one is seen through all. Strides are in elements, 0 after expand.
 * Version:   every in-place change raises storage->version; autograd compares it in backward.
 * Thread:    a tensor is used by one thread at a time.
 */
#ifndef SONDE_TENSOR_H
#define SONDE_TENSOR_H

#include "base/base.h"

#define SONDE_MAX_DIMS 8

struct sonde_transposed; /* a cached transposed copy */

typedef struct sonde_storage {
    int refs;
    uint32_t version;                     /* raised by every in-place change */
    uint32_t rewrites;                    /* in-place changes that autograd recorded: views made before are stale */
    size_t bytes;
    void *data;                           /* 64-byte aligned, in the same block as this struct */
    struct sonde_transposed *transposed;  /* cache of sonde_tensor_transposed, or NULL */
} sonde_storage;

struct sonde_grad_state; /* room autograd's; a plain tensor has none */

typedef struct sonde_tensor {
    int refs;
    sonde_dtype dtype;
    int ndim;
    bool requires_grad;                /* set by the user on a leaf, or by autograd on a result */
    int64_t shape[SONDE_MAX_DIMS];
    int64_t stride[SONDE_MAX_DIMS];    /* elements */
    int64_t offset;                    /* elements */
    sonde_storage *storage;
    struct sonde_grad_state *autograd; /* freed through sonde_tensor_autograd.free */
    struct sonde_tensor *base;         /* of an operator's view: the tensor it looks into (retained); else NULL */
} sonde_tensor;

/* What room autograd does for tensors; set once when the program starts. */
typedef struct sonde_tensor_autograd_calls {
    void (*free)(struct sonde_grad_state *state);                   /* when a tensor with autograd state dies */
    const char *(*op_name)(const struct sonde_grad_state *state);   /* for printing; NULL: a leaf */
} sonde_tensor_autograd_calls;
extern sonde_tensor_autograd_calls sonde_tensor_autograd;

/* ---- making and sharing -------------------------------------------------------------------------------- */

sonde_status sonde_tensor_new(sonde_tensor **out, sonde_dtype dtype, int ndim, const int64_t *shape); /* uninitialised */
sonde_status sonde_tensor_zeros(sonde_tensor **out, sonde_dtype dtype, int ndim, const int64_t *shape);
sonde_status sonde_tensor_full(sonde_tensor **out, sonde_dtype dtype, int ndim, const int64_t *shape, double value);
sonde_status sonde_tensor_from(sonde_tensor **out, sonde_dtype dtype, int ndim, const int64_t *shape, const void *data);
sonde_status sonde_tensor_like(sonde_tensor **out, const sonde_tensor *t);          /* same dtype, shape; contiguous */
sonde_status sonde_tensor_clone(sonde_tensor **out, const sonde_tensor *t);         /* contiguous copy */
sonde_status sonde_tensor_contiguous(sonde_tensor **out, sonde_tensor *t);          /* t itself (retained) if it is */
sonde_status sonde_tensor_to(sonde_tensor **out, sonde_tensor *t, sonde_dtype dtype); /* t itself if it is */
/* Two tensors of one shape change places: elements, dtype and strides. The objects stay who they are. */
void sonde_tensor_exchange(sonde_tensor *a, sonde_tensor *b);
sonde_tensor *sonde_tensor_retain(sonde_tensor *t);
void sonde_tensor_release(sonde_tensor *t); /* NULL is fine */
void sonde_storage_release(sonde_storage *storage); /* for who shares storage without a tensor */
/* Any view of t's storage: the caller answers for the bounds. Carries no gradient. */
sonde_status sonde_tensor_as_strided(sonde_tensor **out, sonde_tensor *t, int ndim, const int64_t *shape,
                                     const int64_t *stride, int64_t offset);
int64_t sonde_tensor_live(void); /* tensors alive in the process: leak tests */

/* ---- looking ------------------------------------------------------------------------------------------- */

static inline void *sonde_tensor_data(const sonde_tensor *t)
{
    return (char *)t->storage->data + (size_t)t->offset * (t->dtype == SONDE_FLOAT32 ? 4 : 8);
}
static inline int64_t sonde_tensor_numel(const sonde_tensor *t)
{
    int64_t n = 1;
    for (int d = 0; d < t->ndim; d++) n *= t->shape[d];
    return n;
}
bool sonde_tensor_is_contiguous(const sonde_tensor *t);
bool sonde_tensor_same_shape(const sonde_tensor *a, const sonde_tensor *b);
double sonde_tensor_get(const sonde_tensor *t, const int64_t *index); /* one element as double */
int64_t sonde_tensor_get_int(const sonde_tensor *t, const int64_t *index);
void sonde_tensor_set(sonde_tensor *t, const int64_t *index, double value); /* raises the version */
void sonde_tensor_set_int(sonde_tensor *t, const int64_t *index, int64_t value);
/* "[64, 10]" into `text` (always terminated); returns text. */
#define SONDE_SHAPE_TEXT 192
const char *sonde_shape_text(char text[static SONDE_SHAPE_TEXT], int ndim, const int64_t *shape);
/* What tostring(t) shows, as PyTorch prints. Caller frees with sonde_free. */
sonde_status sonde_tensor_format(char **out, const sonde_tensor *t);

/* ---- shapes -------------------------------------------------------------------------------------------- */

/* Number of elements, checked: ENOMEM if it or its bytes overflow, EARG for a negative size. */
sonde_status sonde_shape_numel(int64_t *out, sonde_dtype dtype, int ndim, const int64_t *shape);
/* NumPy broadcasting of two shapes; ESHAPE names both. */
sonde_status sonde_shape_broadcast(int *ndim, int64_t *shape, const sonde_tensor *a, const sonde_tensor *b);
/* axis in -ndim..ndim-1 to 0..ndim-1; the message is 1-based ("axis 3 of a tensor with 2 axes"). */
sonde_status sonde_axis(int *out, int axis, int ndim);
/* The dtype two operands meet in: int64 < float32 < float64. */
sonde_dtype sonde_dtype_promote(sonde_dtype a, sonde_dtype b);

/* ---- changing in place --------------------------------------------------------------------------------- */

sonde_status sonde_tensor_copy_(sonde_tensor *t, const sonde_tensor *source); /* broadcasts, converts */
sonde_status sonde_tensor_fill_(sonde_tensor *t, double value);
static inline void sonde_tensor_changed(sonde_tensor *t) { t->storage->version++; }

/* The loops that visit `shape` in all n tensors at once, each broadcast to it; as few axes as they allow. */
struct sonde_loop;
void sonde_tensor_loop(struct sonde_loop *out, int ndim, const int64_t *shape, int n, const sonde_tensor *const *t);

/* The transposed copy of a contiguous matrix [rows, columns], as plain memory [columns, rows]; kept in the
 * storage until its version changes, so a weight is transposed once per step. Borrowed, valid until the next
 * change of t. NULL with message when out of memory. */
const void *sonde_tensor_transposed(const sonde_tensor *t);

#endif
