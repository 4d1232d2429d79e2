/* What the h5 tests share: a folder that goes at the end, and a small history whose every number can be recomputed. */
#ifndef SONDE_TESTS_H5_LAB_H
#define SONDE_TESTS_H5_LAB_H

#include "check.h"
#include "h5/h5.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LAB_PROBES = 3, LAB_BINS = 278 };

typedef struct lab {
    sonde_history *history;
    sonde_group *metrics, *grad, *hist, *hidden, *events;
    int time, loss, mean, n_bad, counts, hist_zero, code, time_step, length, norm;
} lab;

static char lab_folder[256];

static inline void lab_enter_folder(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(lab_folder, sizeof lab_folder, "%s/sonde-h5-XXXXXX", base ? base : "/tmp");
    CHECK(mkdtemp(lab_folder) && !chdir(lab_folder));
}

/* Removes the folder and everything in it; fails if a test left a file behind that it should not have. */
static inline void lab_leave_folder(void)
{
    DIR *folder = opendir(".");
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.') unlink(entry->d_name);
    if (folder) closedir(folder);
    CHECK(!chdir("/") && !rmdir(lab_folder));
}

static inline lab lab_new(void)
{
    static const char *const names[LAB_PROBES] = { "h1.weight", "h1.bias", "größe.weight" };
    static const char *const layers[LAB_PROBES] = { "h1", "h1", "größe" };
    static const int64_t depth[LAB_PROBES] = { 1, 1, 2 };
    static int64_t binade[LAB_BINS];
    for (int i = 0; i < LAB_BINS; i++) binade[i] = i - 150;
    lab l = { 0 };
    int axis[2], epoch;
    sonde_history_new(&l.history);
    sonde_history_group(l.history, &l.metrics, "metrics", SONDE_GROUP_PLAIN);
    sonde_group_time_column(l.metrics, &l.time, "time", SONDE_CELL_F64, "since the start of the run", "s");
    sonde_group_time_column(l.metrics, &epoch, "epoch", SONDE_CELL_F64, NULL, NULL);
    sonde_group_variable(l.metrics, &l.loss, "loss", SONDE_CELL_F64, 0, NULL, NULL, NULL);
    sonde_history_group(l.history, &l.grad, "weight_grad", SONDE_GROUP_PLAIN);
    sonde_group_axis(l.grad, &axis[0], "probe", LAB_PROBES, SONDE_CELL_TEXT, names);
    sonde_group_coordinate(l.grad, axis[0], "layer", SONDE_CELL_TEXT, layers, "module path", NULL);
    sonde_group_coordinate(l.grad, axis[0], "depth", SONDE_CELL_I64, depth, NULL, NULL);
    sonde_group_variable(l.grad, &l.mean, "mean", SONDE_CELL_F32, 1, axis, "mean of the gradient", "1");
    sonde_group_variable(l.grad, &l.n_bad, "n_nonfinite", SONDE_CELL_U32, 1, axis, NULL, NULL);
    sonde_history_group(l.history, &l.hist, "weight_grad_hist", SONDE_GROUP_COMPRESSED);
    sonde_group_axis(l.hist, &axis[0], "probe", LAB_PROBES, SONDE_CELL_TEXT, names);
    sonde_group_axis(l.hist, &axis[1], "binade", LAB_BINS, SONDE_CELL_I64, binade);
    sonde_group_variable(l.hist, &l.counts, "counts", SONDE_CELL_U32, 2, axis, NULL, NULL);
    sonde_group_variable(l.hist, &l.hist_zero, "n_zero", SONDE_CELL_U32, 1, axis, NULL, NULL);
    sonde_history_group(l.history, &l.hidden, "hidden_grad", SONDE_GROUP_PLAIN);
    sonde_group_axis(l.hidden, &axis[0], "probe", LAB_PROBES, SONDE_CELL_TEXT, names);
    sonde_group_growing_axis(l.hidden, &axis[1], "time_step", 2);
    sonde_group_countdown(l.hidden, axis[1], "lag", NULL);
    l.time_step = axis[1];
    sonde_group_variable(l.hidden, &l.length, "length", SONDE_CELL_U32, 0, NULL, NULL, NULL);
    sonde_group_variable(l.hidden, &l.norm, "l2_norm", SONDE_CELL_F64, 2, axis, NULL, NULL);
    sonde_history_group(l.history, &l.events, "events", SONDE_GROUP_PLAIN);
    sonde_group_variable(l.events, &l.code, "code", SONDE_CELL_I64, 0, NULL, NULL, NULL);
    return l;
}

static inline double lab_loss(int64_t step) { return 1.0 / (double)step; }
static inline float lab_mean(int64_t step, int p) { return (float)step * 10.0f + (float)p; }
static inline uint32_t lab_count(int64_t step, int p, int b) { return (uint32_t)((step * 7 + p * 3 + b) % 11); }

