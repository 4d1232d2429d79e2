/* A run file from FILE.part to FILE: opening, putting things in, starting, ending. */
#include "h5/writer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- opening ------------------------------------------------------------------------------------------- */

static sonde_status set_root(hid_t file, const sonde_h5_run *run)
{
    char created[32];
    sonde_clock_iso(created);
    const char *const text[][2] = {
        { "format", "sonde-history" }, { "format_version", "1.0" },   { "name", run->name },
        { "about", run->about },       { "status", "running" },       { "error", "" },
        { "created", created },        { "producer", "sonde " SONDE_VERSION }, { "command", run->command },
        { "default", "" },
    };
    const int64_t no_steps = 0;
    const double no_seconds = 0;
    sonde_h5_value seed = sonde_h5_integer(&run->seed), threads = sonde_h5_integer(&run->threads);
    sonde_h5_value steps = sonde_h5_integer(&no_steps), seconds = sonde_h5_number(&no_seconds);
    scoped hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        SONDE_TRY(h5_set_text(root, text[i][0], text[i][1] ? text[i][1] : ""));
    SONDE_TRY(h5_set_attribute(root, "seed", &seed));
    SONDE_TRY(h5_set_attribute(root, "threads", &threads));
    SONDE_TRY(h5_set_attribute(root, "n_steps", &steps));
    return h5_set_attribute(root, "wall_seconds", &seconds);
}

/* No chunk cache: uncompressed rows go straight to the file (with one, each flush would write whole chunks for a few
 * rows), compressed chunks are written whole, and memory stays flat. It must be the file's setting: the start of SWMR
 * opens every dataset anew and forgets what was set for it alone. */
static sonde_status create_part(sonde_h5_writer *w, const sonde_h5_run *run)
{
    scoped hid_t access = h5_file_access(H5F_LIBVER_V110);
    scoped hid_t create = H5Pcreate(H5P_FILE_CREATE);
    if (access < 0 || create < 0 || H5Pset_cache(access, 0, 0, 0, 1.0) < 0 ||
        H5Pset_link_creation_order(create, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) < 0)
        return h5_fail(SONDE_ENOMEM, "'%s' cannot be made", w->place.part);
    w->file = H5Fcreate(w->place.part, H5F_ACC_EXCL, create, access);
    if (w->file < 0) return h5_fail(SONDE_EIO, "'%s' cannot be made", w->place.part);
    SONDE_TRY(h5_place_lock(&w->place));
    h5_place_clear(&w->place);
    SONDE_TRY(set_root(w->file, run));
    if (H5Fflush(w->file, H5F_SCOPE_LOCAL) < 0) return h5_fail(SONDE_EIO, "'%s' cannot be written", w->place.part);
    return SONDE_OK;
}

static void close_file(sonde_h5_writer *w)
{
    for (int i = 0; i < w->n_tables; i++) h5_table_close(&w->tables[i]);
    w->n_tables = 0;
    if (w->file >= 0 && H5Fclose(w->file) < 0) h5_abandon(w->file);
    w->file = H5I_INVALID_HID;
}

static sonde_status init_locks(sonde_h5_writer *w)
{
    pthread_condattr_t monotonic; /* sonde_clock's clock */
    bool ok = pthread_condattr_init(&monotonic) == 0;
    ok = ok && pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0;
    ok = ok && pthread_mutex_init(&w->mutex, NULL) == 0;
    ok = ok && pthread_cond_init(&w->wake, &monotonic) == 0 && pthread_cond_init(&w->done, NULL) == 0;
    pthread_condattr_destroy(&monotonic);
    return ok ? SONDE_OK : sonde_fail(SONDE_ENOMEM, "no more locks");
}

static void free_writer(sonde_h5_writer *w)
{
    h5_place_unlock(&w->place);
    h5_side_free(w->side);
    sonde_free(w->tables);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->mutex);
    sonde_free(w);
}

