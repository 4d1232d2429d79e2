/* Constructors of look-up, gates, shapes, containers, noise, and of what changes gradients. */
#include "bind/nn.h"

/* padding_idx: 1-based, as the indices are. */
static int f_embedding(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.Embedding",
                         SONDE_BIND_NAMES("num_embeddings", "embedding_dim", "padding_idx", "dtype"));
    int64_t n = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX), size = sonde_bind_arg_integer(&args, 1, 1, INT64_MAX);
    int64_t padding = sonde_bind_opt_integer(&args, 2, 0, 1, n);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 3);
    sonde_bind_check(L, sonde_embedding_new(sonde_bind_new_module(L), n, size, padding, dtype));
    return sonde_bind_done(L);
}

static int f_bilinear(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.Bilinear",
                         SONDE_BIND_NAMES("in1_features", "in2_features", "out_features", "bias", "dtype"));
    int64_t in1 = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX), in2 = sonde_bind_arg_integer(&args, 1, 1, INT64_MAX);
    int64_t out = sonde_bind_arg_integer(&args, 2, 1, INT64_MAX);
    bool bias = sonde_bind_opt_boolean(&args, 3, true);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 4);
    sonde_bind_check(L, sonde_bilinear_new(sonde_bind_new_module(L), in1, in2, out, bias, dtype));
    return sonde_bind_done(L);
}

static int f_maxout(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.Maxout", SONDE_BIND_NAMES("in_features", "out_features", "pieces", "dtype"));
    int64_t in = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX), out = sonde_bind_arg_integer(&args, 1, 1, INT64_MAX);
    int64_t pieces = sonde_bind_opt_integer(&args, 2, 2, 1, INT64_MAX);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 3);
    sonde_bind_check(L, sonde_maxout_new(sonde_bind_new_module(L), in, out, pieces, dtype));
    return sonde_bind_done(L);
}

static int f_glu(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.GLU", SONDE_BIND_NAMES("dim"));
    int axis = sonde_bind_free_axis(&args, 0, -1);
    sonde_bind_check(L, sonde_glu_new(sonde_bind_new_module(L), axis));
    return sonde_bind_done(L);
}

/* CReLU(dim = 2), Concat(dim = 2): the channels. */
static int f_crelu(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.CReLU", SONDE_BIND_NAMES("dim"));
    int axis = sonde_bind_free_axis(&args, 0, 1);
    sonde_bind_check(L, sonde_crelu_new(sonde_bind_new_module(L), axis));
    return sonde_bind_done(L);
}

static int f_concat(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.Concat", SONDE_BIND_NAMES("dim"));
    int axis = sonde_bind_free_axis(&args, 0, 1);
    sonde_bind_check(L, sonde_concat_new(sonde_bind_new_module(L), axis));
    return sonde_bind_done(L);
}

/* DenseSkip(block, dim = 2) */
static int f_dense_skip(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.DenseSkip", SONDE_BIND_NAMES("block", "dim"));
    sonde_module *block = sonde_bind_arg_module(&args, 0);
    int axis = sonde_bind_free_axis(&args, 1, 1);
    sonde_bind_check(L, sonde_dense_skip_new(sonde_bind_new_module(L), block, axis));
    sonde_bind_done(L);
    sonde_bind_keep_children(L);
    return 1;
}

/* ReZero(block, shortcut = the input itself): a Residual whose scale is learned, from 0. */
static int f_rezero(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.ReZero", SONDE_BIND_NAMES("block", "shortcut"));
    sonde_module *block = sonde_bind_arg_module(&args, 0), *shortcut = sonde_bind_opt_module(&args, 1);
    sonde_bind_check(L, sonde_residual_new(sonde_bind_new_module(L), block, shortcut, 0, true));
    sonde_bind_done(L);
    sonde_bind_keep_children(L);
    return 1;
}

/* LayerScale(num_features, init = 1e-5, dim = -1) */
static int f_layer_scale(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.LayerScale", SONDE_BIND_NAMES("num_features", "init", "dim", "dtype"));
    int64_t n = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX);
    double init = sonde_bind_opt_number(&args, 1, 1e-5);
    int axis = sonde_bind_free_axis(&args, 2, -1);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 3);
    sonde_bind_check(L, sonde_layer_scale_new(sonde_bind_new_module(L), n, init, axis, dtype));
    return sonde_bind_done(L);
}

