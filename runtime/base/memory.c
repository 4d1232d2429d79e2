/* Counted memory: 64-byte aligned blocks from per-thread pools of size classes.
 *
 * A block is a 64-byte header and then the bytes given out. Sizes are rounded up to a class (four to each power of
 * two, so at most a fifth is wasted), and a block freed by the thread that made it goes to that thread's list of its
 * class: a training step that asks for the same sizes again and again never reaches the system and takes no lock.
 * (Freed elsewhere it goes to the system: else a producer's blocks would pile up at the consumer.) What a thread may
 * hold back is bounded; its lists go back to the system when it ends. Counters are relaxed atomics.
 */
#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_ENABLED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ENABLED 0
#endif
#endif
#ifndef POOL_ENABLED
#define POOL_ENABLED 1 /* under AddressSanitizer every block must really die */
#endif

enum {
    ALIGNMENT = 64,
    SMALLEST_LOG2 = 8, /* so that every class is a multiple of the alignment */
    LARGEST_LOG2 = 30, /* larger blocks are not pooled */
    CLASS_COUNT = 4 * (LARGEST_LOG2 - SMALLEST_LOG2) + 1,
    NO_CLASS = -1,
};
static const size_t LARGEST_BLOCK = (size_t)1 << 39; /* half a tebibyte: a mistake, and sanitizers abort on it */
static const size_t LARGE_BLOCK = (size_t)1 << 20;
static const size_t POOL_SMALL_BYTES = (size_t)64 << 20;  /* a thread's bound for blocks up to 1 MiB */
static const size_t POOL_LARGE_BYTES = (size_t)256 << 20; /* ... and for larger ones */

typedef struct block {
    size_t capacity;          /* usable bytes after the header: the class's size */
    int size_class;           /* or NO_CLASS */
    const struct pool *owner; /* of the thread that made it; compared, never followed */
    struct block *next;       /* while in a list */
} block;
_Static_assert(sizeof(block) <= ALIGNMENT, "a header fits in front of aligned bytes");

typedef struct pool {
    block *lists[CLASS_COUNT];
    size_t small_bytes, large_bytes;
    bool registered; /* with the destructor that runs at the thread's end */
} pool;

static _Thread_local pool local_pool;
static _Atomic size_t held_bytes, live_bytes, live_blocks, peak_bytes, limit_bytes;
static atomic_long fail_countdown = -1;
static pthread_key_t pool_key;
static bool pool_key_made;
static pthread_once_t pool_key_once = PTHREAD_ONCE_INIT;

/* Class 4(e - 6) + q holds 2^e (1 + q/4) bytes. */
static size_t class_bytes(int size_class)
{
    return (size_t)(4 + size_class % 4) << (SMALLEST_LOG2 + size_class / 4 - 2);
}

static int class_of(size_t bytes)
{
    if (bytes <= (size_t)1 << SMALLEST_LOG2) return 0;
    if (bytes > (size_t)1 << LARGEST_LOG2) return NO_CLASS;
    int e = 63 - __builtin_clzll(bytes - 1); /* 2^e <= bytes - 1 < 2^(e+1) */
    int quarter = (int)((bytes - 1) >> (e - 2)) & 3;
    return 4 * (e - SMALLEST_LOG2) + quarter + 1;
}

static size_t *pool_total(pool *p, const block *b)
{
    return b->capacity <= LARGE_BLOCK ? &p->small_bytes : &p->large_bytes;
}

static void release_block(block *b)
{
    atomic_fetch_sub_explicit(&held_bytes, b->capacity, memory_order_relaxed);
    free(b);
}

static void pool_empty(void *pool_pointer)
{
    pool *p = pool_pointer;
    for (int i = 0; i < CLASS_COUNT; i++)
        while (p->lists[i]) {
            block *b = p->lists[i];
            p->lists[i] = b->next;
            release_block(b);
        }
    p->small_bytes = p->large_bytes = 0;
}

/* At the thread's end. Another thread-specific destructor may still free blocks: they register the pool anew. */
static void pool_end(void *pool_pointer)
{
    pool_empty(pool_pointer);
    ((pool *)pool_pointer)->registered = false;
}

static void make_pool_key(void)
{
    pool_key_made = pthread_key_create(&pool_key, pool_end) == 0;
}

/* Blocks freed by a thread without a destructor would be lost with it: no destructor, no pooling. */
static bool pool_register(pool *p)
{
    pthread_once(&pool_key_once, make_pool_key);
    p->registered = pool_key_made && pthread_setspecific(pool_key, p) == 0;
    return p->registered;
}

static block *pool_take(int size_class)
{
    if (!POOL_ENABLED || size_class == NO_CLASS) return NULL;
    block *b = local_pool.lists[size_class];
    if (!b) return NULL;
    local_pool.lists[size_class] = b->next;
    *pool_total(&local_pool, b) -= b->capacity;
    return b;
}

