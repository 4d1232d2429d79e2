/* core.data: IDX files, pixels, batches, synthetic sets. What users call is lua/sonde/data/. */
#include "bind/data.h"

#include "bind/csv.h"

/* ---- IDX ---------------------------------------------------------------------------------------------------- */

static void release_idx(void *object)
{
    sonde_idx_close(object);
}
static const sonde_bind_kind kind_idx = {.name = "IdxFile", .release = release_idx};

/* idx(path [, dtype]) -> Tensor of the file's shape; without dtype float32, float64, or int64 for every integer type.
 */
static int l_idx(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1), *wanted = luaL_optstring(L, 2, NULL);
    sonde_dtype dtype = SONDE_INT64;
    if (wanted != NULL && !sonde_dtype_parse(wanted, &dtype)) {
        sonde_bind_raise(L, "unknown dtype '%s': there are float32, float64, int64", wanted);
    }
    sonde_idx **idx = (sonde_idx **)sonde_bind_new(L, &kind_idx);
    sonde_bind_check(L, sonde_idx_open(idx, path));
    const sonde_idx_header *h = sonde_idx_header_of(*idx);
    if (wanted == NULL && h->type == SONDE_IDX_FLOAT32) dtype = SONDE_FLOAT32;
    if (wanted == NULL && h->type == SONDE_IDX_FLOAT64) dtype = SONDE_FLOAT64;
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, dtype, h->ndim, h->shape));
    sonde_bind_check(L, sonde_idx_read(*idx, dtype, sonde_tensor_data(*out)));
    sonde_idx_close(*idx); /* not only when the collector comes by */
    *idx = NULL;
    return sonde_bind_done(L);
}

static void release_pixels(void *object)
{
    sonde_pixels_free(object);
}
const sonde_bind_kind sonde_bind_kind_pixels = {.name = "Pixels", .release = release_pixels};

/* pixels(path, scale, mean, std) -> Pixels: a column whose bytes b become (b * scale - mean) / std when gathered. */
static int l_pixels(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    double scale = luaL_checknumber(L, 2), mean = luaL_checknumber(L, 3), std = luaL_checknumber(L, 4);
    sonde_pixels **out = (sonde_pixels **)sonde_bind_new(L, &sonde_bind_kind_pixels);
    sonde_bind_check(L, sonde_pixels_load(out, path, scale, mean, std));
    return sonde_bind_done(L);
}

/* #pixels: the samples. */
static int pixels_length(lua_State *L)
{
    const sonde_pixels *pixels = sonde_bind_check_object(L, 1, &sonde_bind_kind_pixels);
    lua_pushinteger(L, pixels->n);
    return 1;
}

/* ---- batches ------------------------------------------------------------------------------------------------ */

sonde_tensor *sonde_bind_check_rows(lua_State *L, int index)
{
    sonde_tensor *t = sonde_bind_check_tensor(L, index);
    if (t->ndim == 0 || !sonde_tensor_is_contiguous(t)) {
        sonde_bind_raise(L, "bad argument #%d: a contiguous tensor with at least one axis is needed", index);
    }
    return t;
}

/* gather(column, index or nil, first, count ) -> rows index[first..first+count-1] (without an
 * index rows first..) of a Tensor or of Pixels (as float32). */
static int l_gather(lua_State *L)
{
    const sonde_pixels *pixels = sonde_bind_test(L, 1, &sonde_bind_kind_pixels);
    const sonde_tensor *rows = pixels != NULL ? NULL : sonde_bind_check_rows(L, 1);
    const sonde_tensor *index = lua_isnoneornil(L, 2) ? NULL : sonde_bind_check_rows(L, 2);
    int64_t first = luaL_checkinteger(L, 3), count = luaL_checkinteger(L, 4), shape[SONDE_MAX_DIMS];
    if (index != NULL && (index->dtype != SONDE_INT64 || index->ndim != 1)) {
        sonde_bind_raise(L, "an index must be an int64 tensor with one axis");
    }
    int ndim = pixels != NULL ? pixels->ndim + 1 : rows->ndim;
    for (int d = 1; d < ndim; d++) shape[d] = pixels != NULL ? pixels->shape[d - 1] : rows->shape[d];
    shape[0] = count;
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, pixels != NULL ? SONDE_FLOAT32 : rows->dtype, ndim, shape));
    const int64_t *positions = index != NULL ? sonde_tensor_data(index) : NULL;
    int64_t n_index = index != NULL ? index->shape[0] : 0;
    void *to = sonde_tensor_data(*out);
    if (pixels != NULL) {
        sonde_bind_check(L, sonde_pixels_gather(pixels, SONDE_FLOAT32, to, positions, n_index, first, count));
    } else {
        size_t row_bytes = sonde_dtype_size(rows->dtype);
        for (int d = 1; d < rows->ndim; d++) row_bytes *= (size_t)rows->shape[d];
        const void *from = sonde_tensor_data(rows);
        sonde_bind_check(L, sonde_rows_gather(to, from, rows->shape[0], row_bytes, positions, n_index, first, count));
    }
    return sonde_bind_done(L);
}