/* How long the sequence of a step is: the longest so far comes now and then. */
static inline int64_t lab_length(int64_t step)
{
    return 2 + step % 3 + (step >= 63 ? 20 : 0) + (step >= 122 ? 33 : 0);
}
static inline double lab_norm(int64_t step, int64_t p, int64_t t) { return (double)(step * 1000 + p * 100 + t); }

static inline sonde_status lab_hidden_step(lab *l, int64_t step)
{
    SONDE_TRY(sonde_group_grow(l->hidden, l->time_step, lab_length(step)));
    SONDE_TRY(sonde_group_begin(l->hidden, step));
    int64_t longest = sonde_group_axis_at(l->hidden, l->time_step)->length;
    *(uint32_t *)sonde_group_cells(l->hidden, l->length) = (uint32_t)lab_length(step);
    double *norm = sonde_group_cells(l->hidden, l->norm);
    for (int64_t p = 0; p < LAB_PROBES; p++)
        for (int64_t t = 0; t < lab_length(step); t++) norm[p * longest + t] = lab_norm(step, p, t);
    return sonde_group_commit(l->hidden);
}

/* Every row of one step: histograms every second step, an event every fifth; probe 2 is not measured in step 3. */
static inline sonde_status lab_step(lab *l, int64_t step)
{
    SONDE_TRY(sonde_group_begin(l->metrics, step));
    *(double *)sonde_group_cells(l->metrics, l->time) = (double)step * 0.01;
    *(double *)sonde_group_cells(l->metrics, l->loss) = lab_loss(step);
    SONDE_TRY(sonde_group_commit(l->metrics));
    SONDE_TRY(sonde_group_begin(l->grad, step));
    float *mean = sonde_group_cells(l->grad, l->mean);
    for (int p = 0; p < LAB_PROBES; p++)
        if (p != 2 || step != 3) mean[p] = lab_mean(step, p);
    SONDE_TRY(sonde_group_commit(l->grad));
    if (step % 2) {
        SONDE_TRY(sonde_group_begin(l->hist, step));
        uint32_t *counts = sonde_group_cells(l->hist, l->counts);
        for (int i = 0; i < LAB_PROBES * LAB_BINS; i++) counts[i] = lab_count(step, i / LAB_BINS, i % LAB_BINS);
        SONDE_TRY(sonde_group_commit(l->hist));
    }
    SONDE_TRY(lab_hidden_step(l, step));
    if (step % 5 == 0) {
        SONDE_TRY(sonde_group_begin(l->events, step));
        *(int64_t *)sonde_group_cells(l->events, l->code) = step / 5;
        SONDE_TRY(sonde_group_commit(l->events));
    }
    return SONDE_OK;
}

/* How many rows of a group are in the file, -1 if it cannot be read; all of them must be right. */
static inline int64_t lab_check_rows(sonde_h5_file *f, const char *group, int64_t first, int64_t every)
{
    char path[64];
    sonde_h5_value step;
    snprintf(path, sizeof path, "/%s/step", group);
    if (!CHECK(sonde_h5_read(f, path, SONDE_H5_NATURAL, NULL, &step) == SONDE_OK)) return -1;
    int64_t n = step.shape[0];
    bool right = step.type == SONDE_H5_I64 && step.ndim == 1;
    for (int64_t i = 0; i < n; i++) right = right && ((int64_t *)step.data)[i] == first + i * every;
    CHECK(right);
    sonde_h5_value_free(&step);
    return n;
}

/* The axis that grew counts to the longest sequence, its other coordinate down from there, and what lies beyond a
 * step's own is NaN. */
static inline void lab_check_hidden(sonde_h5_file *f, int64_t rows)
{
    sonde_h5_value norm, time_step, lag;
    int64_t longest = 2;
    bool right = true;
    for (int64_t i = 1; i <= rows; i++) longest = lab_length(i) > longest ? lab_length(i) : longest;
    if (!CHECK(sonde_h5_read(f, "/hidden_grad/time_step", SONDE_H5_NATURAL, NULL, &time_step) == SONDE_OK)) return;
    int64_t n = time_step.shape[0]; /* of a run that was killed it may be longer: the row that needed it was lost */
    for (int64_t i = 0; i < n; i++) right = right && ((int64_t *)time_step.data)[i] == i + 1;
    CHECK(right && n >= longest);
    sonde_h5_value_free(&time_step);
    if (!CHECK(sonde_h5_read(f, "/hidden_grad/lag", SONDE_H5_NATURAL, NULL, &lag) == SONDE_OK)) return;
    CHECK(lag.ndim == 1 && lag.shape[0] == n);
    for (int64_t i = 0; i < n && lag.shape[0] == n; i++) right = right && ((int64_t *)lag.data)[i] == n - 1 - i;
    sonde_h5_value_free(&lag);
    if (!CHECK(sonde_h5_read(f, "/hidden_grad/l2_norm", SONDE_H5_NATURAL, NULL, &norm) == SONDE_OK)) return;
    CHECK(norm.ndim == 3 && norm.shape[0] == rows && norm.shape[1] == LAB_PROBES && norm.shape[2] == n);
    for (int64_t i = 0; i < rows * LAB_PROBES * n; i++) {
        int64_t t = i % n, p = i / n % LAB_PROBES, step = i / n / LAB_PROBES + 1;
        double x = ((double *)norm.data)[i];
        right = right && (t < lab_length(step) ? x == lab_norm(step, p, t) : isnan(x));
    }
    CHECK(right);
    sonde_h5_value_free(&norm);
}