static bool pool_put(block *b)
{
    if (!POOL_ENABLED || b->size_class == NO_CLASS || b->owner != &local_pool) return false;
    size_t *total = pool_total(&local_pool, b);
    if (*total + b->capacity > (b->capacity <= LARGE_BLOCK ? POOL_SMALL_BYTES : POOL_LARGE_BYTES)) return false;
    if (!local_pool.registered && !pool_register(&local_pool)) return false;
    *total += b->capacity;
    b->next = local_pool.lists[b->size_class];
    local_pool.lists[b->size_class] = b;
    return true;
}

static bool failure_is_due(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) < 0) return false;
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

static void count_live(size_t capacity)
{
    atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    size_t live = atomic_fetch_add_explicit(&live_bytes, capacity, memory_order_relaxed) + capacity;
    size_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);
    while (live > peak &&
           !atomic_compare_exchange_weak_explicit(&peak_bytes, &peak, live, memory_order_relaxed, memory_order_relaxed))
        ;
}

static void *out_of_memory(size_t bytes)
{
    sonde_fail(SONDE_ENOMEM, "out of memory: %zu bytes wanted, %zu in use", bytes,
               atomic_load_explicit(&live_bytes, memory_order_relaxed));
    return NULL;
}

static block *system_block(size_t capacity, int size_class)
{
    block *b = aligned_alloc(ALIGNMENT, ALIGNMENT + capacity);
    if (!b) { /* the pool may hold what the machine lacks */
        sonde_memory_trim();
        b = aligned_alloc(ALIGNMENT, ALIGNMENT + capacity);
    }
    if (!b) return NULL;
    *b = (block){.capacity = capacity, .size_class = size_class, .owner = &local_pool};
    atomic_fetch_add_explicit(&held_bytes, capacity, memory_order_relaxed);
    return b;
}

void *sonde_alloc(size_t bytes)
{
    if (bytes > LARGEST_BLOCK || failure_is_due()) return out_of_memory(bytes);
    int size_class = POOL_ENABLED ? class_of(bytes) : NO_CLASS; /* exact sizes for AddressSanitizer */
    size_t capacity =
        size_class == NO_CLASS ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : class_bytes(size_class);
    size_t limit = atomic_load_explicit(&limit_bytes, memory_order_relaxed);
    if (limit && atomic_load_explicit(&live_bytes, memory_order_relaxed) + capacity > limit)
        return out_of_memory(bytes);
    block *b = pool_take(size_class);
    if (!b) b = system_block(capacity, size_class);
    if (!b) return out_of_memory(bytes);
    count_live(capacity);
    return (char *)b + ALIGNMENT;
}

void *sonde_alloc_zeroed(size_t bytes)
{
    void *out = sonde_alloc(bytes);
    if (out) memset(out, 0, bytes);
    return out;
}

static block *block_of(void *pointer)
{
    return (block *)((char *)pointer - ALIGNMENT);
}

void *sonde_realloc(void *pointer, size_t bytes)
{
    if (!pointer) return sonde_alloc(bytes);
    size_t capacity = block_of(pointer)->capacity;
    if (bytes <= capacity && bytes >= capacity / 2) return pointer;
    void *out = sonde_alloc(bytes);
    if (!out) return NULL;
    memcpy(out, pointer, bytes < capacity ? bytes : capacity);
    sonde_free(pointer);
    return out;
}

char *sonde_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *out = sonde_alloc(bytes);
    if (out) memcpy(out, text, bytes);
    return out;
}

void sonde_free(void *pointer)
{
    if (!pointer) return;
    block *b = block_of(pointer);
    atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&live_bytes, b->capacity, memory_order_relaxed);
    if (!pool_put(b)) release_block(b);
}

sonde_memory_stats sonde_memory(void)
{
    size_t live = atomic_load_explicit(&live_bytes, memory_order_relaxed);
    size_t held = atomic_load_explicit(&held_bytes, memory_order_relaxed);
    return (sonde_memory_stats){
        .live_bytes = live,
        .live_blocks = atomic_load_explicit(&live_blocks, memory_order_relaxed),
        .peak_bytes = atomic_load_explicit(&peak_bytes, memory_order_relaxed),
        .pooled_bytes = held > live ? held - live : 0, /* another thread may be in between the two */
    };
}

void sonde_memory_limit(size_t bytes)
{
    atomic_store(&limit_bytes, bytes);
}

void sonde_memory_fail_at(long n)
{
    atomic_store(&fail_countdown, n > 0 ? n : -1);
}

void sonde_memory_trim(void)
{
    pool_empty(&local_pool);
}
