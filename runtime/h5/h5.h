/* h5 — HDF5 files: the run file and its writer thread, recovery, and plain reading and writing.
 *
 * The only room that includes hdf5.h; no HDF5 id leaves it. Nothing is printed; a message carries HDF5's innermost one.
 * Threads:   HDF5 is entered by one thread at a time. Every function here that touches HDF5 waits its turn (first come,
 *            first served) and holds the library for one call; the writer thread holds it for one block at most (about
 *            10 ms where a block is compressed). What a training step needs (record's begin and commit, and here put,
 *            put_attribute, late_*, check after start) never enters HDF5 and so never waits for it.
 * Cost:      the library is initialised by the first call that needs it, not at program start.
 * Ownership: a sonde_h5_value filled by this room is freed with sonde_h5_value_free; values passed in are copied.
 */
#ifndef SONDE_H5_H
#define SONDE_H5_H

#include "record/record.h"

/* ---- values: what a dataset or an attribute holds ------------------------------------------------------ */

#define SONDE_H5_DIMS 8

typedef enum sonde_h5_type {
    SONDE_H5_F32,
    SONDE_H5_F64,
    SONDE_H5_I64,
    SONDE_H5_TEXT,    /* UTF-8; variable length when written; fixed length is read too */
    SONDE_H5_NATURAL, /* reading only: floats up to 4 bytes F32, larger F64, every integer and enum I64, strings TEXT */
    SONDE_H5_OTHER,   /* info only: compound, reference, opaque, …: cannot be read */
} sonde_h5_type;

typedef struct sonde_h5_value {
    sonde_h5_type type;
    int ndim;                     /* 0: a scalar */
    int64_t shape[SONDE_H5_DIMS];
    void *data;                   /* float *, double *, int64_t * or char **; row-major; never NULL after a read */
} sonde_h5_value;

void sonde_h5_value_free(sonde_h5_value *value); /* frees data (as this room allocated it), zeroes the struct */
int64_t sonde_h5_value_count(const sonde_h5_value *value);      /* elements */
/* Borrowing views of the caller's memory, for passing in; never freed. */
sonde_h5_value sonde_h5_text(const char *const *text);          /* scalar string: pass &pointer */
sonde_h5_value sonde_h5_integer(const int64_t *number);
sonde_h5_value sonde_h5_number(const double *number);
sonde_h5_value sonde_h5_tensor_of(sonde_dtype dtype, int ndim, const int64_t *shape, const void *data); /* contiguous */

/* ---- the run file -------------------------------------------------------------------------------------- */

/* FILE.part while the run goes, FILE when it has ended, FILE.side for what comes late, FILE.tmp while finishing. */
typedef struct sonde_h5_writer sonde_h5_writer;

typedef struct sonde_h5_run { /* root attributes; NULL texts become "" */
    const char *path;         /* FILE */
    bool force; /* FILE may exist, if it is a run's: it stays until the finished file replaces it; a dead FILE.part is
                 * removed */
    const char *name, *about, *command;
    int64_t seed, threads;
} sonde_h5_run;

/* Creates FILE.part (exclusively) and locks it. Errors, each naming the path and the way out:
 * EARG   FILE exists, without force, or is not the file of a run · FILE.part of a killed run exists, without force
 *        ("sonde recover FILE.part")
 * ESTATE another run is writing FILE.part
 * EIO    the folder is missing or not writable, the disk is full, … */
sonde_status sonde_h5_writer_open(sonde_h5_writer **out, const sonde_h5_run *run);

/* A dataset "/run/params", "/arrays/w": before start it goes into FILE.part, afterwards into FILE.side within 2 s and
 * into FILE when it is finished, replacing one of that path. Missing groups of the path are made. A dataset with axes
 * gets a dimension scale 1..n on each, named `axes[d]`, or NAME_axis1, … where `axes` is NULL; none where the name is
 * empty; scales of the same name and length in a group are shared. EARG for a bad path, a path inside a group of the
 * history, or an unusable value. */
sonde_status sonde_h5_writer_put(sonde_h5_writer *writer, const char *path, const sonde_h5_value *value,
                                 const char *const *axes);
/* An attribute of "/", of a group or of a dataset put; what does not exist at the end is made, as a group. */
sonde_status sonde_h5_writer_put_attribute(sonde_h5_writer *writer, const char *path, const char *name,
                                           const sonde_h5_value *value);
/* Forgets everything put after start at or below a path: before a newer checkpoint. Puts between hold and release reach
 * FILE.side together or not at all. */
