/* record: declaring, rows, blocks, the consumer. */
#include "check.h"
#include "record/record.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

static const char *const probes[] = { "h1.weight", "h1.bias", "out.weight" };

static void declares_and_refuses(void)
{
    sonde_history *h;
    sonde_group *g, *other;
    int axis, v;
    CHECK(sonde_history_new(&h) == SONDE_OK);
    CHECK(sonde_history_group(h, &g, "weight_grad", SONDE_GROUP_PLAIN) == SONDE_OK);
    CHECK(sonde_history_group(h, &other, "weight_grad", SONDE_GROUP_PLAIN) == SONDE_EARG);
    CHECK(sonde_history_group(h, &other, "a/b", SONDE_GROUP_PLAIN) == SONDE_EARG);
    CHECK(sonde_history_group(h, &other, "", SONDE_GROUP_PLAIN) == SONDE_EARG);
    CHECK(sonde_history_group(h, &other, "\xff", SONDE_GROUP_PLAIN) == SONDE_EARG);
    CHECK(sonde_group_axis(g, &axis, "probe", 3, SONDE_CELL_TEXT, probes) == SONDE_OK);
    CHECK(sonde_group_axis(g, &v, "empty", 0, SONDE_CELL_TEXT, probes) == SONDE_EARG);
    int64_t depth[] = { 1, 1, 2 };
    CHECK(sonde_group_coordinate(g, axis, "depth", SONDE_CELL_I64, depth, "weight layers from the input", "1") ==
          SONDE_OK);
    CHECK(sonde_group_coordinate(g, 1, "role", SONDE_CELL_I64, depth, NULL, NULL) == SONDE_EARG);
    CHECK(sonde_group_coordinate(g, axis, "step", SONDE_CELL_I64, depth, NULL, NULL) == SONDE_EARG);
    CHECK(strstr(sonde_message(), "/weight_grad/step") != NULL);
    CHECK(sonde_group_variable(g, &v, "mean", SONDE_CELL_F32, 1, &axis, NULL, NULL) == SONDE_OK);
    CHECK(sonde_group_variable(g, &v, "depth", SONDE_CELL_F32, 1, &axis, NULL, NULL) == SONDE_EARG);
    CHECK(sonde_group_variable(g, &v, "text", SONDE_CELL_TEXT, 0, NULL, NULL, NULL) == SONDE_EARG);
    int bad = 7;
    CHECK(sonde_group_variable(g, &v, "bad", SONDE_CELL_F32, 1, &bad, NULL, NULL) == SONDE_EARG);
    depth[0] = 99; /* values were copied */
    CHECK(*(int64_t *)sonde_group_axis_at(g, 0)->coordinates[1].values == 1);
    CHECK(!strcmp(((char **)sonde_group_axis_at(g, 0)->coordinates[0].values)[2], "out.weight"));

    CHECK(sonde_history_freeze(h) == SONDE_OK && sonde_history_frozen(h));
    CHECK(sonde_history_group(h, &other, "late", SONDE_GROUP_PLAIN) == SONDE_ESTATE);
    CHECK(sonde_group_variable(g, &v, "late", SONDE_CELL_F32, 0, NULL, NULL, NULL) == SONDE_ESTATE);
    CHECK(sonde_history_find(h, "weight_grad") == g && !sonde_history_find(h, "weight"));
    sonde_history_free(h);
}

/* A group with time and a matrix per row; block_rows is 16 (rows of 32 KiB and more). */
static sonde_history *wide_history(sonde_group **g, int *time, int *counts)
{
    sonde_history *h;
    int axes[2];
    static float bin[100];
    static const char *names[100];
    for (int i = 0; i < 100; i++) bin[i] = (float)i, names[i] = "p";
    sonde_history_new(&h);
    sonde_history_group(h, g, "wide", SONDE_GROUP_PLAIN);
    sonde_group_time_column(*g, time, "time", SONDE_CELL_F64, NULL, "s");
    sonde_group_axis(*g, &axes[0], "probe", 100, SONDE_CELL_TEXT, names);
    sonde_group_axis(*g, &axes[1], "bin", 100, SONDE_CELL_F32, bin);
    sonde_group_variable(*g, counts, "counts", SONDE_CELL_U32, 2, axes, NULL, NULL);
    return h;
}

