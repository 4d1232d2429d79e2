/* record — typed columns in memory: groups of rows in rings of blocks. Knows no file format.
 *
 * A history holds groups by name ("metrics", "weight_grad", "weight_grad_hist", "events", …). A group is a table that
 * grows by rows. Every row has its `step` (int64, added by itself) and one value or array per variable:
 *     axis        an axis besides time: name, length, coordinate values ("probe": parameter names; "binade"); fixed, or
 *                 one that only counts and may become longer while the run goes ("time_step", and "lag" from its end)
 *     coordinate  a further label along an axis (layer[probe], depth[probe]); values fixed when declared
 *     variable    cells per row: none of the axes (loss), one (l2_norm[probe]) or more (counts[probe, binade])
 * Declaring ends when the group freezes: at its first row, or for all groups with sonde_history_freeze, after which no
 * group can be added either. Declaring later is ESTATE.
 *
 * Writing a row: begin → cells (pointers to fill in place; every cell already holds its fill value) → commit. Nothing
 * is allocated per row in the steady state. The newest committed row can always be read.
 *
 * Blocks: without a consumer rows stay in memory (all of them, or the newest with sonde_history_keep). With one
 * (room h5) each group has SONDE_RECORD_BLOCKS blocks; when the consumer has not yet taken the oldest, begin waits, and
 * counts the stall: rows are never dropped.
 *
 * Ownership: the history owns its groups; names and values are copied. Threads: one producer thread makes, declares,
 *            writes and reads; the consumer thread uses only the section "consumer".
 */
#ifndef SONDE_RECORD_H
#define SONDE_RECORD_H

#include "base/base.h"

#define SONDE_RECORD_AXES 3   /* axes of a variable besides time */
#define SONDE_RECORD_BLOCKS 4 /* per group, once there is a consumer */

typedef struct sonde_history sonde_history;
typedef struct sonde_group sonde_group;

typedef enum sonde_cell {
    SONDE_CELL_F32,  /* fill NaN */
    SONDE_CELL_F64,  /* fill NaN */
    SONDE_CELL_U32,  /* fill 4294967295 */
    SONDE_CELL_I64,  /* fill -1 */
    SONDE_CELL_TEXT, /* coordinates only: char *, UTF-8 */
} sonde_cell;

size_t sonde_cell_size(sonde_cell type); /* 4, 8, 4, 8, sizeof(char *) */

typedef struct sonde_record_coordinate {
    char *name;
    sonde_cell type;
    void *values;              /* [length]: float *, double *, uint32_t *, int64_t * or char ** */
    char *long_name, *units;   /* "" where none was given */
} sonde_record_coordinate;

typedef struct sonde_record_axis {
    int64_t length;            /* of a growing axis: for the next row */
    bool grows;                /* its coordinate counts 1 .. length; a second one length - 1 .. 0 */
    int n_coordinates;
    sonde_record_coordinate *coordinates; /* [0] is the axis's own: its name is the axis's name */
} sonde_record_axis;

typedef struct sonde_record_variable {
    char *name;
    sonde_cell type;
    int n_axes, axes[SONDE_RECORD_AXES];  /* indices into the group's axes */
    int64_t cells;                        /* of the next row: product of the axes' lengths, 1 without axes */
    char *long_name, *units;              /* "" where none was given */
    bool is_coordinate;                   /* a further time axis: time, epoch */
} sonde_record_variable;

/* ---- declaring ----------------------------------------------------------------------------------------- */

sonde_status sonde_history_new(sonde_history **out);
void sonde_history_free(sonde_history *history); /* NULL is fine; the consumer must have ended */

typedef enum sonde_group_kind {
    SONDE_GROUP_PLAIN,      /* noisy numbers: stored as they are */
    SONDE_GROUP_COMPRESSED, /* histograms: what has two axes or more is stored compressed, row by row */
} sonde_group_kind;

/* EARG: a name that is empty, holds '/', or exists already. ESTATE: frozen. */
sonde_status sonde_history_group(sonde_history *history, sonde_group **out, const char *name, sonde_group_kind kind);

/* An axis and its own coordinate. `values`: `length` values of `type` (for TEXT const char *const *). length ≥ 1.
 * out: its index. All names of a group (step, axes, coordinates, variables) differ; EARG otherwise. */
sonde_status sonde_group_axis(sonde_group *group, int *out, const char *name, int64_t length, sonde_cell type,
                              const void *values);
/* An axis that counts 1 .. length and may grow. It has no labels. */
sonde_status sonde_group_growing_axis(sonde_group *group, int *out, const char *name, int64_t length);
/* The other coordinate that an axis that grows may have: length - 1 .. 0, numbered anew when it has grown. */
sonde_status sonde_group_countdown(sonde_group *group, int axis, const char *name, const char *long_name);
/* Another coordinate along an axis, values[length of the axis]. long_name and units may be NULL. */
sonde_status sonde_group_coordinate(sonde_group *group, int axis, const char *name, sonde_cell type,
                                    const void *values, const char *long_name, const char *units);

/* A variable; out: its index, for sonde_group_cells. long_name and units may be NULL ("1" is the unit of a pure
 * number; use "s", never "seconds", which xarray turns into timedelta64). */