void sonde_h5_writer_clear(sonde_h5_writer *writer, const char *path);
void sonde_h5_writer_hold(sonde_h5_writer *writer);
void sonde_h5_writer_release(sonde_h5_writer *writer);

/* A late column of a group of the history: value by row (sonde_group_rows is the index of the open row). A row set
 * twice keeps the last value; rows never set are NaN, "" for text. EARG if the group has a variable of that name, or
 * the column is of the other type. Event texts: late_text(w, "events", "message", row, text). */
sonde_status sonde_h5_writer_late_number(sonde_h5_writer *writer, const char *group, const char *column, int64_t row,
                                         double value);
sonde_status sonde_h5_writer_late_text(sonde_h5_writer *writer, const char *group, const char *column, int64_t row,
                                       const char *text);

/* The structure is complete: freezes the history, makes every group, starts SWMR and the writer thread, which takes the
 * history's rows from now on. `history` must outlive the writer. Rows committed before are written too. */
sonde_status sonde_h5_writer_start(sonde_h5_writer *writer, sonde_history *history);
bool sonde_h5_writer_started(const sonde_h5_writer *writer);

/* SONDE_OK, or EIO with path, reason and the `sonde recover` hint once writing has failed. No HDF5 call. */
sonde_status sonde_h5_writer_check(sonde_h5_writer *writer);
/* Returns when every committed row and FILE.side are on file. */
sonde_status sonde_h5_writer_flush(sonde_h5_writer *writer);

typedef struct sonde_h5_end {
    const char *status; /* "complete", "interrupted", "failed" */
    const char *error;  /* NULL: "" */
    int64_t n_steps;
    double wall_seconds;
} sonde_h5_end;

/* Ends the thread, writes what is left, finishes a copy (FILE.tmp: late things, final attributes), syncs it, renames it
 * to FILE and removes FILE.part and FILE.side. A writer that was not started gives a file without rows and late
 * columns. On failure FILE.part and FILE.side stay and the message says how to recover. Free the writer afterwards in
 * any case. */
sonde_status sonde_h5_writer_finish(sonde_h5_writer *writer, const sonde_h5_end *end);
/* Without finish before: ends the thread, writes what is left and leaves FILE.part and FILE.side, to be recovered; a
 * FILE.part never started is removed. NULL is fine. */
void sonde_h5_writer_free(sonde_h5_writer *writer);
const char *sonde_h5_writer_path(const sonde_h5_writer *writer); /* FILE */

/* A history kept in memory as a finished file in one go; the history is unchanged and may go on. */
sonde_status sonde_h5_save(const sonde_history *history, const sonde_h5_run *run, const sonde_h5_end *end);

typedef struct sonde_h5_recovered {
    char path[4096];      /* FILE */
    int64_t n_steps;      /* the last step of any group */
    int64_t rows_dropped; /* the most of any group: rows that were not whole */
    bool side_lost;       /* FILE.side could not be read; it is kept as FILE.side.damaged */
} sonde_h5_recovered;

/* FILE.part of a killed run → FILE with status "recovered"; works on a copy, FILE.part goes only after the rename.
 * EARG: not named .part, or FILE cannot be replaced, as for writer_open. ESTATE: another run is writing it. EFORMAT: no
 * sonde file, or too damaged. A file of whose rows none was written yet is EFORMAT and says so. */
sonde_status sonde_h5_recover(const char *part_path, bool force, sonde_h5_recovered *out);

/* ---- plain reading and writing ------------------------------------------------------------------------- */

typedef struct sonde_h5_file sonde_h5_file;

/* mode "r": any HDF5 file, also a live FILE.part (through SWMR) or one of a killed run (where SWMR had not begun, a
 * copy of it in $TMPDIR or /tmp that goes by itself); "r+": change it in place (a FILE.part is refused); "w": a new
 * file, written as PATH.tmp and renamed to PATH by close, so an old PATH stays whole till then. EIO, or EFORMAT for
 * what is no HDF5 file or a damaged one. */
sonde_status sonde_h5_open(sonde_h5_file **out, const char *path, const char *mode);
sonde_status sonde_h5_close(sonde_h5_file *file); /* frees it in any case; NULL is fine */
/* Frees it too, but in mode "w" nothing is left of the new file, and an old PATH stays. */
void sonde_h5_discard(sonde_h5_file *file);
bool sonde_h5_is_live(const sonde_h5_file *file); /* was never closed: a run is writing it, or was killed */
bool sonde_h5_has_writer(const sonde_h5_file *file); /* a run of ours is writing it now */

