/* bind — the room (with main.c) that speaks Lua: check, call, translate. Nothing else happens in a binding.
 *
 * Objects:   Lua holds a core object in a box: a userdata {kind, object}. Make the box first, then let the core put
 *            its reference into it, then finish it:
 *                sonde_tensor **out = sonde_bind_new_tensor(L);
 *                sonde_bind_check(L, sonde_tensor_zeros(out, dtype, ndim, shape));
 *                return sonde_bind_done(L);
 *            Whatever raises in between is freed by the collector. An object of a shared kind has one box while that
 *            box lives, so == is identity.
 * Errors:    only this room raises, at the line of the Lua code that called the library (frames of lua/sonde are
 *            passed over). Arguments are validated before anything is acquired; no raw resource is held across a call
 *            that can raise: scratch memory is a userdata too.
 * Callbacks: Lua run by the core runs protected; its error value is kept, the core returns SONDE_ECALLBACK, and the
 *            outermost binding raises that very value. A call into the core that may run Lua (a module's forward,
 *            backward, an optimiser's step, gradcheck) is wrapped in SONDE_BIND_RUN.
 * Axes:      1-based in Lua, 0-based in C; the functions here translate.
 */
#ifndef SONDE_BIND_H
#define SONDE_BIND_H

#include "optim/optim.h"

#include <lauxlib.h>
#include <lua.h>

/* ---- raising ------------------------------------------------------------------------------------------- */

