/* The activations as Lua names them: one table for the methods of tensors and the classes of nn. Private to bind/. */
#ifndef SONDE_BIND_ACTIVATIONS_H
#define SONDE_BIND_ACTIVATIONS_H

#include "bind/bind.h"

typedef struct sonde_bind_activation {
    const char *method, *class;  /* "leaky_relu", "LeakyReLU"; NULL: tensors have that method already */
    sonde_activation activation; /* with the defaults of a and b */
    const char *const names[4];  /* of a and b, or "approximate"; then "inplace" where PyTorch's class has it */
} sonde_bind_activation;

extern const sonde_bind_activation sonde_bind_activations[]; /* ends with class NULL */

/* Reads the arguments opened with the row's names. */
sonde_activation sonde_bind_arg_activation(const sonde_bind_args *args, const sonde_bind_activation *row);
/* The value of "inplace", false where there is none. */
bool sonde_bind_arg_inplace(const sonde_bind_args *args, const sonde_bind_activation *row);

#endif
