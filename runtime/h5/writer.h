/* h5, inside: the writer of a run file (writer.c) and its thread (writer_thread.c). */
#ifndef SONDE_H5_WRITER_H
#define SONDE_H5_WRITER_H

#include <pthread.h>
#include <stdatomic.h>

#include "h5/room.h"

struct sonde_h5_writer {
    h5_place place;
    hid_t file;              /* FILE.part; H5I_INVALID_HID once closed or given up */
    sonde_history *history;  /* NULL before start */
    h5_table *tables;        /* one per group of the history */
    int n_tables;
    h5_side *side;
    bool started, ended;     /* rows may be in FILE.part; finish was called, well or not */

    bool has_thread;
    pthread_t thread;
    pthread_mutex_t mutex;   /* guards what follows */
    pthread_cond_t wake;     /* the thread has something to do */
    pthread_cond_t done;     /* a flush has been done, or writing has failed */
    bool block_full, stop;
    uint64_t flush_asked, flush_done;

    atomic_bool failed;      /* after this no HDF5 call touches the file */
    char failure[2048];      /* written before `failed` */
};

/* The first failure ends writing for good: keeps the message that is there, gives FILE.part up, tells the history. */
void h5_writer_die(sonde_h5_writer *writer);
sonde_status h5_writer_start_thread(sonde_h5_writer *writer);
void h5_writer_stop_thread(sonde_h5_writer *writer); /* writes everything that is left first */

#endif