static void rows_start_as_fill_and_stay(void)
{
    sonde_group *g;
    int time, counts;
    sonde_history *h = wide_history(&g, &time, &counts);
    CHECK(sonde_group_cells(g, time) == NULL);
    CHECK(sonde_group_commit(g) == SONDE_ESTATE);
    for (int64_t step = 1; step <= 100; step++) {
        CHECK(sonde_group_begin(g, step) == SONDE_OK);
        if (step == 1) CHECK(sonde_group_begin(g, step) == SONDE_ESTATE);
        uint32_t *c = sonde_group_cells(g, counts);
        double *t = sonde_group_cells(g, time);
        bool filled = isnan(*t);
        for (int i = 0; i < 10000; i++) filled = filled && c[i] == UINT32_MAX;
        CHECK(filled);
        *t = (double)step / 2;
        for (int i = 0; i < 10000; i += 2) c[i] = (uint32_t)(step * i);
        if (step == 50) { /* a discarded row was never there */
            sonde_group_discard(g);
            CHECK(!sonde_group_is_open(g) && sonde_group_rows(g) == 49);
            CHECK(sonde_group_begin(g, 50) == SONDE_OK);
            CHECK(isnan(*(double *)sonde_group_cells(g, time)));
        }
        CHECK(sonde_group_commit(g) == SONDE_OK);
        CHECK(sonde_group_step(g, sonde_group_rows(g) - 1) == step);
    }
    CHECK(sonde_group_block_rows(g) == 16);
    CHECK(sonde_group_rows(g) == 100 && sonde_group_first_row(g) == 0);
    const uint32_t *c = sonde_group_read(g, counts, 19);
    CHECK(c && c[2] == 40 && c[3] == UINT32_MAX);
    CHECK(*(const double *)sonde_group_read(g, time, 99) == 50.0);
    CHECK(!sonde_group_read(g, time, 100) && !sonde_group_read(g, time, -1) && sonde_group_step(g, 100) == -1);
    sonde_history_free(h);
}

static void keeps_only_the_newest(void)
{
    sonde_group *g;
    int time, counts;
    size_t peak = 0;
    sonde_history *h = wide_history(&g, &time, &counts);
    sonde_history_keep(h, 40);
    for (int64_t step = 1; step <= 1000; step++) {
        CHECK(sonde_group_begin(g, step) == SONDE_OK);
        CHECK(sonde_group_commit(g) == SONDE_OK);
        if (step == 200) peak = sonde_memory().live_bytes;
    }
    CHECK(sonde_memory().live_bytes == peak); /* flat */
    CHECK(1000 - sonde_group_first_row(g) >= 40);
    CHECK(sonde_group_step(g, 960) == 961 && sonde_group_step(g, 100) == -1);
    CHECK(sonde_history_consume(h, NULL, NULL) == SONDE_ESTATE);
    sonde_history_free(h);
}

static void blocks_of_histograms_are_short(void)
{
    sonde_history *h;
    sonde_group *g;
    int axes[2], v;
    static int64_t binade[278];
    static const char *names[200];
    for (int i = 0; i < 200; i++) names[i] = "p";
    sonde_history_new(&h);
    sonde_history_group(h, &g, "hist", SONDE_GROUP_COMPRESSED);
    sonde_group_axis(g, &axes[0], "probe", 200, SONDE_CELL_TEXT, names);
    sonde_group_axis(g, &axes[1], "binade", 278, SONDE_CELL_I64, binade);
    sonde_group_variable(g, &v, "counts", SONDE_CELL_U32, 2, axes, NULL, NULL);
    CHECK(sonde_history_freeze(h) == SONDE_OK);
    CHECK(sonde_group_block_rows(g) == (512 << 10) / (200 * 278 * 4 + 8));
    sonde_history_free(h);
}

/* ---- the consumer -------------------------------------------------------------------------------------- */

typedef struct consumer {
    sonde_group *group;
    int time;
    atomic_int wakes;
    int64_t rows;
    bool right;
    int64_t end;
    int fail_at;
} consumer;

static void count_wake(void *context) { atomic_fetch_add(&((consumer *)context)->wakes, 1); }

