/* core.data: CIFAR's files, images as sequences, shifts and flips, statistics of samples. */
#include "bind/data.h"

#include <math.h>

static void release_labels(void *object)
{
    sonde_free(object);
}
static const sonde_bind_kind kind_labels = {.name = "Labels", .release = release_labels};

/* cifar({paths}, label_bytes, label, classes, records) -> Pixels, int64 labels; label counts from 1; records 0: any */
static int l_cifar(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    sonde_cifar_layout layout = {.label_bytes = (int)luaL_checkinteger(L, 2),
                                 .label = (int)luaL_checkinteger(L, 3) - 1,
                                 .classes = (int)luaL_checkinteger(L, 4),
                                 .records = luaL_checkinteger(L, 5)};
    int n = (int)lua_rawlen(L, 1);
    const char **paths = sonde_bind_scratch(L, (size_t)(n + 1) * sizeof *paths);
    for (int i = 0; i < n; i++) {
        if (lua_rawgeti(L, 1, i + 1) != LUA_TSTRING) sonde_bind_raise(L, "a path of a CIFAR file must be a text");
        paths[i] = lua_tostring(L, -1); /* the list keeps it */
        lua_pop(L, 1);
    }
    sonde_bind_kind_open(L, &kind_labels, NULL, NULL);
    int64_t **labels = (int64_t **)sonde_bind_new(L, &kind_labels);
    sonde_pixels **pixels = (sonde_pixels **)sonde_bind_new(L, &sonde_bind_kind_pixels);
    sonde_bind_check(L, sonde_cifar_load(pixels, labels, n, paths, &layout));
    sonde_bind_done(L);
    sonde_tensor **targets = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_from(targets, SONDE_INT64, 1, &(*pixels)->n, *labels));
    sonde_bind_done(L);
    return 2;
}

/* sequence(Pixels[, order]) -> Pixels [steps, channels]; order: int64 [steps] of positions */
static int l_sequence(lua_State *L)
{
    const sonde_pixels *pixels = sonde_bind_check_object(L, 1, &sonde_bind_kind_pixels);
    const sonde_tensor *order = lua_isnoneornil(L, 2) ? NULL : sonde_bind_check_rows(L, 2);
    if (order != NULL && (order->dtype != SONDE_INT64 || order->ndim != 1 || pixels->ndim != 3 ||
                          order->shape[0] != pixels->shape[1] * pixels->shape[2])) {
        sonde_bind_raise(L, "an order of pixels is an int64 tensor with one position for each");
    }
    sonde_pixels **out = (sonde_pixels **)sonde_bind_new(L, &sonde_bind_kind_pixels);
    sonde_bind_check(L, sonde_pixels_sequence(out, pixels, order != NULL ? sonde_tensor_data(order) : NULL));
    return sonde_bind_done(L);
}

/* augment(images, Generator, shift, flip, fill) -> new images; the generator stays where it is */
static int l_augment(lua_State *L)
{
    const sonde_tensor *x = sonde_bind_check_rows(L, 1);
    sonde_stream stream = *sonde_bind_check_stream(L, 2);
    int64_t shift = luaL_checkinteger(L, 3);
    bool flip = lua_toboolean(L, 4);
    double fill = luaL_checknumber(L, 5);
    char text[SONDE_SHAPE_TEXT];
    if (x->ndim != 4) {
        sonde_bind_raise(L, "augment: images have four axes (samples, channels, height, width), got shape %s",
                         sonde_shape_text(text, x->ndim, x->shape));
    }
    if (shift < 0 || shift > x->shape[2] || shift > x->shape[3]) {
        sonde_bind_raise(L, "augment: a shift of %lld of images of %lld x %lld", (long long)shift,
                         (long long)x->shape[2], (long long)x->shape[3]);
    }
    if (x->dtype == SONDE_INT64 && (fill != floor(fill) || fabs(fill) > 0x1p53)) {
        sonde_bind_raise(L, "augment: int64 images cannot be filled with %g", fill);
    }
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_like(out, x));
    sonde_image_size size = {x->shape[1], x->shape[2], x->shape[3]};
    sonde_images_augment(&stream, x->dtype, sonde_tensor_data(*out), sonde_tensor_data(x), x->shape[0], size, shift,
                         flip, fill);
    return sonde_bind_done(L);
}

/* ---- statistics: x [n, …] with samples seen as [outer, groups, inner] ------------------------------------------ */

static sonde_sample_groups check_groups(lua_State *L, int index, const sonde_tensor *x)
{
    sonde_sample_groups shape = {luaL_checkinteger(L, index), luaL_checkinteger(L, index + 1),
                                 luaL_checkinteger(L, index + 2)};
    int64_t size = 1;
    for (int d = 1; d < x->ndim; d++) size *= x->shape[d];
    if (!sonde_dtype_is_float(x->dtype) || shape.outer < 1 || shape.groups < 1 || shape.inner < 1 ||
        shape.outer * shape.groups * shape.inner != size) {
        sonde_bind_raise(L, "standardize: expected samples of float32 or float64 and the shape of those before");
    }
    return shape;
}

static double *check_statistic(lua_State *L, int index, int64_t groups)
{
    const sonde_tensor *t = sonde_bind_check_rows(L, index);
    if (t->dtype != SONDE_FLOAT64 || t->ndim != 1 || t->shape[0] != groups) {
        sonde_bind_raise(L, "standardize: a statistic must be a float64 tensor of %lld numbers", (long long)groups);
    }
    return sonde_tensor_data(t);
}

/* group_sums(x, outer, groups, inner, sums[, centre]): adds to sums */
static int l_group_sums(lua_State *L)
{
    const sonde_tensor *x = sonde_bind_check_rows(L, 1);
    sonde_sample_groups shape = check_groups(L, 2, x);
    double *sums = check_statistic(L, 5, shape.groups);
    const double *centre = lua_isnoneornil(L, 6) ? NULL : check_statistic(L, 6, shape.groups);
    sonde_group_sums(x->dtype, sonde_tensor_data(x), x->shape[0], shape, centre, sums);
    return 0;
}

/* standardize(x, outer, groups, inner, mean, std) -> (x - mean) / std */
static int l_standardize(lua_State *L)
{
    const sonde_tensor *x = sonde_bind_check_rows(L, 1);
    sonde_sample_groups shape = check_groups(L, 2, x);
    const double *mean = check_statistic(L, 5, shape.groups), *std = check_statistic(L, 6, shape.groups);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_like(out, x));
    sonde_standardize(x->dtype, sonde_tensor_data(*out), sonde_tensor_data(x), x->shape[0], shape, mean, std);
    return sonde_bind_done(L);
}

void sonde_bind_data_images(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"cifar", l_cifar},           {"sequence", l_sequence},       {"augment", l_augment},
        {"group_sums", l_group_sums}, {"standardize", l_standardize}, {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
