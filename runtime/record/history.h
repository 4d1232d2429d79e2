/* record, inside: what history.c, declare.c and rows.c share. */
#ifndef SONDE_RECORD_HISTORY_H
#define SONDE_RECORD_HISTORY_H

#include <pthread.h>
#include <stdatomic.h>

#include "record/record.h"

struct sonde_group {
    sonde_history *history;
    char *name;
    sonde_group_kind kind;
    bool frozen;
    int n_axes, n_variables;
    sonde_record_axis *axes;
    sonde_record_variable *variables;

    /* A block holds block_rows rows, column by column: step[block_rows], then for each variable its cells of all rows,
     * starting at offset[variable]. Block number b (rows b * block_rows …) lies in slots[b % n_slots]. */
    int64_t block_rows;
    size_t block_bytes;
    size_t *offset;
    char **slots;          /* NULL until first used; with a consumer neither moved nor resized */
    int64_t n_slots;
    int64_t oldest_block;  /* producer's: the oldest block number not yet overwritten */
    bool open;             /* a row is being written: row number `committed` */
    atomic_int_least64_t committed; /* stored by the producer: all cells of these rows are final */
    atomic_int_least64_t taken;     /* stored by the consumer, under the history's mutex */
};

struct sonde_history {
    sonde_group **groups;
    int n_groups;
    bool frozen;
    int64_t keep;
    sonde_record_stalls stalls;

    void (*wake)(void *context); /* NULL: no consumer */
    void *context;
    pthread_mutex_t mutex;
    pthread_cond_t moved;        /* `taken` has grown, or the consumer has failed */
    atomic_int failed;           /* the consumer's status, SONDE_OK while it works */
    char *failure;               /* its message; written before `failed`, never changed afterwards */
};

/* Lays out a block and ends declaring. Idempotent. */
sonde_status sonde_group_freeze(sonde_group *group);
void sonde_group_free(sonde_group *group);

#endif