static void *consume(void *context)
{
    consumer *c = context;
    struct timespec pause = { .tv_nsec = 20000000 };
    while (sonde_group_rows(c->group) < 16 * SONDE_RECORD_BLOCKS) sched_yield();
    nanosleep(&pause, NULL); /* the ring is full: the producer waits now */
    while (c->rows < c->end) {
        sonde_record_run run = sonde_group_pending(c->group);
        if (run.n == 0) sched_yield();
        if (run.n == 0) continue;
        const double *time = sonde_group_run_cells(c->group, &run, c->time);
        for (int64_t i = 0; i < run.n; i++)
            c->right = c->right && run.step[i] == c->rows + i + 1 && time[i] == 3.0 * (double)(c->rows + i + 1);
        c->right = c->right && run.first == c->rows;
        c->rows += run.n;
        sonde_group_taken(c->group, run.n);
    }
    return NULL;
}

static void hands_rows_to_another_thread(void)
{
    int counts;
    consumer c = { .right = true, .end = 2000 };
    sonde_history *h = wide_history(&c.group, &c.time, &counts);
    pthread_t thread;
    size_t live = 0;
    for (int64_t step = 1; step <= c.end; step++) {
        if (step == 3) { /* rows from before are handed over too */
            CHECK(sonde_history_consume(h, count_wake, &c) == SONDE_OK);
            CHECK(sonde_history_consume(h, count_wake, &c) == SONDE_ESTATE);
            CHECK(!pthread_create(&thread, NULL, consume, &c));
        }
        if (sonde_group_begin(c.group, step) != SONDE_OK) break;
        *(double *)sonde_group_cells(c.group, c.time) = 3.0 * (double)step;
        CHECK(sonde_group_commit(c.group) == SONDE_OK);
        CHECK(sonde_group_step(c.group, step - 1) == step);
        if (step == 200) live = sonde_memory().live_bytes;
    }
    CHECK(sonde_memory().live_bytes == live); /* nothing is allocated per row */
    pthread_join(thread, NULL);
    sonde_history_release(h);
    CHECK(c.right && c.rows == c.end);
    CHECK(atomic_load(&c.wakes) == 2000 / 16);
    CHECK(sonde_history_stalls(h).count > 0 && sonde_history_stalls(h).seconds > 0);
    sonde_history_free(h);
}

static void *fail_soon(void *context)
{
    struct timespec pause = { .tv_nsec = 20000000 };
    nanosleep(&pause, NULL);
    sonde_history_fail(context, SONDE_EIO, "the disk is full");
    return NULL;
}

static void a_failed_consumer_is_reported(void)
{
    sonde_group *g;
    int time, counts;
    consumer c = { 0 };
    sonde_history *h = wide_history(&g, &time, &counts);
    CHECK(sonde_history_consume(h, count_wake, &c) == SONDE_OK);
    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, fail_soon, h));
    sonde_status status = SONDE_OK; /* nobody takes rows: begin waits until the failure */
    int64_t step = 0;
    while (status == SONDE_OK && step < 1000) {
        status = sonde_group_begin(g, ++step);
        if (status == SONDE_OK) status = sonde_group_commit(g);
    }
    pthread_join(thread, NULL);
    CHECK(status == SONDE_EIO && !strcmp(sonde_message(), "the disk is full"));
    CHECK(step <= 16 * SONDE_RECORD_BLOCKS + 1);
    CHECK(sonde_group_begin(g, 1) == SONDE_EIO);
    sonde_history_free(h);
}

/* ---- growing ------------------------------------------------------------------------------------------- */

static int64_t length_of(int64_t step) { return 1 + step * 5 % 7 + step / 50 * 3; }

static sonde_status grow_and_write(sonde_group *g, int axis, int norm, int64_t step)
{
    SONDE_TRY(sonde_group_grow(g, axis, length_of(step)));
    SONDE_TRY(sonde_group_begin(g, step));
    int64_t longest = sonde_group_axis_at(g, axis)->length;
    double *cells = sonde_group_cells(g, norm);
    for (int64_t p = 0; p < 3; p++)
        for (int64_t t = 0; t < length_of(step); t++) cells[p * longest + t] = (double)(step * 1000 + p * 100 + t);
    return sonde_group_commit(g);
}