sonde_status sonde_group_variable(sonde_group *group, int *out, const char *name, sonde_cell type, int n_axes,
                                  const int *axes, const char *long_name, const char *units);
/* A variable without axes that labels the rows: time (float64, "s"), epoch. */
sonde_status sonde_group_time_column(sonde_group *group, int *out, const char *name, sonde_cell type,
                                     const char *long_name, const char *units);

sonde_status sonde_history_freeze(sonde_history *history); /* idempotent; ENOMEM */
bool sonde_history_frozen(const sonde_history *history);
/* Without a consumer: keep at least the newest `rows` rows of each group, drop older ones; 0 (the default) keeps all. */
void sonde_history_keep(sonde_history *history, int64_t rows);

/* From the next row on a growing axis has at least this length: rows before keep the length they had, and a reader that
 * sees all rows as one array finds "not measured" there. ESTATE while a row is open, EARG for another axis. */
sonde_status sonde_group_grow(sonde_group *group, int axis, int64_t length);

/* ---- writing a row ------------------------------------------------------------------------------------- */

/* Opens a row; freezes the group. ESTATE if one is open. Waits while the consumer is a whole ring behind. If the
 * consumer has failed: its status (EIO) and message, as from every call of this section from then on. */
sonde_status sonde_group_begin(sonde_group *group, int64_t step);
/* The open row's cells of one variable, row-major over its axes, float *, double *, uint32_t * or int64_t *; valid
 * until commit or discard. NULL if no row is open. */
void *sonde_group_cells(sonde_group *group, int variable);
bool sonde_group_is_open(const sonde_group *group);
sonde_status sonde_group_commit(sonde_group *group); /* ESTATE if no row is open */
void sonde_group_discard(sonde_group *group);        /* the open row was never there; nothing if none is open */

/* ---- looking ------------------------------------------------------------------------------------------- */

int sonde_history_n_groups(const sonde_history *history);
sonde_group *sonde_history_at(const sonde_history *history, int i); /* in order of declaration */
sonde_group *sonde_history_find(const sonde_history *history, const char *name); /* NULL if there is none */
const char *sonde_group_name(const sonde_group *group);
sonde_group_kind sonde_group_kind_of(const sonde_group *group);
int sonde_group_n_axes(const sonde_group *group);
const sonde_record_axis *sonde_group_axis_at(const sonde_group *group, int i);
int sonde_group_n_variables(const sonde_group *group);
const sonde_record_variable *sonde_group_variable_at(const sonde_group *group, int i);
int sonde_group_find_variable(const sonde_group *group, const char *name); /* -1 if there is none */

int64_t sonde_group_rows(const sonde_group *group);      /* committed so far; also the index of the open row */
int64_t sonde_group_first_row(const sonde_group *group); /* the oldest row still in memory */
/* A committed row, first_row ≤ row < rows, until `first_row` passes it; NULL (and -1) outside. Row rows - 1 is the
 * newest. */
const void *sonde_group_read(const sonde_group *group, int variable, int64_t row);
int64_t sonde_group_step(const sonde_group *group, int64_t row);
/* How long an axis was when this row was written (or later, if rows of its block came after it grew): the shape of what
 * sonde_group_read returns. 0 outside. */
int64_t sonde_group_row_length(const sonde_group *group, int axis, int64_t row);

typedef struct sonde_record_stalls {
    int64_t count;  /* times a row had to wait for the consumer */
    double seconds; /* … in all */
} sonde_record_stalls;
sonde_record_stalls sonde_history_stalls(const sonde_history *history);

/* ---- consumer ------------------------------------------------------------------------------------------ */

/* From now on another thread takes the rows: `wake(context)` is called on the producer's thread whenever a block has
 * become full (it must be short and not block). Freezes the history. ESTATE if there is one already. */
sonde_status sonde_history_consume(sonde_history *history, void (*wake)(void *context), void *context);
/* The consumer has ended; rows not yet taken and later ones stay in memory. */
void sonde_history_release(sonde_history *history);

/* The longest run of rows that are committed, not taken, and lie in one block: a variable's cells are contiguous from
 * row to row. Rows of a block still being filled count, so a slow producer's rows can be taken in time. */
typedef struct sonde_record_run {
    int64_t first, n;    /* n = 0: nothing pending */
    bool fills_block;    /* the run reaches the end of its block */
    const int64_t *step; /* [n] */
    const struct record_block *block; /* record's own */
} sonde_record_run;
sonde_record_run sonde_group_pending(const sonde_group *group);
/* The same for the rows from `first` on, whether taken or not (writing a history that stays in memory). */
sonde_record_run sonde_group_run(const sonde_group *group, int64_t first);
const void *sonde_group_run_cells(const sonde_group *group, const sonde_record_run *run, int variable);
int64_t sonde_group_run_length(const sonde_record_run *run, int axis); /* of the axis in every row of the run */
void sonde_group_taken(sonde_group *group, int64_t n);
int64_t sonde_group_block_rows(const sonde_group *group); /* rows per block */
/* The consumer cannot go on: producers that wait now, and all later rows, get this status and message. */
void sonde_history_fail(sonde_history *history, sonde_status status, const char *message);

#endif
