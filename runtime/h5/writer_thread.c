/* The one thread that writes a run file: takes rows from the history, data before step, and rewrites FILE.side.
 *
 * Rows are written when a block is full or PERIOD has passed, FILE.side once per PERIOD if it changed: so everything is
 * on file two seconds after it happened. HDF5 flushes to the kernel only, which survives a killed process, not a power
 * cut: every SYNC_PERIOD the disk is asked to catch up (some milliseconds of this thread). */
#include "h5/writer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double PERIOD = 1.0, SYNC_PERIOD = 30.0; /* seconds */

void h5_writer_die(sonde_h5_writer *w)
{
    if (atomic_load(&w->failed)) return;
    int n = snprintf(w->failure, sizeof w->failure, "'%.500s': %.600s", w->place.part, sonde_message());
    if (w->started)
        snprintf(w->failure + n, sizeof w->failure - (size_t)n, "; nothing more is written, what was is safe: mend the "
                 "cause, then `sonde recover %.500s`", w->place.part);
    if (w->history) sonde_history_fail(w->history, SONDE_EIO, w->failure);
    pthread_mutex_lock(&w->mutex);
    atomic_store(&w->failed, true);
    pthread_cond_broadcast(&w->done);
    pthread_mutex_unlock(&w->mutex);
}

/* ---- one round ----------------------------------------------------------------------------------------- */

typedef struct round {
    bool due;  /* write partial blocks and FILE.side too */
    bool last; /* leave nothing */
} round;

/* At most one block of a group; *more if the next one is waiting too. The room is held for this block only. */
static sonde_status write_block(h5_table *table, sonde_group *group, round r, bool *more)
{
    sonde_record_run run = sonde_group_pending(group);
    if (run.n == 0 || (!run.fills_block && !r.due)) return SONDE_OK;
    h5_enter();
    sonde_status status = h5_table_append(table, &run);
    h5_leave();
    if (status != SONDE_OK) return status;
    sonde_group_taken(group, run.n);
    run = sonde_group_pending(group);
    *more = *more || run.fills_block || (r.due && run.n > 0);
    return SONDE_OK;
}

static sonde_status write_round(sonde_h5_writer *w, round r, bool *more)
{
    *more = false;
    for (int i = 0; i < w->n_tables; i++)
        SONDE_TRY(write_block(&w->tables[i], sonde_history_at(w->history, i), r, more));
    if (r.due && h5_side_changed(w->side)) SONDE_TRY(h5_side_write(w->side, w->place.side));
    return SONDE_OK;
}

/* ---- the loop ------------------------------------------------------------------------------------------ */

static void wait_until(sonde_h5_writer *w, double time)
{
    struct timespec at = { .tv_sec = (time_t)time };
    at.tv_nsec = (long)((time - (double)at.tv_sec) * 1e9);
    pthread_cond_timedwait(&w->wake, &w->mutex, &at);
}

/* A round waits for its reason: a full block, the clock, a flush, the end. */
static round wait_for_work(sonde_h5_writer *w, double next, bool more, uint64_t *asked)
{
    pthread_mutex_lock(&w->mutex);
    while (!more && !w->block_full && !w->stop && w->flush_asked == w->flush_done && sonde_clock() < next)
        wait_until(w, next);
    round r = { .due = w->stop || w->flush_asked != w->flush_done || sonde_clock() >= next, .last = w->stop };
    w->block_full = false;
    *asked = w->flush_asked;
    pthread_mutex_unlock(&w->mutex);
    return r;
}

static sonde_status sync_disk(sonde_h5_writer *w, double *next)
{
    if (sonde_clock() < *next) return SONDE_OK;
    int failed = fdatasync(w->place.lock) ? errno : 0; /* any descriptor of FILE.part will do */
    *next = sonde_clock() + SYNC_PERIOD;
    if (failed == EIO || failed == ENOSPC || failed == EDQUOT)
        return sonde_fail(SONDE_EIO, "syncing failed: %s", strerror(failed));
    return SONDE_OK; /* other failures: this filesystem cannot sync */
}

static void *run_thread(void *context)
{
    sonde_h5_writer *w = context;
    double next = sonde_clock() + PERIOD, next_sync = sonde_clock() + SYNC_PERIOD;
    bool more = false;
    for (;;) {
        uint64_t asked;
        round r = wait_for_work(w, next, more, &asked);
        if (write_round(w, r, &more) != SONDE_OK || (r.due && sync_disk(w, &next_sync) != SONDE_OK)) {
            h5_writer_die(w);
            return NULL;
        }
        if (r.due) next = sonde_clock() + PERIOD;
        if (r.due && !more) { /* a flush is done when nothing it asked for is left */
            pthread_mutex_lock(&w->mutex);
            w->flush_done = asked;
            pthread_cond_broadcast(&w->done);
            pthread_mutex_unlock(&w->mutex);
        }
        if (r.last && !more) return NULL;
    }
}

static void wake_up(void *context)
{
    sonde_h5_writer *w = context;
    pthread_mutex_lock(&w->mutex);
    w->block_full = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
}

sonde_status h5_writer_start_thread(sonde_h5_writer *w)
{
    SONDE_TRY(sonde_history_consume(w->history, wake_up, w));
    sigset_t all, before; /* signals belong to the thread that trains */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&w->thread, NULL, run_thread, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->has_thread = !failed;
    if (!failed) return SONDE_OK;
    sonde_history_release(w->history);
    return sonde_fail(SONDE_ENOMEM, "the writer thread cannot be started: %s", strerror(failed));
}

void h5_writer_stop_thread(sonde_h5_writer *w)
{
    if (!w->has_thread) return;
    pthread_mutex_lock(&w->mutex);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    w->has_thread = false;
    sonde_history_release(w->history);
}

/* ---- doors --------------------------------------------------------------------------------------------- */

sonde_status sonde_h5_writer_check(sonde_h5_writer *w)
{
    return atomic_load(&w->failed) ? sonde_fail(SONDE_EIO, "%s", w->failure) : SONDE_OK;
}

sonde_status sonde_h5_writer_flush(sonde_h5_writer *w)
{
    if (!w->has_thread) return sonde_fail(SONDE_ESTATE, "'%s': writing has not started", w->place.file);
    pthread_mutex_lock(&w->mutex);
    uint64_t asked = ++w->flush_asked;
    pthread_cond_signal(&w->wake);
    while (w->flush_done < asked && !atomic_load(&w->failed)) pthread_cond_wait(&w->done, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
    return sonde_h5_writer_check(w);
}