static int f_unflatten(lua_State *L)
{
    sonde_bind_args args;
    int64_t sizes[SONDE_MAX_DIMS];
    sonde_bind_args_open(&args, L, 1, "nn.Unflatten", SONDE_BIND_NAMES("dim", "unflattened_size"));
    sonde_bind_arg_integer(&args, 0, -SONDE_MAX_DIMS, SONDE_MAX_DIMS);
    int axis = sonde_bind_free_axis(&args, 0, 0);
    int n = sonde_bind_arg_integers(&args, 1, sizes, SONDE_MAX_DIMS, -1);
    sonde_bind_check(L, sonde_unflatten_new(sonde_bind_new_module(L), axis, n, sizes));
    return sonde_bind_done(L);
}

/* Highway(block, features, gate_bias = -1) */
static int f_highway(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.Highway", SONDE_BIND_NAMES("block", "features", "gate_bias", "dtype"));
    sonde_module *block = sonde_bind_arg_module(&args, 0);
    int64_t features = sonde_bind_arg_integer(&args, 1, 1, INT64_MAX);
    double gate_bias = sonde_bind_opt_number(&args, 2, -1);
    sonde_dtype dtype = sonde_bind_arg_float(&args, 3);
    sonde_bind_check(L, sonde_highway_new(sonde_bind_new_module(L), block, features, gate_bias, dtype));
    sonde_bind_done(L);
    sonde_bind_keep_children(L);
    return 1;
}

static int f_noise(lua_State *L)
{
    sonde_bind_args args;
    sonde_noise_kind kind = (sonde_noise_kind)sonde_bind_row_value(L);
    bool gaussian = kind == SONDE_GAUSSIAN_NOISE;
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES(gaussian ? "std" : "p"));
    double p = sonde_bind_opt_number(&args, 0, gaussian ? 0.1 : 0.5);
    sonde_bind_check(L, sonde_noise_new(sonde_bind_new_module(L), kind, p));
    return sonde_bind_done(L);
}

/* GradientScale(scale), GradientReversal(scale = 1), GradientStop() */
static int f_gradient(lua_State *L)
{
    sonde_bind_args args;
    sonde_gradient_kind kind = (sonde_gradient_kind)sonde_bind_row_value(L);
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L),
                         SONDE_BIND_NAMES(kind == SONDE_GRADIENT_STOP ? NULL : "scale"));
    double scale = kind == SONDE_GRADIENT_SCALE      ? sonde_bind_arg_number(&args, 0)
                   : kind == SONDE_GRADIENT_REVERSAL ? sonde_bind_opt_number(&args, 0, 1)
                                                     : 0;
    sonde_bind_check(L, sonde_gradient_module_new(sonde_bind_new_module(L), kind, scale));
    return sonde_bind_done(L);
}

void sonde_bind_nn_more(lua_State *L)
{
    static const luaL_Reg functions[] = {{"Embedding", f_embedding},
                                         {"Bilinear", f_bilinear},
                                         {"Maxout", f_maxout},
                                         {"GLU", f_glu},
                                         {"CReLU", f_crelu},
                                         {"Concat", f_concat},
                                         {"DenseSkip", f_dense_skip},
                                         {"Highway", f_highway},
                                         {"ReZero", f_rezero},
                                         {"SkipInit", f_rezero}, /* De & Smith 2020: the same formula */
                                         {"LayerScale", f_layer_scale},
                                         {"Unflatten", f_unflatten},
                                         {NULL, NULL}};
    static const sonde_bind_row noises[] = {{"Dropout2d", SONDE_DROPOUT2D},
                                            {"AlphaDropout", SONDE_ALPHA_DROPOUT},
                                            {"GaussianNoise", SONDE_GAUSSIAN_NOISE},
                                            {"StochasticDepth", SONDE_STOCHASTIC_DEPTH},
                                            {NULL, 0}},
                                gradients[] = {{"GradientScale", SONDE_GRADIENT_SCALE},
                                               {"GradientStop", SONDE_GRADIENT_STOP},
                                               {"GradientReversal", SONDE_GRADIENT_REVERSAL},
                                               {NULL, 0}};
    luaL_setfuncs(L, functions, 0);
    sonde_bind_add_rows(L, "nn.", f_noise, noises);
    sonde_bind_add_rows(L, "nn.", f_gradient, gradients);
}
