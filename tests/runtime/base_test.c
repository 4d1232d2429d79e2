/* Memory, messages, element types and the clock. */
#include "base/base.h"
#include "check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void blocks_are_aligned_and_counted(void)
{
    sonde_memory_stats before = sonde_memory();
    const size_t sizes[] = {0, 1, 63, 64, 255, 256, 257, 320, 321, 4095, 4097, 1 << 20, (1 << 20) + 1, 3 << 20};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    unsigned char *blocks[COUNT];
    for (int round = 0; round < 3; round++) { /* from the system, then from the pool */
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i] = sonde_alloc(sizes[i]);
            if (!CHECK(blocks[i])) return;
            CHECK((uintptr_t)blocks[i] % 64 == 0);
            memset(blocks[i], (int)i + 1, sizes[i]);
        }
        for (size_t i = 0; i < COUNT; i++)
            for (size_t j = 0; j < sizes[i]; j += 61) CHECK(blocks[i][j] == i + 1);
        CHECK(sonde_memory().live_blocks == before.live_blocks + COUNT);
        CHECK(sonde_memory().live_bytes >= before.live_bytes + (5 << 20));
        for (size_t i = 0; i < COUNT; i++) sonde_free(blocks[i]);
        CHECK(sonde_memory().live_bytes == before.live_bytes && sonde_memory().live_blocks == before.live_blocks);
    }
    CHECK(sonde_memory().peak_bytes >= before.live_bytes + (5 << 20));
    sonde_free(NULL);
    sonde_memory_trim();
    CHECK(sonde_memory().pooled_bytes == 0);
}

static void zeroed_realloc_and_strdup(void)
{
    size_t live = sonde_memory().live_blocks;
    unsigned char *dirty = sonde_alloc(1000);
    memset(dirty, 0xAA, 1000);
    sonde_free(dirty);
    unsigned char *clean = sonde_alloc_zeroed(1000);
    for (int i = 0; i < 1000; i++) CHECK(clean[i] == 0);
    for (int i = 0; i < 1000; i++) clean[i] = (unsigned char)i;
    clean = sonde_realloc(clean, 100000);
    for (int i = 0; i < 1000; i++) CHECK(clean[i] == (unsigned char)i);
    clean = sonde_realloc(clean, 10);
    for (int i = 0; i < 10; i++) CHECK(clean[i] == i);
    sonde_free(clean);
    void *fresh = sonde_realloc(NULL, 5);
    CHECK(fresh != NULL);
    sonde_free(fresh);
    char *copy = sonde_strdup("sonde");
    CHECK(strcmp(copy, "sonde") == 0);
    sonde_free(copy);
    CHECK(sonde_memory().live_blocks == live);
}

static void limits_and_overflow(void)
{
    size_t live = sonde_memory().live_bytes, blocks = sonde_memory().live_blocks;
    CHECK(sonde_alloc(SIZE_MAX) == NULL && strstr(sonde_message(), "out of memory"));
    CHECK(sonde_alloc(SIZE_MAX / 2) == NULL);
    sonde_memory_limit(live + (1 << 20));
    void *half = sonde_alloc(1 << 19);
    CHECK(half != NULL);
    CHECK(sonde_alloc(1 << 20) == NULL);
    void *same = sonde_realloc(half, 1 << 21);
    CHECK(same == NULL); /* and the old block is still there */
    memset(half, 1, 1 << 19);
    sonde_free(half);
    sonde_memory_limit(0);
    void *whole = sonde_alloc(1 << 21);
    CHECK(whole != NULL);
    sonde_free(whole);
    size_t product;
    CHECK(!sonde_size_mul(SIZE_MAX / 2, 3, &product) && sonde_size_mul(6, 7, &product) && product == 42);
    CHECK(!sonde_size_add(SIZE_MAX, 1, &product) && sonde_size_add(40, 2, &product) && product == 42);
    CHECK(sonde_memory().live_bytes == live && sonde_memory().live_blocks == blocks);
}