static inline void lab_check_numbers(sonde_h5_file *f, int64_t metrics, int64_t grad, int64_t hist)
{
    sonde_h5_value loss, mean, counts;
    bool right = true;
    if (CHECK(sonde_h5_read(f, "/metrics/loss", SONDE_H5_NATURAL, NULL, &loss) == SONDE_OK)) {
        CHECK(loss.type == SONDE_H5_F64 && loss.shape[0] == metrics);
        for (int64_t i = 0; i < metrics; i++) right = right && ((double *)loss.data)[i] == lab_loss(i + 1);
        sonde_h5_value_free(&loss);
    }
    CHECK(right);
    if (CHECK(sonde_h5_read(f, "/weight_grad/mean", SONDE_H5_NATURAL, NULL, &mean) == SONDE_OK)) {
        CHECK(mean.type == SONDE_H5_F32 && mean.ndim == 2 && mean.shape[0] == grad && mean.shape[1] == LAB_PROBES);
        for (int64_t i = 0; i < grad * LAB_PROBES; i++) {
            float x = ((float *)mean.data)[i];
            int p = (int)(i % LAB_PROBES);
            right = right && (i / LAB_PROBES == 2 && p == 2 ? isnan(x) : x == lab_mean(i / LAB_PROBES + 1, p));
        }
        sonde_h5_value_free(&mean);
    }
    CHECK(right);
    if (CHECK(sonde_h5_read(f, "/weight_grad_hist/counts", SONDE_H5_NATURAL, NULL, &counts) == SONDE_OK)) {
        CHECK(counts.type == SONDE_H5_I64 && counts.ndim == 3 && counts.shape[0] == hist);
        for (int64_t i = 0; i < hist * LAB_PROBES * LAB_BINS; i++) {
            int64_t row = i / (LAB_PROBES * LAB_BINS), cell = i % (LAB_PROBES * LAB_BINS);
            uint32_t want = lab_count(row * 2 + 1, (int)(cell / LAB_BINS), (int)(cell % LAB_BINS));
            right = right && ((int64_t *)counts.data)[i] == want;
        }
        sonde_h5_value_free(&counts);
    }
    CHECK(right);
}

/* The whole file: at least the given rows, all right. Returns the rows of /metrics. */
static inline int64_t lab_check_file(const char *path, int64_t at_least, const char *status)
{
    sonde_h5_file *f;
    if (!CHECK(sonde_h5_open(&f, path, "r") == SONDE_OK)) {
        printf("       %s\n", sonde_message());
        return -1;
    }
    int64_t metrics = lab_check_rows(f, "metrics", 1, 1), grad = lab_check_rows(f, "weight_grad", 1, 1);
    int64_t hist = lab_check_rows(f, "weight_grad_hist", 1, 2);
    CHECK(lab_check_rows(f, "events", 5, 5) >= at_least / 5);
    int64_t hidden = lab_check_rows(f, "hidden_grad", 1, 1);
    CHECK(metrics >= at_least && grad >= at_least && hist >= (at_least + 1) / 2 && hidden >= at_least);
    lab_check_hidden(f, hidden);
    lab_check_numbers(f, metrics, grad, hist);
    sonde_h5_value value;
    if (CHECK(sonde_h5_read_attribute(f, "/", "status", &value) == SONDE_OK)) {
        CHECK(!strcmp(((char **)value.data)[0], status));
        sonde_h5_value_free(&value);
    }
    CHECK(sonde_h5_close(f) == SONDE_OK);
    return metrics;
}

static inline sonde_h5_run lab_run(const char *path, bool force)
{
    return (sonde_h5_run){.path = path,
                          .force = force,
                          .name = "lab",
                          .about = "a test",
                          .command = "sonde run lab.lua",
                          .seed = 42,
                          .threads = 1};
}

static inline sonde_h5_end lab_end(int64_t steps)
{
    return (sonde_h5_end){ .status = "complete", .n_steps = steps, .wall_seconds = 1.5 };
}

static inline bool lab_exists(const char *path) { return access(path, F_OK) == 0; }
static inline bool lab_says(const char *part) { return strstr(sonde_message(), part) != NULL; }

static inline void lab_put_text(sonde_h5_writer *w, const char *path, const char *text)
{
    sonde_h5_value value = sonde_h5_text(&text);
    CHECK(sonde_h5_writer_put(w, path, &value, NULL) == SONDE_OK);
}

#endif