/* labels(int64 tensor, labels_from) -> the same labels counted from 1. */
static int l_labels(lua_State *L)
{
    const sonde_tensor *labels = sonde_bind_check_rows(L, 1);
    int64_t labels_from = luaL_checkinteger(L, 2);
    if (labels->dtype != SONDE_INT64) {
        sonde_bind_raise(L, "labels must be int64, got %s", sonde_dtype_name(labels->dtype));
    }
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_like(out, labels));
    int64_t n = sonde_tensor_numel(labels);
    sonde_bind_check(L, sonde_labels_shift(sonde_tensor_data(*out), sonde_tensor_data(labels), n, labels_from));
    return sonde_bind_done(L);
}

/* ---- synthetic sets: inputs, targets ------------------------------------------------------------------------- */

enum { MANY = 1 << 24 };

/* Pushes the unfinished boxes of inputs [n, features] and targets [n]. */
static void new_set(lua_State *L, int64_t n, int64_t features, float **x, int64_t **y)
{
    sonde_tensor **inputs = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(inputs, SONDE_FLOAT32, 2, (const int64_t[]){n, features}));
    sonde_tensor **targets = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(targets, SONDE_INT64, 1, &n));
    *x = sonde_tensor_data(*inputs);
    *y = sonde_tensor_data(*targets);
}

int sonde_bind_two_done(lua_State *L)
{
    sonde_bind_done(L);
    lua_insert(L, -2);
    sonde_bind_done(L);
    lua_insert(L, -2);
    return 2;
}

sonde_stream sonde_bind_set_stream(const sonde_bind_args *args, int i, const char *name)
{
    sonde_stream stream;
    sonde_stream_init(&stream, (uint64_t)sonde_bind_opt_integer(args, i, 1, INT64_MIN, INT64_MAX), name);
    return stream;
}

static int l_spirals(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "data.spirals", SONDE_BIND_NAMES("n", "classes", "turns", "noise", "seed"));
    int64_t n = sonde_bind_opt_integer(&args, 0, 1000, 1, MANY), classes = sonde_bind_opt_integer(&args, 1, 2, 1, MANY);
    double turns = sonde_bind_opt_number(&args, 2, 1.5), noise = sonde_bind_opt_number(&args, 3, 0.02);
    sonde_stream stream = sonde_bind_set_stream(&args, 4, "data.spirals");
    float *x;
    int64_t *y;
    new_set(L, n, 2, &x, &y);
    sonde_spirals(&stream, x, y, n, classes, turns, noise);
    return sonde_bind_two_done(L);
}

static int l_blobs(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "data.blobs", SONDE_BIND_NAMES("n", "classes", "features", "std", "box", "seed"));
    int64_t n = sonde_bind_opt_integer(&args, 0, 1000, 1, MANY), classes = sonde_bind_opt_integer(&args, 1, 3, 1, MANY);
    int64_t features = sonde_bind_opt_integer(&args, 2, 2, 1, MANY);
    double std = sonde_bind_opt_number(&args, 3, 1), box = sonde_bind_opt_number(&args, 4, 10);
    sonde_stream stream = sonde_bind_set_stream(&args, 5, "data.blobs");
    double *centres = sonde_bind_scratch(L, (size_t)classes * (size_t)features * sizeof *centres);
    float *x;
    int64_t *y;
    new_set(L, n, features, &x, &y);
    sonde_blobs(&stream, x, y, n, classes, features, box, std, centres);
    return sonde_bind_two_done(L);
}

static int l_parity(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "data.parity", SONDE_BIND_NAMES("n", "bits", "seed"));
    int64_t n = sonde_bind_opt_integer(&args, 0, 1000, 1, MANY), bits = sonde_bind_opt_integer(&args, 1, 10, 1, MANY);
    sonde_stream stream = sonde_bind_set_stream(&args, 2, "data.parity");
    float *x;
    int64_t *y;
    new_set(L, n, bits, &x, &y);
    sonde_parity(&stream, x, y, n, bits);
    return sonde_bind_two_done(L);
}

int sonde_bind_data(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"idx", l_idx},       {"pixels", l_pixels},         {"gather", l_gather},
        {"labels", l_labels}, {"spirals", l_spirals},       {"blobs", l_blobs},
        {"parity", l_parity}, {"csv", sonde_bind_csv_load}, {NULL, NULL},
    };
    int top = lua_gettop(L);
    sonde_bind_kind_open(L, &kind_idx, NULL, NULL);
    sonde_bind_kind_open(L, &sonde_bind_kind_pixels, NULL, (const luaL_Reg[]){{"__len", pixels_length}, {NULL, NULL}});
    sonde_bind_csv_open(L);
    lua_settop(L, top);
    luaL_newlib(L, functions);
    sonde_bind_data_tasks(L);
    sonde_bind_data_images(L);
    return 1;
}
