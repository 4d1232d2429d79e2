/* Tasks that need a memory, and series of dynamical systems: a part of the door data.h.
 *
 * Samples are rows, row-major: [n, steps, …]. Sample i draws from a stream of its own, derived from `stream` by its
 * number, so that the first samples of a large set are those of a small one. Symbols and classes count from 1.
 */
#ifndef SONDE_DATA_TASKS_H
#define SONDE_DATA_TASKS_H

#include "base/base.h"

/* The adding problem (Hochreiter and Schmidhuber 1997, experiment 4, in the form of Le, Jaitly and Hinton 2015):
 * x [n, length, 2] is a number of U(0, 1) and a marker, which is 1 at one step of each half; y [n] is the sum of the
 * marked numbers. Who always says 1 has a mean squared error of 2/12. length >= 2. */
void sonde_adding(const sonde_stream *stream, float *x, float *y, int64_t n, int64_t length);

/* Copying memory (Hochreiter and Schmidhuber 1997; Arjovsky, Shah and Bengio 2016): `length` symbols 1..symbols, then
 * `delay` - 1 blanks, a marker and `length` blanks; y is blank but for the last `length` steps, which repeat the
 * symbols. Blank is symbols + 1, the marker symbols + 2. x, y [n, delay + 2 length]. Without a memory the best
 * cross-entropy is length ln(symbols) / (delay + 2 length). delay >= 1. */
void sonde_copying(const sonde_stream *stream, int64_t *x, int64_t *y, int64_t n, int64_t length, int64_t delay,
                   int64_t symbols);

/* Temporal order (Hochreiter and Schmidhuber 1997, experiments 6a and 6b): distractors 1..4 (a, b, c, d), but the first
 * step is 7 (E), the last 8 (B), and `relevant` (2 or 3) steps are 5 (X) or 6 (Y), each within a tenth of the
 * length: from 10 and 50, or 10, 33 and 66 hundredths of it on. y [n], 1..2^relevant, says which they were and in which
 * order: XX, XY, YX, YY. x [n, length]; length >= 10. */
void sonde_temporal_order(const sonde_stream *stream, int64_t *x, int64_t *y, int64_t n, int64_t length,
                          int64_t relevant);

/* Exclusive or after a delay (the delayed parity of Bertschinger and Natschläger 2004, of two bits): x [n, length] is
 * random, -1 or 1; y [n] is 1 where the bits `delay` and `delay` + 1 steps before the last are the same, else 2.
 * length >= delay + 2. */
void sonde_delayed_xor(const sonde_stream *stream, float *x, int64_t *y, int64_t n, int64_t length, int64_t delay);

/* Mackey and Glass 1977: dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x, by Runge-Kutta of order 4 and step 0.1,
 * where the delayed value at half a step is the mean of its neighbours. From a constant history of U(0.5, 1.5), at
 * whole times after 1000 to settle. x [n, length]; delay: tau in steps of 0.1, >= 1. */
sonde_status sonde_mackey_glass(const sonde_stream *stream, double *x, int64_t n, int64_t length, int64_t delay);

/* Lorenz 1963: dx/dt = sigma (y - x), dy/dt = x (rho - z) - y, dz/dt = x y - beta z, by Runge-Kutta of order 4, four
 * steps to one sample. From U(-10, 10)² × U(15, 35), a sample every dt after 1000 to settle. x [n, length, 3]. */
typedef struct sonde_lorenz_system {
    double sigma, rho, beta, dt;
} sonde_lorenz_system;
void sonde_lorenz(const sonde_stream *stream, double *x, int64_t n, int64_t length, const sonde_lorenz_system *system);

/* NARMA-10 (Atiya and Parlos 2000): y(t+1) = 0.3 y(t) + 0.05 y(t) Σ_{i=0..9} y(t-i) + 1.5 u(t-9) u(t) + 0.1 with u(t)
 * of U(0, 0.5); u [n, length] and y(t+1) [n, length], after 200 steps to settle. The recursion runs away now and then;
 * such a sample is drawn anew, and after 100 attempts in vain (near half a million steps) this is EARG. */
sonde_status sonde_narma10(const sonde_stream *stream, double *u, double *y, int64_t n, int64_t length);

#endif
