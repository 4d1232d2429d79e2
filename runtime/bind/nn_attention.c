/* MultiheadAttention and transformer encoders, with PyTorch's arguments and defaults. */
#include "bind/nn.h"

static int f_multihead_attention(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.MultiheadAttention",
                         SONDE_BIND_NAMES("embed_dim", "num_heads", "dropout", "bias", "add_bias_kv", "add_zero_attn",
                                          "kdim", "vdim", "batch_first", "dtype"));
    int64_t size = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX);
    sonde_attention_options o = sonde_attention_defaults(size, sonde_bind_arg_integer(&args, 1, 1, INT64_MAX));
    o.dropout = sonde_bind_opt_number(&args, 2, 0);
    o.bias = sonde_bind_opt_boolean(&args, 3, true);
    o.add_bias_kv = sonde_bind_opt_boolean(&args, 4, false);
    o.add_zero_attn = sonde_bind_opt_boolean(&args, 5, false);
    o.kdim = sonde_bind_opt_integer(&args, 6, size, 1, INT32_MAX);
    o.vdim = sonde_bind_opt_integer(&args, 7, size, 1, INT32_MAX);
    o.batch_first = sonde_bind_opt_boolean(&args, 8, false);
    o.dtype = sonde_bind_arg_float(&args, 9);
    sonde_bind_check(L, sonde_multihead_attention_new(sonde_bind_new_module(L), &o));
    return sonde_bind_done(L);
}

/* activation: "relu", "gelu" or a module. */
static sonde_module *arg_activation(const sonde_bind_args *args, int i)
{
    static const char *const names[] = {"relu", "gelu", NULL};
    lua_State *L = args->L;
    if (lua_type(L, sonde_bind_arg_index(args, i)) == LUA_TUSERDATA) return sonde_bind_arg_module(args, i);
    const bool gelu = sonde_bind_opt_choice(args, i, 0, names) == 1;
    const sonde_activation activation = {gelu ? SONDE_GELU : SONDE_RELU, 0, 0};
    sonde_module **out = sonde_bind_new_module(L); /* its box keeps it meanwhile */
    sonde_bind_check(L, sonde_activation_module_new(out, gelu ? "GELU" : "ReLU", &activation, false));
    return *out;
}

static int f_encoder_layer(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.TransformerEncoderLayer",
                         SONDE_BIND_NAMES("d_model", "nhead", "dim_feedforward", "dropout", "activation",
                                          "layer_norm_eps", "batch_first", "norm_first", "bias", "dtype"));
    sonde_encoder_options o = {.d_model = sonde_bind_arg_integer(&args, 0, 1, INT64_MAX),
                               .nhead = sonde_bind_arg_integer(&args, 1, 1, INT64_MAX)};
    o.dim_feedforward = sonde_bind_opt_integer(&args, 2, 2048, 1, INT64_MAX);
    o.dropout = sonde_bind_opt_number(&args, 3, 0.1);
    o.layer_norm_eps = sonde_bind_opt_number(&args, 5, 1e-5);
    o.batch_first = sonde_bind_opt_boolean(&args, 6, false);
    o.norm_first = sonde_bind_opt_boolean(&args, 7, false);
    o.bias = sonde_bind_opt_boolean(&args, 8, true);
    o.dtype = sonde_bind_arg_float(&args, 9);
    o.activation = arg_activation(&args, 4);
    sonde_bind_check(L, sonde_transformer_encoder_layer_new(sonde_bind_new_module(L), &o));
    sonde_bind_done(L);
    sonde_bind_keep_children(L);
    return 1;
}

static int f_encoder(lua_State *L)
{
    sonde_bind_args args;
    sonde_bind_args_open(&args, L, 1, "nn.TransformerEncoder", SONDE_BIND_NAMES("encoder_layer", "num_layers", "norm"));
    sonde_module *layer = sonde_bind_arg_module(&args, 0), *norm = sonde_bind_opt_module(&args, 2);
    int64_t n = sonde_bind_arg_integer(&args, 1, 1, INT16_MAX);
    sonde_bind_check(L, sonde_transformer_encoder_new(sonde_bind_new_module(L), layer, n, norm));
    sonde_bind_done(L);
    sonde_bind_keep_children(L);
    return 1;
}

void sonde_bind_nn_attention(lua_State *L)
{
    static const luaL_Reg functions[] = {{"MultiheadAttention", f_multihead_attention},
                                         {"TransformerEncoderLayer", f_encoder_layer},
                                         {"TransformerEncoder", f_encoder},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
