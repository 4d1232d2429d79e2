/* base — the room everything stands on: status and messages, counted memory, random streams, the clock.
 *
 * Ownership: functions borrow their arguments unless named _new, _retain or _take.
 * Failure:   a function that can fail returns a sonde_status and leaves one message behind, in this thread,
 *            until the next failure. Nothing here longjmps, prints or exits.
 */
#ifndef SONDE_BASE_H
#define SONDE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- status and messages ------------------------------------------------------------------------------- */

typedef enum sonde_status {
    SONDE_OK = 0,
    SONDE_EARG,      /* a wrong argument: value, name, option */
    SONDE_ESHAPE,    /* shapes that do not fit each other */
    SONDE_EDTYPE,    /* a dtype an operation does not take */
    SONDE_ESTATE,    /* right call, wrong moment (second backward, closed file, changed in place) */
    SONDE_ENOMEM,    /* out of memory, or a size that overflows */
    SONDE_EIO,       /* the outside world: files, disk */
    SONDE_EFORMAT,   /* a file that is not what it should be */
    SONDE_EINTR,     /* interrupted by a signal */
    SONDE_ECALLBACK, /* a host callback (Lua) failed; the host keeps the error value */
    SONDE_STATUS_COUNT
} sonde_status;

/* Stores the message and returns `code`, so that a failing branch reads `return sonde_fail(...)`. */
sonde_status sonde_fail(sonde_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts context in front of the message that is there: "layer 'h3' (Linear): " + message. */
void sonde_fail_within(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *sonde_message(void);                 /* of the last failure in this thread; "" if none */
const char *sonde_status_name(sonde_status code); /* "ESHAPE" */

#define SONDE_TRY(expression)                          \
    do {                                               \
        sonde_status try_status_ = (expression);       \
        if (try_status_ != SONDE_OK) return try_status_; \
    } while (0)

/* ---- element types ------------------------------------------------------------------------------------- */

typedef enum sonde_dtype { SONDE_FLOAT32, SONDE_FLOAT64, SONDE_INT64, SONDE_DTYPE_COUNT } sonde_dtype;

size_t sonde_dtype_size(sonde_dtype dtype);      /* 4, 8, 8 */
const char *sonde_dtype_name(sonde_dtype dtype); /* "float32", ... */
bool sonde_dtype_parse(const char *name, sonde_dtype *out);
static inline bool sonde_dtype_is_float(sonde_dtype dtype) { return dtype != SONDE_INT64; }

/* ---- memory -------------------------------------------------------------------------------------------- */

/* 64-byte aligned, uninitialised, from a pool of size classes (the pool is off under AddressSanitizer).
 * NULL on failure, with the message set. sonde_free(NULL) does nothing. Any thread may call them. */
void *sonde_alloc(size_t bytes);
void *sonde_alloc_zeroed(size_t bytes);
void *sonde_realloc(void *block, size_t bytes); /* NULL leaves the old block alone */
char *sonde_strdup(const char *text);
void sonde_free(void *block);

/* out = a * b; false on overflow. */
static inline bool sonde_size_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool sonde_size_add(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

typedef struct sonde_memory_stats {
    size_t live_bytes, live_blocks, peak_bytes, pooled_bytes;
} sonde_memory_stats;

sonde_memory_stats sonde_memory(void);
void sonde_memory_limit(size_t bytes); /* 0: none. Beyond it sonde_alloc fails as if the machine had no more. */
void sonde_memory_fail_at(long n);     /* tests: the n-th allocation from now fails once; -1: never */
void sonde_memory_trim(void);          /* gives the pool back to the system */

/* ---- random streams: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") -- */

/* A stream is keyed by (seed, name): one per purpose. Draws use no libm, so they are the same bits everywhere.
 * Every filler advances `position` by a count that depends on n alone. */
typedef struct sonde_stream {
    uint32_t key[2];
    uint64_t position; /* in 128-bit blocks */
    uint64_t stream;   /* high half of the counter */
} sonde_stream;

void sonde_stream_init(sonde_stream *stream, uint64_t seed, const char *name);
/* A stream derived from another: "init" + 7 is parameter number 7. Does not advance the parent. */
void sonde_stream_derive(sonde_stream *out, const sonde_stream *parent, const char *name, uint64_t number);
uint32_t sonde_stream_u32(sonde_stream *stream);
double sonde_stream_uniform(sonde_stream *stream);                             /* [0, 1), 53 bits */
int64_t sonde_stream_integer(sonde_stream *stream, int64_t low, int64_t high); /* both ends in, no bias */
void sonde_stream_fill_uniform(sonde_stream *stream, sonde_dtype dtype, void *out, size_t n, double low, double high);
void sonde_stream_fill_normal(sonde_stream *stream, sonde_dtype dtype, void *out, size_t n, double mean, double std);
/* N(mean, std²) between low and high. The interval's ends go through erfc of libm; everything else as above. false, and
 * nothing done, where less than 1e-290 of the distribution lies between them. */
bool sonde_stream_fill_truncated_normal(sonde_stream *stream, sonde_dtype dtype, void *out, size_t n, double mean,
                                        double std, double low, double high);
/* out[i] = scale with probability keep, else 0 (inverted dropout masks: scale = 1/keep). */
void sonde_stream_fill_bernoulli(sonde_stream *stream, sonde_dtype dtype, void *out, size_t n, double keep,
                                 double scale);
void sonde_stream_permutation(sonde_stream *stream, int64_t *out, size_t n, int64_t first); /* first .. first+n-1 */

/* ---- clock --------------------------------------------------------------------------------------------- */

double sonde_clock(void);                          /* monotonic seconds */
/* For differences of short times, and many of them: the processor's counter, which runs at a constant rate that
 * sonde_clock tells; a third of the clock's price. Where it is not known, nanoseconds of the clock. */
uint64_t sonde_ticks(void);
void sonde_clock_iso(char out[static 32]);         /* now, UTC: 2026-11-23T18:37:16Z */

#endif