static bool is_right(const double *cells, int64_t longest, int64_t step)
{
    bool right = true;
    for (int64_t i = 0; i < 3 * longest; i++) {
        int64_t p = i / longest, t = i % longest;
        right = right && (t < length_of(step) ? cells[i] == (double)(step * 1000 + p * 100 + t) : isnan(cells[i]));
    }
    return right;
}

static sonde_status growing_history(sonde_history *h, sonde_group **g, int *axis, int *norm)
{
    int axes[2];
    SONDE_TRY(sonde_history_group(h, g, "hidden_grad", SONDE_GROUP_PLAIN));
    SONDE_TRY(sonde_group_axis(*g, &axes[0], "probe", 3, SONDE_CELL_TEXT, probes));
    SONDE_TRY(sonde_group_growing_axis(*g, &axes[1], "time_step", 2));
    SONDE_TRY(sonde_group_countdown(*g, axes[1], "lag", "from the end"));
    SONDE_TRY(sonde_group_variable(*g, norm, "l2_norm", SONDE_CELL_F64, 2, axes, NULL, "1"));
    *axis = axes[1];
    return SONDE_OK;
}

static void axes_grow(void)
{
    sonde_history *h;
    sonde_group *g = NULL;
    int axis = 0, norm;
    CHECK(sonde_history_new(&h) == SONDE_OK && growing_history(h, &g, &axis, &norm) == SONDE_OK);
    const sonde_record_axis *time_step = sonde_group_axis_at(g, axis);
    CHECK(time_step->grows && time_step->length == 2 && ((int64_t *)time_step->coordinates[0].values)[1] == 2);
    CHECK(sonde_group_coordinate(g, axis, "more", SONDE_CELL_I64, &(int64_t[]){1, 2}, NULL, NULL) == SONDE_EARG);
    CHECK(sonde_group_countdown(g, axis, "lag", NULL) == SONDE_EARG);
    CHECK(sonde_group_countdown(g, axis, "l", NULL) == SONDE_EARG && sonde_group_countdown(g, 0, "l", NULL) == SONDE_EARG);
    const int64_t *const *lag = (const int64_t *const *)(void *)&time_step->coordinates[1].values;
    CHECK((*lag)[0] == 1 && (*lag)[1] == 0 && !strcmp(time_step->coordinates[1].long_name, "from the end"));
    CHECK(sonde_group_grow(g, 0, 9) == SONDE_EARG && sonde_group_grow(g, 2, 9) == SONDE_EARG);
    for (int64_t step = 1; step <= 1500; step++) CHECK(grow_and_write(g, axis, norm, step) == SONDE_OK);
    CHECK(sonde_group_grow(g, axis, 3) == SONDE_OK && time_step->length > 90); /* never shorter */
    bool right = true;
    for (int64_t row = 0; row < 1500; row++) {
        int64_t longest = sonde_group_row_length(g, axis, row);
        right = right && longest >= length_of(row + 1) && sonde_group_row_length(g, 0, row) == 3;
        right = right && is_right(sonde_group_read(g, norm, row), longest, row + 1);
    }
    for (int64_t i = 0; i < time_step->length; i++) right = right && (*lag)[i] == time_step->length - 1 - i;
    CHECK(right);
    CHECK(sonde_group_begin(g, 1) == SONDE_OK && sonde_group_grow(g, axis, 5000) == SONDE_ESTATE);
    sonde_group_discard(g);
    CHECK(sonde_group_row_length(g, axis, 1500) == 0);
    CHECK(sonde_group_grow(g, axis, INT64_MAX / 4) == SONDE_ENOMEM); /* nothing has changed */
    CHECK(grow_and_write(g, axis, norm, 1501) == SONDE_OK);
    CHECK(is_right(sonde_group_read(g, norm, 1500), sonde_group_row_length(g, axis, 1500), 1501));
    sonde_history_free(h);
}

typedef struct growing_consumer {
    sonde_group *group;
    int axis, norm;
    atomic_bool stop, wrong;
} growing_consumer;

