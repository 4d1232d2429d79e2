/* CIFAR files and tasks without Lua: cut off anywhere, out of memory at any allocation, nothing is lost or left. What
 * they mean is checked by tests/lua/data. */
#include "check.h"
#include "data/data.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD = 1 + 3072, RECORDS = 2 };

static char path[] = "/tmp/sonde_tasks_test_XXXXXX";
static const sonde_cifar_layout layout = {.label_bytes = 1, .label = 0, .classes = 10, .records = 0};

static void write_records(size_t bytes)
{
    static uint8_t records[RECORDS * RECORD];
    for (size_t i = 0; i < sizeof records; i++) records[i] = (uint8_t)(i % 10);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(records, 1, bytes, file) != bytes || fclose(file) != 0) abort();
}

static sonde_status load(const sonde_cifar_layout *how, int64_t *n)
{
    sonde_pixels *pixels = NULL;
    int64_t *labels = NULL;
    const char *paths[] = {path};
    sonde_status status = sonde_cifar_load(&pixels, &labels, 1, paths, how);
    CHECK((status == SONDE_OK) == (pixels != NULL && labels != NULL));
    *n = pixels != NULL ? pixels->n : 0;
    sonde_pixels_free(pixels);
    sonde_free(labels);
    return status;
}

static void cifar_cut_off(void)
{
    static const size_t lengths[] = {0, 1, 2, 3072, 3073, 3074, 3075, 6145, 6146};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int64_t n;
        write_records(lengths[i]);
        bool whole = lengths[i] > 0 && lengths[i] % RECORD == 0;
        CHECK(load(&layout, &n) == (whole ? SONDE_OK : SONDE_EFORMAT));
        CHECK(n == (whole ? (int64_t)lengths[i] / RECORD : 0));
        sonde_cifar_layout exact = layout;
        exact.records = 1;
        CHECK(load(&exact, &n) == (lengths[i] == RECORD ? SONDE_OK : SONDE_EFORMAT));
    }
    sonde_cifar_layout wrong = layout;
    int64_t n;
    wrong.label = 1;
    CHECK(load(&wrong, &n) == SONDE_EARG);
}

static void out_of_memory(void)
{
    write_records(RECORDS * RECORD);
    int64_t n, failures = 0;
    sonde_status status;
    do {
        sonde_memory_fail_at(++failures);
        status = load(&layout, &n);
        sonde_memory_fail_at(-1);
        CHECK(status == SONDE_OK || status == SONDE_ENOMEM);
    } while (status != SONDE_OK && failures < 100);
    CHECK(failures > 3 && failures < 100);
    sonde_stream stream;
    double x[3];
    sonde_stream_init(&stream, 1, "test");
    sonde_memory_fail_at(1);
    CHECK(sonde_mackey_glass(&stream, x, 1, 3, 170) == SONDE_ENOMEM);
    sonde_memory_fail_at(-1);
    CHECK(sonde_mackey_glass(&stream, x, 1, 3, 170) == SONDE_OK);
}

static void sequences(void)
{
    uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};
    sonde_pixels images = {.n = 1, .size = 8, .ndim = 3, .shape = {2, 1, 4}, .bytes = bytes}, *out = NULL;
    const int64_t order[] = {4, 1, 3, 2}, beyond[] = {1, 2, 3, 5};
    CHECK(sonde_pixels_sequence(&out, &images, order) == SONDE_OK);
    CHECK(out->ndim == 2 && out->shape[0] == 4 && out->shape[1] == 2);
    CHECK(memcmp(out->bytes, (const uint8_t[]){4, 8, 1, 5, 3, 7, 2, 6}, 8) == 0);
    sonde_pixels_free(out);
    CHECK(sonde_pixels_sequence(&out, &images, beyond) == SONDE_EARG && out == NULL);
    images.ndim = 2;
    CHECK(sonde_pixels_sequence(&out, &images, NULL) == SONDE_ESHAPE && out == NULL);
}

static void narma_gives_up(void)
{
    enum { MANY = 4000000 };
    double *u = malloc(MANY * sizeof *u), *y = malloc(MANY * sizeof *y);
    if (u == NULL || y == NULL) abort();
    sonde_stream stream;
    sonde_stream_init(&stream, 1, "test");
    CHECK(sonde_narma10(&stream, u, y, 1, MANY) == SONDE_EARG);
    CHECK(strstr(sonde_message(), "several shorter samples") != NULL);
    free(u);
    free(y);
}

int main(void)
{
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    CHECK_RUN(cifar_cut_off);
    CHECK_RUN(out_of_memory);
    CHECK_RUN(sequences);
    CHECK_RUN(narma_gives_up);
    unlink(path);
    CHECK(sonde_memory().live_blocks == 0);
    CHECK_END();
}
