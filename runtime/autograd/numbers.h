/* numbers — the numerics watch: which operator made the first number that is not finite. Part of autograd's door.
 *
 * While it is on, every operator's outputs and every gradient are looked at once (one pass over what is in cache), until
 * one is not finite; then nothing more until sonde_numbers_reset, so that what merely passes it on is not blamed.
 * An operator whose inputs were not finite made nothing: then the input is what is found, by its address.
 * Off, it costs one comparison per operator. Of the calling thread.
 */
#ifndef SONDE_AUTOGRAD_NUMBERS_H
#define SONDE_AUTOGRAD_NUMBERS_H

#include "tensor/tensor.h"

typedef enum sonde_numbers_origin {
    SONDE_NUMBERS_NONE,
    SONDE_NUMBERS_FORWARD,  /* op made it from finite inputs */
    SONDE_NUMBERS_BACKWARD, /* op's backward made it from a finite gradient */
    SONDE_NUMBERS_INPUT,    /* op read it: `input`, a leaf or a constant, held it already */
} sonde_numbers_origin;

typedef struct sonde_numbers {
    sonde_numbers_origin origin;
    const char *op;          /* the operator's name */
    const void *place;       /* of the call that made it, as `place` told; NULL: none */
    const void *input;       /* origin INPUT: the tensor, to be compared only */
    int64_t n_nonfinite;     /* elements of the result */
    double low, high;        /* range of what the operator read (BACKWARD: of the gradient); NaN if nothing */
} sonde_numbers;

/* place (may be NULL): asked at each operator for what to remember as its place, e.g. the module called just now.
 * Returns whether it was on. */
bool sonde_numbers_watch(bool on, const void *(*place)(void));
const sonde_numbers *sonde_numbers_found(void);
void sonde_numbers_reset(void);

#endif
