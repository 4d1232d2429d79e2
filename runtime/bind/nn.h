/* The parts of the module binding. Private to bind/. */
#ifndef SONDE_BIND_NN_H
#define SONDE_BIND_NN_H

#include "bind/bind.h"

/* User values of a module's box. */
enum {
    SONDE_BIND_FIELDS = 1, /* a user's layer: its fields. All: the boxes of children, by name, so that they live on */
    SONDE_BIND_CLASS,      /* a user's layer: its class, a table */
    SONDE_BIND_HOOKS       /* the last one: see sonde_bind_callback_new */
};

/* Pushes the table of fields of the box at `index`, made if there is none. */
void sonde_bind_push_fields(lua_State *L, int index);
/* Child i (from 0) of the module at `index`: pushes its box, and has the parent's box keep it. */
void sonde_bind_push_child(lua_State *L, int index, int i);
/* The boxes of all children of the module on top: from now on its box keeps them. */
void sonde_bind_keep_children(lua_State *L);
/* Sets child `name` (NULL: the next number) of the module at `parent` to the module at `child`. */
void sonde_bind_set_child(lua_State *L, int parent, const char *name, int child);
/* Pushes a tensor as the parameter that it is. */
void sonde_bind_push_parameter(lua_State *L, sonde_tensor *t);
/* Calls the module at 1 with the tensors from 2 on; returns how many results it pushed. */
int sonde_bind_call_module(lua_State *L);

/* Pushes the box of a module that is being made. */
static inline sonde_module **sonde_bind_new_module(lua_State *L)
{
    return (sonde_module **)sonde_bind_new(L, &sonde_bind_kind_module);
}
/* Layers that compute with floats are made of floats: float32 if absent. */
sonde_dtype sonde_bind_arg_float(const sonde_bind_args *args, int i);
/* An axis that is not yet a tensor's: 1-based to 0-based, negative as it is. */
int sonde_bind_free_axis(const sonde_bind_args *args, int i, int fallback);

void sonde_bind_nn_module(lua_State *L);  /* adds the methods to the table on top */
void sonde_bind_nn_hooks(lua_State *L);   /* likewise */
void sonde_bind_nn_activation_methods(lua_State *L); /* likewise */
int sonde_bind_nn_index(lua_State *L);    /* m.name, m[i] */
int sonde_bind_nn_newindex(lua_State *L); /* m.name = value, m[i] = module */
void sonde_bind_nn_layers(lua_State *L);  /* adds the constructors to the table on top */
void sonde_bind_nn_recurrent(lua_State *L); /* likewise: RNN, LSTM, GRU, their cells */
void sonde_bind_nn_attention(lua_State *L); /* likewise: MultiheadAttention, TransformerEncoder, its layer */
int sonde_bind_nn_hidden_hook(lua_State *L); /* the method register_hidden_grad_hook */
void sonde_bind_nn_activations(lua_State *L); /* these are called by sonde_bind_nn_layers */
void sonde_bind_nn_spatial(lua_State *L);
void sonde_bind_nn_norm(lua_State *L);
void sonde_bind_nn_more(lua_State *L);
void sonde_bind_nn_losses(lua_State *L);
void sonde_bind_nn_parametrize(lua_State *L); /* adds parametrize and parametrizations to the table on top, nn.utils */
/* Pushes the module "parametrizations" of the one at `index`, whose box keeps it, or nil. */
void sonde_bind_push_parametrizations(lua_State *L, int index);
void sonde_bind_nn_init(lua_State *L);    /* pushes nn.init */
void sonde_bind_nn_utils(lua_State *L);   /* pushes nn.utils */
void sonde_bind_nn_reservoir(lua_State *L); /* adds to init and utils of the table on top */
/* Pushes nn.Module, the class that users extend; methods: index of the table of C methods. */
void sonde_bind_nn_class(lua_State *L, int methods);
/* A user's layer now has children: probes look inside it. */
void sonde_bind_nn_class_has_children(sonde_module *m);

#endif