/* Looks at everything pending twice, with a pause in between: growing must not change what is being read. */
static void *consume_growing(void *context)
{
    growing_consumer *c = context;
    for (bool last = false; !last;) {
        last = atomic_load(&c->stop);
        sonde_record_run run;
        while ((run = sonde_group_pending(c->group)).n > 0) {
            int64_t longest = sonde_group_run_length(&run, c->axis);
            for (int look = 0; look < 2; look++) {
                const double *cells = sonde_group_run_cells(c->group, &run, c->norm);
                for (int64_t i = 0; i < run.n; i++) {
                    int64_t step = run.step[i];
                    bool right = step == run.first + i + 1 && is_right(cells + i * 3 * longest, longest, step);
                    if (!right) atomic_store(&c->wrong, true);
                }
                nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
            }
            sonde_group_taken(c->group, run.n);
        }
    }
    return NULL;
}

static void ignore_wake(void *context) { (void)context; }

static void axes_grow_under_a_consumer(void)
{
    sonde_history *h;
    growing_consumer c = { 0 };
    CHECK(sonde_history_new(&h) == SONDE_OK && growing_history(h, &c.group, &c.axis, &c.norm) == SONDE_OK);
    CHECK(sonde_history_consume(h, ignore_wake, NULL) == SONDE_OK);
    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, consume_growing, &c));
    for (int64_t step = 1; step <= 3000; step++) CHECK(grow_and_write(c.group, c.axis, c.norm, step) == SONDE_OK);
    atomic_store(&c.stop, true);
    pthread_join(thread, NULL);
    CHECK(!atomic_load(&c.wrong) && sonde_group_pending(c.group).n == 0);
    sonde_history_free(h);
}

static void growing_survives_lack_of_memory(void)
{
    for (long n = 1; n < 80; n++) {
        sonde_history *h;
        sonde_group *g = NULL;
        int axis = 0, norm = 0;
        CHECK(sonde_history_new(&h) == SONDE_OK && growing_history(h, &g, &axis, &norm) == SONDE_OK);
        sonde_memory_fail_at(n);
        int64_t written = 0;
        for (int64_t step = 1; step <= 40; step++) {
            sonde_status status = grow_and_write(g, axis, norm, written + 1);
            if (status == SONDE_OK) written++;
            else CHECK(status == SONDE_ENOMEM);
        }
        sonde_memory_fail_at(-1);
        bool right = written >= 39;
        for (int64_t row = 0; row < written; row++) {
            int64_t longest = sonde_group_row_length(g, axis, row);
            right = right && is_right(sonde_group_read(g, norm, row), longest, row + 1);
        }
        CHECK(right);
        sonde_history_free(h);
    }
}

static void survives_lack_of_memory(void)
{
    for (long n = 1; n < 60; n++) {
        sonde_memory_fail_at(n);
        sonde_history *h = NULL;
        sonde_group *g;
        int axis, v;
        sonde_status status = sonde_history_new(&h);
        if (status == SONDE_OK) status = sonde_history_group(h, &g, "grad", SONDE_GROUP_PLAIN);
        if (status == SONDE_OK) status = sonde_group_axis(g, &axis, "probe", 3, SONDE_CELL_TEXT, probes);
        if (status == SONDE_OK) status = sonde_group_variable(g, &v, "mean", SONDE_CELL_F32, 1, &axis, "the mean", "1");
        if (status == SONDE_OK) status = sonde_group_begin(g, 1);
        if (status == SONDE_OK) status = sonde_group_commit(g);
        sonde_memory_fail_at(-1);
        CHECK(status == SONDE_OK || status == SONDE_ENOMEM);
        sonde_history_free(h);
    }
}

int main(void)
{
    size_t before = sonde_memory().live_blocks;
    CHECK_RUN(declares_and_refuses);
    CHECK_RUN(rows_start_as_fill_and_stay);
    CHECK_RUN(keeps_only_the_newest);
    CHECK_RUN(blocks_of_histograms_are_short);
    CHECK_RUN(hands_rows_to_another_thread);
    CHECK_RUN(a_failed_consumer_is_reported);
    CHECK_RUN(survives_lack_of_memory);
    CHECK_RUN(axes_grow);
    CHECK_RUN(axes_grow_under_a_consumer);
    CHECK_RUN(growing_survives_lack_of_memory);
    CHECK(sonde_memory().live_blocks == before);
    CHECK_END();
}
