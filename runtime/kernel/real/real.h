/* real.h — one source, two element types. Files in kernel/real/ are compiled with SONDE_REAL=32 and SONDE_REAL=64.
 *
 * `real` is the element type, REAL_NAME(tanh_forward) the function's name for it (tanh_forward_f32 or _f64), R(x) a
 * constant of the type, REAL_MATH(exp) the libm function of the type. The files kernel/<name>.c dispatch by dtype.
 */
#ifndef SONDE_REAL_H
#define SONDE_REAL_H

#include "base/base.h"
#include <float.h>
#include <math.h>

#if SONDE_REAL == 32
typedef float real;
typedef uint32_t real_bits; /* as many bits as a real */
#define REAL_NAME(name) name##_f32
#define REAL_MATH(name) name##f
#define REAL_MAX FLT_MAX
#define REAL_MIN FLT_MIN
#define REAL_EPSILON FLT_EPSILON
#elif SONDE_REAL == 64
typedef double real;
typedef uint64_t real_bits;
#define REAL_NAME(name) name##_f64
#define REAL_MATH(name) name
#define REAL_MAX DBL_MAX
#define REAL_MIN DBL_MIN
#define REAL_EPSILON DBL_EPSILON
#else
#error "compile with -DSONDE_REAL=32 or -DSONDE_REAL=64"
#endif

#define R(x) ((real)(x))

#ifdef __clang__ /* knows no vector tanh and the like: such loops stay scalar there */
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

/* glibc's vector maths (libmvec, 2.35 and later for most of these). math.h declares the vector forms under -ffast-math
 * only; we want them without it. They are within 4 ulp, and keep NaN and infinity. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
#define SONDE_VECTOR_MATH(function)                                                \
    extern float function##f(float) __attribute__((__simd__("notinbranch")));     \
    extern double function(double) __attribute__((__simd__("notinbranch")));
SONDE_VECTOR_MATH(exp)
SONDE_VECTOR_MATH(exp2)
SONDE_VECTOR_MATH(expm1)
SONDE_VECTOR_MATH(log)
SONDE_VECTOR_MATH(log2)
SONDE_VECTOR_MATH(log10)
SONDE_VECTOR_MATH(log1p)
SONDE_VECTOR_MATH(sin)
SONDE_VECTOR_MATH(cos)
SONDE_VECTOR_MATH(tan)
SONDE_VECTOR_MATH(sinh)
SONDE_VECTOR_MATH(cosh)
SONDE_VECTOR_MATH(tanh)
SONDE_VECTOR_MATH(asin)
SONDE_VECTOR_MATH(acos)
SONDE_VECTOR_MATH(atan)
SONDE_VECTOR_MATH(erf)
SONDE_VECTOR_MATH(erfc)
#undef SONDE_VECTOR_MATH
#endif

#endif
