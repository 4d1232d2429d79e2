/* Constructors of convolutions and pooling, with PyTorch's arguments and defaults. A size is a number, for both axes,
 * or a list {height, width}; in one dimension a number or a list of one. */
#include "bind/nn.h"

/* Sizes at argument i into out: number or list. Absent: `fallback` (NULL: it is required). */
static void arg_pair(const sonde_bind_args *args, int i, int dims, int64_t least, const int64_t *fallback,
                     int64_t out[2])
{
    if (fallback != NULL && !sonde_bind_given(args, i)) {
        out[0] = fallback[0];
        out[1] = fallback[1];
        return;
    }
    int64_t given[SONDE_MAX_DIMS];
    int n = sonde_bind_arg_integers(args, i, given, SONDE_MAX_DIMS, least);
    bool list = lua_istable(args->L, sonde_bind_arg_index(args, i));
    if (list && n != dims) sonde_bind_arg_fail(args, i, "expected a number or a list of %d, got a list of %d", dims, n);
    out[0] = given[0];
    out[1] = given[n - 1];
}

static const int64_t zeros[2] = {0, 0}, ones[2] = {1, 1};

/* padding: sizes, "valid" for none, or "same". */
static void arg_padding(const sonde_bind_args *args, int i, int dims, sonde_conv_options *options)
{
    static const char *const words[] = {"valid", "same", NULL};
    if (lua_type(args->L, sonde_bind_arg_index(args, i)) == LUA_TSTRING)
        options->same = sonde_bind_opt_choice(args, i, 0, words) == 1;
    else
        arg_pair(args, i, dims, 0, zeros, options->args.padding);
}

/* Conv1d, Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
 */
static int f_conv(lua_State *L)
{
    sonde_bind_args args;
    sonde_conv_kind kind = (sonde_conv_kind)sonde_bind_row_value(L);
    int dims = kind == SONDE_CONV1D ? 1 : 2;
    static const char *const modes[] = {"zeros", "reflect", "replicate", "circular", NULL}; /* as sonde_pad_mode */
    sonde_conv_options options = {.same = false};
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L),
                         SONDE_BIND_NAMES("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation",
                                          "groups", "bias", "padding_mode", "dtype"));
    options.in_channels = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX);
    options.out_channels = sonde_bind_arg_integer(&args, 1, 1, INT64_MAX);
    arg_pair(&args, 2, dims, 1, NULL, options.kernel);
    arg_pair(&args, 3, dims, 1, ones, options.args.stride);
    arg_padding(&args, 4, dims, &options);
    arg_pair(&args, 5, dims, 1, ones, options.args.dilation);
    options.args.groups = sonde_bind_opt_integer(&args, 6, 1, 1, INT64_MAX);
    options.bias = sonde_bind_opt_boolean(&args, 7, true);
    options.padding_mode = (sonde_pad_mode)sonde_bind_opt_choice(&args, 8, SONDE_PAD_ZEROS, modes);
    options.dtype = sonde_bind_arg_float(&args, 9);
    sonde_bind_check(L, sonde_conv_new(sonde_bind_new_module(L), kind, &options));
    return sonde_bind_done(L);
}

/* ConvTranspose2d(in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation,
 * dtype) */
static int f_conv_transpose2d(lua_State *L)
{
    sonde_bind_args args;
    sonde_conv_options options = {.same = false};
    sonde_bind_args_open(&args, L, 1, "nn.ConvTranspose2d",
                         SONDE_BIND_NAMES("in_channels", "out_channels", "kernel_size", "stride", "padding",
                                          "output_padding", "groups", "bias", "dilation", "dtype"));
    options.in_channels = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX);
    options.out_channels = sonde_bind_arg_integer(&args, 1, 1, INT64_MAX);
    arg_pair(&args, 2, 2, 1, NULL, options.kernel);
    arg_pair(&args, 3, 2, 1, ones, options.args.stride);
    arg_pair(&args, 4, 2, 0, zeros, options.args.padding);
    arg_pair(&args, 5, 2, 0, zeros, options.args.output_padding);
    options.args.groups = sonde_bind_opt_integer(&args, 6, 1, 1, INT64_MAX);
    options.bias = sonde_bind_opt_boolean(&args, 7, true);
    arg_pair(&args, 8, 2, 1, ones, options.args.dilation);
    options.dtype = sonde_bind_arg_float(&args, 9);
    sonde_bind_check(L, sonde_conv_new(sonde_bind_new_module(L), SONDE_CONV_TRANSPOSE2D, &options));
    return sonde_bind_done(L);
}

