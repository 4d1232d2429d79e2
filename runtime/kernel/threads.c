/* The run's threads: a pool that takes tiles of one job at a time. The workers sleep between jobs. */
#include "kernel/kernel.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { MAX_THREADS = 256 };

typedef struct job {
    void (*body)(void *context, int tile);
    void *context;
    int tiles;
    atomic_int next; /* tile to be taken */
} job;

static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER; /* held by whoever runs a job or changes the pool */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t work_there = PTHREAD_COND_INITIALIZER, work_done = PTHREAD_COND_INITIALIZER;
static job *current;
static uint64_t generation; /* of jobs: a worker takes each once */
static int busy;            /* workers that have not finished the current job */
static bool stopping;
static atomic_int workers; /* changes only behind the door */
static pthread_t handles[MAX_THREADS];
static _Thread_local bool inside; /* a tile: what it starts runs in place */

static void take_tiles(job *j)
{
    bool before = inside;
    inside = true;
    for (int tile; (tile = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed)) < j->tiles;)
        j->body(j->context, tile);
    inside = before;
}

/* `first`: the generation at the worker's start; it takes every job after that, however late it wakes. */
static void *work(void *first)
{
    uint64_t seen = (uint64_t)(uintptr_t)first;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!stopping && generation == seen) pthread_cond_wait(&work_there, &lock);
        if (stopping) break;
        seen = generation;
        job *mine = current;
        pthread_mutex_unlock(&lock);
        take_tiles(mine);
        pthread_mutex_lock(&lock);
        if (--busy == 0) pthread_cond_signal(&work_done);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void stop_workers(void)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_cond_broadcast(&work_there);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < workers; i++) pthread_join(handles[i], NULL);
    workers = 0;
    stopping = false;
}

/* Signals are the main thread's: workers block them all. */
static bool start_workers(int wanted)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    void *first = (void *)(uintptr_t)generation;
    while (workers < wanted && pthread_create(&handles[workers], NULL, work, first) == 0) workers++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return workers == wanted;
}

sonde_status sonde_threads_set(int n)
{
    if (n < 1 || n > MAX_THREADS) return sonde_fail(SONDE_EARG, "threads must be 1 to %d, got %d", MAX_THREADS, n);
    if (inside) return sonde_fail(SONDE_ESTATE, "the number of threads cannot change inside parallel work");
    sonde_status status = SONDE_OK;
    pthread_mutex_lock(&door);
    if (n - 1 != workers) {
        stop_workers();
        if (!start_workers(n - 1)) {
            stop_workers();
            status = sonde_fail(SONDE_ENOMEM, "the system gives no %d threads; running with one", n);
        }
    }
    pthread_mutex_unlock(&door);
    return status;
}

int sonde_threads(void)
{
    return workers + 1;
}

void sonde_parallel(int tiles, void (*body)(void *context, int tile), void *context)
{
    job mine = {.body = body, .context = context, .tiles = tiles};
    if (inside || tiles < 2 || pthread_mutex_trylock(&door) != 0) { /* the pool serves one job at a time */
        take_tiles(&mine);
        return;
    }
    if (workers > 0) {
        pthread_mutex_lock(&lock);
        current = &mine;
        busy = workers;
        generation++;
        pthread_cond_broadcast(&work_there);
        pthread_mutex_unlock(&lock);
    }
    take_tiles(&mine);
    if (workers > 0) {
        pthread_mutex_lock(&lock);
        while (busy > 0) pthread_cond_wait(&work_done, &lock);
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_unlock(&door);
}