typedef enum sonde_h5_kind {
    SONDE_H5_NOTHING, /* no such path or attribute (not an error), or a link that leads nowhere */
    SONDE_H5_GROUP,
    SONDE_H5_DATASET,
    SONDE_H5_ATTRIBUTE,
} sonde_h5_kind;
typedef enum sonde_h5_link { SONDE_H5_HARD, SONDE_H5_SOFT, SONDE_H5_EXTERNAL } sonde_h5_link;
typedef struct sonde_h5_info {
    sonde_h5_kind kind;
    sonde_h5_link link;   /* what the last part of the path is */
    int64_t links;        /* hard links to the object: 1 as a rule */
    char object[40];      /* the same text whatever path led to the object, another for every other object */
    /* Of a dataset or an attribute: */
    sonde_h5_type type;
    char type_name[24];   /* "float32", "uint8", "compound", … as stored; "string" is UTF-8 of variable length, others
                           * are "string(ascii)" and "string(12)" */
    bool is_null;         /* holds nothing, not even a shape */
    int ndim;
    int64_t shape[SONDE_H5_DIMS];
    bool grows;           /* its first axis has no limit */
    bool is_scale;        /* a dimension scale */
} sonde_h5_info;
sonde_status sonde_h5_inspect(sonde_h5_file *file, const char *path, sonde_h5_info *out);
sonde_status sonde_h5_inspect_attribute(sonde_h5_file *file, const char *path, const char *name, sonde_h5_info *out);

/* Names in a group, in creation order where the file tracked it, else by name: 1-D TEXT. */
sonde_status sonde_h5_list(sonde_h5_file *file, const char *group, sonde_h5_value *out);
/* Names of the attributes of "/", a group or a dataset: 1-D TEXT. */
sonde_status sonde_h5_list_attributes(sonde_h5_file *file, const char *path, sonde_h5_value *out);
/* The names of a dataset's dimension scales, "" where an axis has none, the path of one in another group: 1-D TEXT
 * [ndim]. */
sonde_status sonde_h5_axes(sonde_h5_file *file, const char *path, sonde_h5_value *out);

/* Of every axis `count` places from `start` (from 0) on, each `step` (at least 1) after the one before. */
typedef struct sonde_h5_part {
    int64_t start[SONDE_H5_DIMS], count[SONDE_H5_DIMS], step[SONDE_H5_DIMS];
} sonde_h5_part;
/* A whole dataset (part = NULL) or a part of it, converted to `type` (NATURAL: as it is). EARG: no such dataset, out of
 * range (says the shape). EDTYPE: cannot become `type`, as integers beyond 2^63 - 1 cannot become I64. */
sonde_status sonde_h5_read(sonde_h5_file *file, const char *path, sonde_h5_type type, const sonde_h5_part *part,
                           sonde_h5_value *out);
sonde_status sonde_h5_read_attribute(sonde_h5_file *file, const char *path, const char *name, sonde_h5_value *out);

/* A new dataset, missing groups made; `axes` as for sonde_h5_writer_put. EARG if something is there; ESTATE in
 * mode "r". */
sonde_status sonde_h5_write(sonde_h5_file *file, const char *path, const sonde_h5_value *value,
                            const char *const *axes);
/* Appends the value along the first axis; the other axes must be equal. Makes the dataset, as write does, where there
 * is none; only such datasets grow. The first axis's own numbers must be appended before, unless they just count 1..n:
 * then they count on. EARG if it does not fit; EDTYPE for text to numbers, fractions to integers; ESTATE in "r". */
sonde_status sonde_h5_append(sonde_h5_file *file, const char *path, const sonde_h5_value *value,
                             const char *const *axes);
/* Sets an attribute, replacing one of that name; makes a missing path as a group. */
sonde_status sonde_h5_write_attribute(sonde_h5_file *file, const char *path, const char *name,
                                      const sonde_h5_value *value);
sonde_status sonde_h5_make_group(sonde_h5_file *file, const char *path); /* nothing if it exists */

/* Open HDF5 ids (files, groups, datasets, attributes, types) but those of writers that failed: leak tests. 0 if HDF5
 * was never needed. */
int64_t sonde_h5_open_ids(void);
/* "1.10.8": HDF5 refuses to start with another version than it was compiled against. */
const char *sonde_h5_library_version(void);

#endif