/* MaxPool1d, MaxPool2d(kernel_size, stride = kernel_size, padding = 0, dilation = 1, ceil_mode = false) */
static int f_max_pool(lua_State *L)
{
    sonde_bind_args args;
    sonde_pool_kind kind = (sonde_pool_kind)sonde_bind_row_value(L);
    int dims = kind == SONDE_MAX_POOL1D ? 1 : 2;
    sonde_pool_args pool = {.count_include_pad = true};
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L),
                         SONDE_BIND_NAMES("kernel_size", "stride", "padding", "dilation", "ceil_mode"));
    arg_pair(&args, 0, dims, 1, NULL, pool.kernel);
    arg_pair(&args, 1, dims, 1, pool.kernel, pool.stride);
    arg_pair(&args, 2, dims, 0, zeros, pool.padding);
    arg_pair(&args, 3, dims, 1, ones, pool.dilation);
    pool.ceil_mode = sonde_bind_opt_boolean(&args, 4, false);
    sonde_bind_check(L, sonde_pool_new(sonde_bind_new_module(L), kind, &pool));
    return sonde_bind_done(L);
}

/* AvgPool1d, AvgPool2d(kernel_size, stride = kernel_size, padding = 0, ceil_mode = false, count_include_pad = true) */
static int f_avg_pool(lua_State *L)
{
    sonde_bind_args args;
    sonde_pool_kind kind = (sonde_pool_kind)sonde_bind_row_value(L);
    int dims = kind == SONDE_AVG_POOL1D ? 1 : 2;
    sonde_pool_args pool = {.dilation = {1, 1}};
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L),
                         SONDE_BIND_NAMES("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"));
    arg_pair(&args, 0, dims, 1, NULL, pool.kernel);
    arg_pair(&args, 1, dims, 1, pool.kernel, pool.stride);
    arg_pair(&args, 2, dims, 0, zeros, pool.padding);
    pool.ceil_mode = sonde_bind_opt_boolean(&args, 3, false);
    pool.count_include_pad = sonde_bind_opt_boolean(&args, 4, true);
    sonde_bind_check(L, sonde_pool_new(sonde_bind_new_module(L), kind, &pool));
    return sonde_bind_done(L);
}

/* AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveAvgPool1d, AdaptiveAvgPool2d(output_size) */
static int f_adaptive_pool(lua_State *L)
{
    sonde_bind_args args;
    sonde_pool_kind kind = (sonde_pool_kind)sonde_bind_row_value(L);
    int dims = kind == SONDE_ADAPTIVE_MAX_POOL1D || kind == SONDE_ADAPTIVE_AVG_POOL1D ? 1 : 2;
    int64_t size[2];
    sonde_bind_args_open(&args, L, 1, sonde_bind_row_name(L), SONDE_BIND_NAMES("output_size"));
    arg_pair(&args, 0, dims, 1, NULL, size);
    sonde_bind_check(L, sonde_adaptive_pool_new(sonde_bind_new_module(L), kind, size));
    return sonde_bind_done(L);
}

void sonde_bind_nn_spatial(lua_State *L)
{
    static const sonde_bind_row convolutions[] = {{"Conv1d", SONDE_CONV1D}, {"Conv2d", SONDE_CONV2D}, {NULL, 0}},
                                max_pools[] = {{"MaxPool1d", SONDE_MAX_POOL1D},
                                               {"MaxPool2d", SONDE_MAX_POOL2D},
                                               {NULL, 0}},
                                avg_pools[] = {{"AvgPool1d", SONDE_AVG_POOL1D},
                                               {"AvgPool2d", SONDE_AVG_POOL2D},
                                               {NULL, 0}},
                                adaptive[] = {{"AdaptiveMaxPool1d", SONDE_ADAPTIVE_MAX_POOL1D},
                                              {"AdaptiveMaxPool2d", SONDE_ADAPTIVE_MAX_POOL2D},
                                              {"AdaptiveAvgPool1d", SONDE_ADAPTIVE_AVG_POOL1D},
                                              {"AdaptiveAvgPool2d", SONDE_ADAPTIVE_AVG_POOL2D},
                                              {NULL, 0}};
    sonde_bind_add_rows(L, "nn.", f_conv, convolutions);
    luaL_setfuncs(L, (luaL_Reg[]){{"ConvTranspose2d", f_conv_transpose2d}, {NULL, NULL}}, 0);
    sonde_bind_add_rows(L, "nn.", f_max_pool, max_pools);
    sonde_bind_add_rows(L, "nn.", f_avg_pool, avg_pools);
    sonde_bind_add_rows(L, "nn.", f_adaptive_pool, adaptive);
}