sonde_status sonde_h5_writer_open(sonde_h5_writer **out, const sonde_h5_run *run)
{
    h5_place place;
    SONDE_TRY(h5_place_init(&place, run->path));
    SONDE_TRY(h5_place_prepare(&place, run->force));
    sonde_h5_writer *w = sonde_alloc_zeroed(sizeof *w);
    if (!w) return SONDE_ENOMEM;
    w->place = place;
    w->file = H5I_INVALID_HID;
    atomic_init(&w->failed, false);
    sonde_status status = init_locks(w);
    if (status == SONDE_OK && !(w->side = h5_side_new())) status = SONDE_ENOMEM;
    if (status == SONDE_OK) {
        h5_enter();
        status = create_part(w, run);
        if (status != SONDE_OK) {
            bool ours = w->file >= 0 && w->place.lock >= 0;
            close_file(w);
            if (ours) unlink(w->place.part);
        }
        h5_leave();
    }
    if (status == SONDE_OK)
        *out = w;
    else
        free_writer(w);
    return status;
}

const char *sonde_h5_writer_path(const sonde_h5_writer *w) { return w->place.file; }
bool sonde_h5_writer_started(const sonde_h5_writer *w) { return w->started; }

/* ---- putting things in --------------------------------------------------------------------------------- */

static sonde_status check_open(sonde_h5_writer *w)
{
    if (w->ended) return sonde_fail(SONDE_ESTATE, "'%s' is finished", w->place.file);
    return sonde_h5_writer_check(w);
}

sonde_status sonde_h5_writer_put(sonde_h5_writer *w, const char *path, const sonde_h5_value *value,
                                 const char *const *axes)
{
    SONDE_TRY(check_open(w));
    return h5_side_put(w->side, w->history, path, NULL, value, axes);
}

sonde_status sonde_h5_writer_put_attribute(sonde_h5_writer *w, const char *path, const char *name,
                                           const sonde_h5_value *value)
{
    SONDE_TRY(check_open(w));
    return h5_side_put(w->side, w->history, path, name, value, NULL);
}

void sonde_h5_writer_clear(sonde_h5_writer *w, const char *path) { h5_side_clear(w->side, path); }
void sonde_h5_writer_hold(sonde_h5_writer *w) { h5_side_hold(w->side); }
void sonde_h5_writer_release(sonde_h5_writer *w) { h5_side_release(w->side); }

sonde_status sonde_h5_writer_late_number(sonde_h5_writer *w, const char *group, const char *column, int64_t row,
                                         double value)
{
    SONDE_TRY(check_open(w));
    return h5_side_late(w->side, w->history, group, column, row, value, NULL);
}

sonde_status sonde_h5_writer_late_text(sonde_h5_writer *w, const char *group, const char *column, int64_t row,
                                       const char *text)
{
    SONDE_TRY(check_open(w));
    return h5_side_late(w->side, w->history, group, column, row, 0, text);
}

/* ---- starting ------------------------------------------------------------------------------------------ */

static sonde_status create_tables(sonde_h5_writer *w, const sonde_history *history)
{
    int n = sonde_history_n_groups(history);
    w->tables = sonde_alloc_zeroed((size_t)n * sizeof *w->tables + 1);
    if (!w->tables) return SONDE_ENOMEM;
    for (; w->n_tables < n; w->n_tables++)
        SONDE_TRY(h5_table_create(&w->tables[w->n_tables], w->file, sonde_history_at(history, w->n_tables)));
    return SONDE_OK;
}

/* The group that viewers (H5Web, silx) open first: the weights' gradients if they are measured. */
static sonde_status set_default(hid_t file, const sonde_history *history)
{
    static const char *const wanted[] = { "weight_grad", "metrics" };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (!sonde_history_find(history, wanted[i])) continue;
        scoped hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
        return h5_set_text(root, "default", wanted[i]);
    }
    return SONDE_OK;
}

static sonde_status create_structure(sonde_h5_writer *w, const sonde_history *history, bool swmr)
{
    SONDE_TRY(create_tables(w, history));
    SONDE_TRY(set_default(w->file, history));
    SONDE_TRY(h5_side_drain(w->side, w->file));
    if (H5Fflush(w->file, H5F_SCOPE_LOCAL) < 0) return h5_fail(SONDE_EIO, "flushing failed");
    if (swmr && H5Fstart_swmr_write(w->file) < 0) return h5_fail(SONDE_EIO, "SWMR cannot be started");
    return SONDE_OK;
}