/* Raises "file:line: message", the line being that of the first caller outside the library. */
_Noreturn void sonde_bind_raise(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* SONDE_OK: returns. Otherwise raises the core's message, or the error value a callback left. */
void sonde_bind_check(lua_State *L, sonde_status status);
/* For the outside world's failures: pushes nil, message, code ("EIO"); returns 3. */
int sonde_bind_refuse(lua_State *L, sonde_status status);
/* "bad argument #2 to 'add': expected Tensor, got nil" */
_Noreturn void sonde_bind_type_error(lua_State *L, int index, const char *expected);
/* "Tensor", "Module", … for a box, else Lua's type name ("no value" beyond the arguments). */
const char *sonde_bind_type_name(lua_State *L, int index);
/* "defined at file.lua:12": of the function at `index`; pushes the text. */
const char *sonde_bind_defined_at(lua_State *L, int index);
/* The choice nearest to `word` by edit distance, or NULL if none is near. Choices end with NULL. */
const char *sonde_bind_nearest(const char *word, const char *const *choices);

/* ---- boxes --------------------------------------------------------------------------------------------- */

typedef struct sonde_bind_kind {
    const char *name;              /* "Tensor", as messages show it */
    void (*release)(void *object); /* gives back the box's reference; never called with NULL */
    void *(*retain)(void *object); /* of a shared kind; NULL otherwise */
    int n_values;                  /* user values of a box; the last one is for callbacks it owns */
} sonde_bind_kind;

typedef struct sonde_bind_box {
    const sonde_bind_kind *kind;
    void *object;      /* NULL: not filled yet, or closed */
    bool is_parameter; /* of a tensor: nn.Parameter made it, or a module handed it out as one */
} sonde_bind_box;

/* Makes the kind's metatable if this state has none yet: __gc releases, and __close too if the kind is not shared;
 * __name, __tostring; then what `metamethods` adds or replaces (NULL: nothing); __index is the table of methods if they
 * do not say. A metamethod's first upvalue is the table of methods. Pushes that table. */
void sonde_bind_kind_open(lua_State *L, const sonde_bind_kind *kind, const luaL_Reg *methods,
                          const luaL_Reg *metamethods);
/* Pushes an empty box; the core's new reference goes into the returned place. */
void **sonde_bind_new(lua_State *L, const sonde_bind_kind *kind);
/* Finishes the filled box on top of the stack: the box this object already has takes its place, and the collector
 * learns of the memory. Returns 1. */
int sonde_bind_done(lua_State *L);
/* Pushes the box of a borrowed object of a shared kind, or nil for NULL. */
void sonde_bind_push(lua_State *L, const sonde_bind_kind *kind, void *object);
/* Pushes the living box of an object and returns true, or pushes nothing and returns false. */
bool sonde_bind_find(lua_State *L, const sonde_bind_kind *kind, const void *object);
sonde_bind_box *sonde_bind_box_at(lua_State *L, int index, const sonde_bind_kind *kind); /* NULL: something else */
void *sonde_bind_test(lua_State *L, int index, const sonde_bind_kind *kind); /* NULL: something else, or closed */
void *sonde_bind_check_object(lua_State *L, int index, const sonde_bind_kind *kind); /* raises; also if closed */
/* The one function behind __gc, __close and :close(); its upvalue is the kind as a light userdata. Not for shared
 * kinds. */
int sonde_bind_release(lua_State *L);

/* A binding that keeps a module in C also keeps its box (in a user value): what Lua knows of a module, its hooks and a
 * user's layer, lives in boxes, and a container's box holds those of its children. */
extern const sonde_bind_kind sonde_bind_kind_tensor, sonde_bind_kind_module, sonde_bind_kind_optimizer,
    sonde_bind_kind_stream, sonde_bind_kind_handle;

static inline sonde_tensor *sonde_bind_check_tensor(lua_State *L, int index)
{
    return sonde_bind_check_object(L, index, &sonde_bind_kind_tensor);
}
static inline sonde_tensor *sonde_bind_test_tensor(lua_State *L, int index)
{
    return sonde_bind_test(L, index, &sonde_bind_kind_tensor);
}
static inline sonde_tensor **sonde_bind_new_tensor(lua_State *L)
{
    return (sonde_tensor **)sonde_bind_new(L, &sonde_bind_kind_tensor);
}
static inline void sonde_bind_push_tensor(lua_State *L, sonde_tensor *t) /* borrowed; NULL: nil */
{
    sonde_bind_push(L, &sonde_bind_kind_tensor, t);
}
static inline sonde_module *sonde_bind_check_module(lua_State *L, int index)
{
    return sonde_bind_check_object(L, index, &sonde_bind_kind_module);
}
static inline sonde_optimizer *sonde_bind_check_optimizer(lua_State *L, int index)
{
    return sonde_bind_check_object(L, index, &sonde_bind_kind_optimizer);
}
static inline sonde_stream *sonde_bind_check_stream(lua_State *L, int index)
{
    return sonde_bind_check_object(L, index, &sonde_bind_kind_stream);
}
/* Pushes a new generator in its initial state. */
void sonde_bind_push_stream(lua_State *L, const sonde_stream *stream);
/* The state's current user stream: that of the run, else the default generator. */
sonde_stream *sonde_bind_user_stream(lua_State *L);

/* Scratch memory that lives until the collector finds it unused: pushes a userdata. */
void *sonde_bind_scratch(lua_State *L, size_t bytes);
/* For texts the core allocates: push the box, let the core fill it, turn it into a Lua string. */
char **sonde_bind_new_text(lua_State *L);
int sonde_bind_text_done(lua_State *L); /* returns 1 */

/* ---- arguments by position or by name ------------------------------------------------------------------ */

/* A call's arguments in PyTorch's order. Any may come by position or by name in a trailing table; a trailing table
 * with [1] is a list (a positional argument), else options. Unknown names, too many arguments and an argument given
 * twice raise. Argument i is afterwards at stack index base + i (nil if absent), so the getters take i from 0. */
typedef struct sonde_bind_args {
    lua_State *L;
    const char *callee;       /* "nn.Linear", as messages name it */
    const char *const *names; /* ends with NULL */
    int base, n;
} sonde_bind_args;

#define SONDE_BIND_NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
/* first: stack index of the first argument (2 in a method, after self). */
void sonde_bind_args_open(sonde_bind_args *args, lua_State *L, int first, const char *callee, const char *const *names);
/* The same for `zeros(2, 3, {dtype=…})` and `zeros({2, 3}, {dtype=…})`: sizes first, the named ones only by name.
 * Returns the number of axes; shape has room for SONDE_MAX_DIMS. least: the smallest size allowed (0; -1 in view). */
int sonde_bind_args_open_sizes(sonde_bind_args *args, lua_State *L, int first, const char *callee,
                               const char *const *names, int64_t *shape, int64_t least);

static inline int sonde_bind_arg_index(const sonde_bind_args *args, int i)
{
    return args->base + i;
}
static inline bool sonde_bind_given(const sonde_bind_args *args, int i)
{
    return !lua_isnil(args->L, args->base + i);
}
/* "bad argument 'p' to nn.Dropout: " + message */
_Noreturn void sonde_bind_arg_fail(const sonde_bind_args *args, int i, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "… expected integer, got string" */
_Noreturn void sonde_bind_arg_type_error(const sonde_bind_args *args, int i, const char *expected);

/* arg_: required; opt_: the fallback if absent. Integers accept 10.0; both ends of a range are in it. */
int64_t sonde_bind_arg_integer(const sonde_bind_args *args, int i, int64_t low, int64_t high);
int64_t sonde_bind_opt_integer(const sonde_bind_args *args, int i, int64_t fallback, int64_t low, int64_t high);
double sonde_bind_arg_number(const sonde_bind_args *args, int i);
double sonde_bind_opt_number(const sonde_bind_args *args, int i, double fallback);
bool sonde_bind_opt_boolean(const sonde_bind_args *args, int i, bool fallback);
const char *sonde_bind_arg_string(const sonde_bind_args *args, int i);
const char *sonde_bind_opt_string(const sonde_bind_args *args, int i, const char *fallback);
int sonde_bind_opt_choice(const sonde_bind_args *args, int i, int fallback, const char *const *choices); /* its index */
sonde_dtype sonde_bind_opt_dtype(const sonde_bind_args *args, int i, sonde_dtype fallback);
sonde_tensor *sonde_bind_arg_tensor(const sonde_bind_args *args, int i);
sonde_tensor *sonde_bind_opt_tensor(const sonde_bind_args *args, int i); /* NULL */
sonde_module *sonde_bind_arg_module(const sonde_bind_args *args, int i);
sonde_module *sonde_bind_opt_module(const sonde_bind_args *args, int i);
sonde_stream *sonde_bind_opt_stream(const sonde_bind_args *args, int i, sonde_stream *fallback); /* "generator" */
void sonde_bind_arg_function(const sonde_bind_args *args, int i);
/* 1-based, negative from the end, checked against ndim; the result is 0-based. */
int sonde_bind_arg_axis(const sonde_bind_args *args, int i, int ndim);
int sonde_bind_opt_axis(const sonde_bind_args *args, int i, int ndim, int fallback);
/* An axis, a list of axes, or nothing: 0-based into axes[SONDE_MAX_DIMS]; returns how many. */
int sonde_bind_opt_axes(const sonde_bind_args *args, int i, int ndim, int *axes);
/* A list of integers of at most `room`, or one integer; returns how many. */
int sonde_bind_arg_integers(const sonde_bind_args *args, int i, int64_t *out, int room, int64_t least);
/* A list of tensors (or one tensor). The pointers lie in a scratch userdata pushed onto the stack; the list keeps
 * the tensors alive. */
sonde_tensor **sonde_bind_arg_tensors(const sonde_bind_args *args, int i, int *n);

/* ---- Lua called by the core ---------------------------------------------------------------------------- */

/* Runs body with `data` as a light userdata at index 1, protected. A failure keeps the error value (a string with
 * its traceback) and is SONDE_ECALLBACK. Everything that may raise on the way to Lua code belongs into body. */
sonde_status sonde_bind_protect(lua_State *L, lua_CFunction body, void *data);

/* The thread (coroutine) that runs the core at present; callbacks use it. */
lua_State *sonde_bind_enter(lua_State *L); /* returns what it was */
void sonde_bind_leave(lua_State *L, lua_State *outer);
#define SONDE_BIND_RUN(L, call)                                                                                        \
    do {                                                                                                               \
        lua_State *outer_ = sonde_bind_enter(L);                                                                       \
        sonde_status status_ = (call);                                                                                 \
        sonde_bind_leave(L, outer_);                                                                                   \
        sonde_bind_check(L, status_);                                                                                  \
    } while (0)

/* A Lua value kept for the core: the `context` of a hook. _free fits free_context. Raises when out of memory.
 * owner: 0, and the value lives until it is freed; or the index of a module's or optimiser's box, which then keeps it:
 * a function that refers to its owner does not keep it alive for ever. */
typedef struct sonde_bind_callback sonde_bind_callback;
sonde_bind_callback *sonde_bind_callback_new(lua_State *L, int index, int owner);
void sonde_bind_callback_free(void *callback);
lua_State *sonde_bind_callback_state(const sonde_bind_callback *callback); /* where to run it now */
/* Inside a protected body: pushes the value, or nil if its owner's box is gone. */
void sonde_bind_callback_push(lua_State *L, const sonde_bind_callback *callback);

/* Makes the box of a handle: void **out = sonde_bind_new(L, &sonde_bind_kind_handle). Method: :remove(). */

/* One C function for a family of methods: closures over a row's number and its name, with the prefix, for messages.
 * Adds them to the table on top. */
typedef struct sonde_bind_row {
    const char *name;
    int value;
} sonde_bind_row;
void sonde_bind_add_rows(lua_State *L, const char *prefix, lua_CFunction function,
                         const sonde_bind_row *rows); /* ends with {NULL} */
static inline int sonde_bind_row_value(lua_State *L)
{
    return (int)lua_tointeger(L, lua_upvalueindex(1));
}
static inline const char *sonde_bind_row_name(lua_State *L)
{
    return lua_tostring(L, lua_upvalueindex(2));
}

/* Pushes a number; every NaN as the one that prints as "nan", not as "-nan". */
void sonde_bind_push_number(lua_State *L, double number);

/* ---- the module's parts: each pushes one table, a field of the core module (core.c) -------------------- */

int sonde_bind_tensor(lua_State *L);
int sonde_bind_autograd(lua_State *L);
int sonde_bind_random(lua_State *L);
int sonde_bind_nn(lua_State *L);
int sonde_bind_optim(lua_State *L);
int sonde_bind_data(lua_State *L);
int sonde_bind_record(lua_State *L);
int sonde_bind_h5(lua_State *L);
int sonde_bind_probe(lua_State *L);
int sonde_bind_system(lua_State *L);
int sonde_bind_numbers(lua_State *L);
int sonde_bind_linalg(lua_State *L);

int sonde_bind_open(lua_State *L); /* the module sonde.core itself, as package.preload wants it */

#endif
