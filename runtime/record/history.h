/* record, inside: what history.c, declare.c and rows.c share. */
#ifndef SONDE_RECORD_HISTORY_H
#define SONDE_RECORD_HISTORY_H

#include <pthread.h>
#include <stdatomic.h>

#include "record/record.h"

/* How blocks lie in memory while the axes have these lengths. A block holds block_rows rows, column by column:
 * step[block_rows], then for each variable its cells of all rows, starting at offset[variable]. */
typedef struct record_layout {
    struct record_layout *older;
    size_t bytes;
    int64_t *lengths;      /* [axes] */
    int64_t *cells;        /* [variables], per row */
    size_t *offset;        /* [variables] */
} record_layout;

/* When an axis grows, a block that is not full is laid out anew: its old self stays, for the consumer may be reading it,
 * until the slot is used again. */
typedef struct record_block {
    const record_layout *layout;
    struct record_block *replaced;
    char data[] __attribute__((aligned(64)));
} record_block;
typedef _Atomic(record_block *) record_slot;

struct sonde_group {
    sonde_history *history;
    char *name;
    sonde_group_kind kind;
    bool frozen;
    int n_axes, n_variables;
    sonde_record_axis *axes;
    sonde_record_variable *variables;

    /* Block number b (rows b * block_rows …) lies in slots[b % n_slots]. */
    int64_t block_rows;
    record_layout *layout; /* of new blocks; the older ones, which some blocks have, follow */
    record_slot *slots;    /* NULL until first used; with a consumer neither moved nor resized */
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
/* For the axes' lengths as they are; becomes the group's layout. */
sonde_status sonde_group_lay_out(sonde_group *group);
void sonde_group_drop_layout(sonde_group *group, record_layout *keep); /* those newer than `keep` */
/* Of a growing axis; ENOMEM leaves it as it was. A shorter length than it has had cannot fail. */
sonde_status sonde_group_set_length(sonde_group *group, int axis, int64_t length);
void sonde_record_block_free(record_block *block); /* and what it replaced; NULL is fine */

#endif