static void the_nth_allocation_fails_once(void)
{
    void *blocks[5];
    sonde_memory_fail_at(3);
    for (int i = 0; i < 5; i++) blocks[i] = sonde_alloc(100);
    for (int i = 0; i < 5; i++) CHECK((blocks[i] == NULL) == (i == 2));
    for (int i = 0; i < 5; i++) sonde_free(blocks[i]);
    sonde_memory_fail_at(1);
    sonde_memory_fail_at(-1);
    void *fine = sonde_alloc(1);
    CHECK(fine != NULL);
    sonde_free(fine);
}

static void *allocate_in_a_thread(void *handed_over)
{
    sonde_free(handed_over);
    for (int i = 0; i < 1000; i++) sonde_free(sonde_alloc((size_t)i * 37));
    char *result = sonde_alloc(5000);
    if (result) strcpy(result, "from the thread");
    sonde_fail(SONDE_EIO, "a message of the thread");
    return result;
}

static void threads_share_blocks_but_not_messages(void)
{
    sonde_memory_stats before = sonde_memory();
    sonde_fail(SONDE_EARG, "mine");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, allocate_in_a_thread, sonde_alloc(300)) == 0);
    for (int i = 0; i < 4; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        CHECK(result && strcmp(result, "from the thread") == 0);
        sonde_free(result);
    }
    CHECK(strcmp(sonde_message(), "mine") == 0);
    sonde_memory_stats after = sonde_memory();
    CHECK(after.live_bytes == before.live_bytes && after.live_blocks == before.live_blocks);
    sonde_memory_trim();
    CHECK(sonde_memory().pooled_bytes == 0); /* the threads gave their pools back */
}

static void messages(void)
{
    CHECK(sonde_fail(SONDE_ESHAPE, "expected %d, got %d", 3, 4) == SONDE_ESHAPE);
    CHECK(strcmp(sonde_message(), "expected 3, got 4") == 0);
    sonde_fail_within("layer '%s': ", "h3");
    CHECK(strcmp(sonde_message(), "layer 'h3': expected 3, got 4") == 0);
    sonde_fail(SONDE_EARG, "again: %s", sonde_message()); /* its own message as an argument */
    CHECK(strcmp(sonde_message(), "again: layer 'h3': expected 3, got 4") == 0);
    char long_text[5000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    sonde_fail(SONDE_EARG, "%s", long_text);
    size_t length = strlen(sonde_message());
    CHECK(length > 500 && length < sizeof long_text && strcmp(sonde_message() + length - 3, "...") == 0);
    sonde_fail_within("%s", "outer: ");
    CHECK(strncmp(sonde_message(), "outer: xxx", 10) == 0 && strcmp(sonde_message() + length - 3, "...") == 0);
    CHECK(strcmp(sonde_status_name(SONDE_ESHAPE), "ESHAPE") == 0 && strcmp(sonde_status_name(SONDE_OK), "OK") == 0);
    CHECK(strcmp(sonde_status_name((sonde_status)99), "EUNKNOWN") == 0);
}

static void element_types_and_clock(void)
{
    sonde_dtype dtype;
    for (int i = 0; i < SONDE_DTYPE_COUNT; i++)
        CHECK(sonde_dtype_parse(sonde_dtype_name((sonde_dtype)i), &dtype) && dtype == (sonde_dtype)i);
    CHECK(!sonde_dtype_parse("float16", &dtype) && !sonde_dtype_parse("", &dtype));
    CHECK(sonde_dtype_size(SONDE_FLOAT32) == 4 && sonde_dtype_size(SONDE_INT64) == 8);
    CHECK(sonde_dtype_is_float(SONDE_FLOAT64) && !sonde_dtype_is_float(SONDE_INT64));
    double start = sonde_clock();
    CHECK(sonde_clock() >= start);
    char now[32];
    sonde_clock_iso(now);
    CHECK(strlen(now) == 20 && now[10] == 'T' && now[19] == 'Z');
}

int main(void)
{
    CHECK_RUN(blocks_are_aligned_and_counted);
    CHECK_RUN(zeroed_realloc_and_strdup);
    CHECK_RUN(limits_and_overflow);
    CHECK_RUN(the_nth_allocation_fails_once);
    CHECK_RUN(threads_share_blocks_but_not_messages);
    CHECK_RUN(messages);
    CHECK_RUN(element_types_and_clock);
    CHECK_END();
}
