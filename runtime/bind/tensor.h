/* The parts of the tensor binding. Private to bind/.
 *
 * Each part adds its methods to the table on top of the stack and leaves it there. */
#ifndef SONDE_BIND_TENSOR_H
#define SONDE_BIND_TENSOR_H

#include "bind/bind.h"

void sonde_bind_tensor_make(lua_State *L);   /* zeros, rand, …: functions, not methods */
void sonde_bind_tensor_join(lua_State *L);   /* cat, where, …: functions too */
void sonde_bind_tensor_data(lua_State *L);   /* item, totable, fill_, … */
void sonde_bind_tensor_math(lua_State *L);   /* operators, element-wise functions, products */
void sonde_bind_tensor_reduce(lua_State *L); /* sum, mean, max, softmax, … */
void sonde_bind_tensor_shape(lua_State *L);  /* view, transpose, narrow, cat, … */
void sonde_bind_tensor_triangles(lua_State *L); /* tril, triu (linalg.c) */
void sonde_bind_tensor_grad(lua_State *L);   /* backward, requires_grad_, register_hook, … */

int sonde_bind_tensor_index(lua_State *L);  /* t[i] and t[{…}]: tensor at 1, key at 2 */
int sonde_bind_tensor_assign(lua_State *L); /* t[i] = v: value at 3 */

/* Metamethods of tensor_math.c. */
int sonde_bind_tensor_add(lua_State *L);
int sonde_bind_tensor_sub(lua_State *L);
int sonde_bind_tensor_mul(lua_State *L);
int sonde_bind_tensor_div(lua_State *L);
int sonde_bind_tensor_pow(lua_State *L);
int sonde_bind_tensor_neg(lua_State *L);

/* Builds a tensor from the (nested) table or number at `index`: pushes its unfinished box. callee: for messages. */
sonde_tensor *sonde_bind_tensor_from_table(lua_State *L, int index, sonde_dtype dtype, const char *callee);
/* Pushes an unfinished box: a tensor without axes from the number at `index`, exact where both are integers. */
sonde_tensor *sonde_bind_tensor_from_number(lua_State *L, int index, sonde_dtype dtype);

#endif