/* Closes FILE.part so that it is whole; of a writer that has failed, only forgets it. */
static sonde_status close_part(sonde_h5_writer *w)
{
    sonde_status status = sonde_h5_writer_check(w);
    if (w->file < 0) return status;
    h5_enter();
    if (status == SONDE_OK) {
        for (int i = 0; i < w->n_tables; i++) h5_table_close(&w->tables[i]);
        if (H5Fclose(w->file) < 0) status = h5_fail(SONDE_EIO, "closing '%s' failed", w->place.part);
    } else {
        h5_abandon(w->file);
        for (int i = 0; i < w->n_tables; i++) h5_table_forget(&w->tables[i]);
    }
    w->n_tables = 0;
    w->file = H5I_INVALID_HID;
    h5_leave();
    return status;
}

sonde_status sonde_h5_writer_start(sonde_h5_writer *w, sonde_history *history)
{
    SONDE_TRY(check_open(w));
    if (w->history) return sonde_fail(SONDE_ESTATE, "'%s': writing has started already", w->place.file);
    SONDE_TRY(sonde_history_freeze(history));
    SONDE_TRY(h5_side_check(w->side, history));
    w->history = history;
    h5_enter();
    sonde_status status = create_structure(w, history, true);
    h5_leave();
    if (status == SONDE_OK) {
        w->started = true;
        if (h5_writer_start_thread(w) == SONDE_OK) return SONDE_OK;
        w->started = false;
    }
    h5_writer_die(w);
    close_part(w);
    w->history = NULL;
    return sonde_h5_writer_check(w);
}

/* ---- ending -------------------------------------------------------------------------------------------- */

static void drain_unstarted(sonde_h5_writer *w)
{
    if (atomic_load(&w->failed)) return;
    h5_enter();
    sonde_status status = h5_side_drain(w->side, w->file);
    h5_leave();
    if (status != SONDE_OK) h5_writer_die(w);
}

sonde_status sonde_h5_writer_finish(sonde_h5_writer *w, const sonde_h5_end *end)
{
    if (w->ended) return sonde_fail(SONDE_ESTATE, "'%s' is finished already", w->place.file);
    w->ended = true;
    h5_writer_stop_thread(w);
    if (!w->started) drain_unstarted(w);
    SONDE_TRY(close_part(w));
    sonde_status status = h5_finish(&w->place, end);
    h5_place_unlock(&w->place);
    return status;
}

void sonde_h5_writer_free(sonde_h5_writer *w)
{
    if (!w) return;
    h5_writer_stop_thread(w);
    close_part(w);
    if (!w->started && (!w->ended || atomic_load(&w->failed))) unlink(w->place.part); /* no row was ever in it */
    free_writer(w);
}

/* ---- a history in one go ------------------------------------------------------------------------------- */

static sonde_status write_rows(sonde_h5_writer *w, const sonde_history *history)
{
    for (int i = 0; i < w->n_tables; i++) {
        const sonde_group *group = sonde_history_at(history, i);
        sonde_record_run run = sonde_group_run(group, sonde_group_first_row(group));
        for (; run.n > 0; run = sonde_group_run(group, run.first + run.n))
            SONDE_TRY(h5_table_append(&w->tables[i], &run));
    }
    return SONDE_OK;
}

sonde_status sonde_h5_save(const sonde_history *history, const sonde_h5_run *run, const sonde_h5_end *end)
{
    sonde_h5_writer *w;
    SONDE_TRY(sonde_h5_writer_open(&w, run));
    h5_enter();
    sonde_status status = create_structure(w, history, false);
    if (status == SONDE_OK) status = write_rows(w, history);
    if (status != SONDE_OK) close_file(w);
    h5_leave();
    w->started = status == SONDE_OK; /* else free removes FILE.part: the rows are still in memory */
    if (w->started) status = sonde_h5_writer_finish(w, end);
    sonde_h5_writer_free(w);
    return status;
}
