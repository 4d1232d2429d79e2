/* h5, inside: what its files share. Every function declared here that takes a hid_t or makes one expects the caller to
 * be inside the room (h5_enter … h5_leave); the doors in h5.h enter it. */
#ifndef SONDE_H5_ROOM_H
#define SONDE_H5_ROOM_H

#ifndef H5_USE_110_API /* Debian's default API mapping is 1.8 */
#define H5_USE_110_API
#endif
#include <hdf5.h>
#include <hdf5_hl.h>

#include "h5/h5.h"

/* ---- the room (room.c) --------------------------------------------------------------------------------- */

/* One thread at a time, first come, first served. Not recursive. Initialises HDF5 on the first entry. */
void h5_enter(void);
void h5_leave(void);

/* The innermost message of HDF5's latest failure in this thread, shortened; "" if there was none. */
const char *h5_reason(void);
void h5_forget_reason(void); /* after a failure that was expected */
/* sonde_fail(code, "<format>: <HDF5's innermost message>"); the reason is left out if HDF5 has none. */
sonde_status h5_fail(sonde_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void h5_close_id(hid_t *id)
{
    if (*id > 0) H5Idec_ref(*id);
}
/* An id that is closed when its block is left, whatever its type. */
#define scoped __attribute__((cleanup(h5_close_id)))

hid_t h5_file_access(H5F_libver_t low);  /* access list: strong close, bounds low..V110, no HDF5 lock; < 0 on failure */
void h5_abandon(hid_t file);             /* no call will touch this file again: its ids no longer count as open */

/* ---- values (value.c, read.c, text.c) ------------------------------------------------------------------- */

sonde_status h5_value_check(const sonde_h5_value *value, const char *what); /* EARG: cannot be written */
sonde_status h5_value_copy(sonde_h5_value *out, const sonde_h5_value *value); /* deep */
size_t h5_element_size(sonde_h5_type type); /* in memory: 4, 8, 8, sizeof(char *) */
hid_t h5_stored_type(sonde_h5_type type);   /* as it lies in a file and in memory; owned by the caller */

/* Packs n strings (NULL: "") into one block of pointers and bytes; out becomes 1-D TEXT [n]. `clean`: every byte that
 * is not part of valid UTF-8 becomes U+FFFD, since one bad byte makes Python refuse the whole file. */
sonde_status h5_pack_text(sonde_h5_value *out, int64_t n, const char *const *text, bool clean);

/* What a stored type becomes when read (never NATURAL), and its name. */
sonde_h5_type h5_classify(hid_t stored, char name[static 24]);
/* For h5_read_*: `what` names the thing in messages ("'run.h5': /grad/mean"). */
sonde_status h5_read_dataset(hid_t dataset, const char *what, sonde_h5_type type, const sonde_h5_part *part,
                             sonde_h5_value *out);
sonde_status h5_read_attribute(hid_t object, const char *name, const char *what, sonde_h5_value *out);

/* Reads everything that could crash HDF5 in a child process first; EFORMAT if it does. `file` must be open for reading
 * only (a child that flushed would spoil it). About 5 ms. (trial.c) */
sonde_status h5_try(hid_t file, const char *what);

/* Clears the marks of a writer and sets the file's end, in one go: either alone loses data. EFORMAT: it is damaged.
 * Only on a copy. (revive.c) */
sonde_status h5_revive(const char *path);

/* ---- objects (object.c) -------------------------------------------------------------------------------- */

sonde_h5_kind h5_kind(hid_t file, const char *path); /* follows links; NOTHING for a dead one */
bool h5_is_history(hid_t root); /* says the root's attribute `format` that this is a run's file? (file.c) */
/* Opens or makes the group and its parents, tracking creation order; owned. */
hid_t h5_ensure_group(hid_t file, const char *path);
hid_t h5_new_group(hid_t parent, const char *name);
/* Sets an attribute of an object, replacing one of that name. */
sonde_status h5_set_attribute(hid_t object, const char *name, const sonde_h5_value *value);
sonde_status h5_set_text(hid_t object, const char *name, const char *text);
sonde_status h5_put_attribute(hid_t file, const char *path, const char *name, const sonde_h5_value *value);
/* A dataset without scales; `grows`: without a limit along its first axis. out: owned. */
sonde_status h5_new_dataset(hid_t group, const char *name, const sonde_h5_value *value, bool grows, hid_t *out);
/* The bytes to write: the value's own, or for text a cleaned copy, to be freed. */
sonde_status h5_writable(const sonde_h5_value *value, sonde_h5_value *clean, const void **data);

typedef enum h5_put_how {
    H5_NEW,     /* EARG if something is there */
    H5_GROWING, /* the same; without a limit along its first axis */
    H5_REPLACE, /* in place of a dataset that is there */
} h5_put_how;
/* A dataset with scales on its axes. */
sonde_status h5_put(hid_t file, const char *path, const sonde_h5_value *value, const char *const *axes, h5_put_how how);
/* Appends along the first axis; makes the dataset where there is none. See sonde_h5_append. (append.c) */
sonde_status h5_append(hid_t file, const char *path, const sonde_h5_value *value, const char *const *axes);
sonde_status h5_check_path(const char *path); /* "/a/b": absolute, no empty, "." or ".." part */
hid_t h5_first_scale(hid_t dataset, int axis); /* the first dimension scale of an axis, owned; < 0 if there is none */
/* Names in a group in creation order where tracked. */
sonde_status h5_names(hid_t group, sonde_h5_value *out);
/* Names of an object's attributes, sorted. */
sonde_status h5_attribute_names(hid_t object, const char *what, sonde_h5_value *out);

/* ---- tables: the groups of a history on file (table.c) ------------------------------------------------- */

typedef struct h5_table {
    const sonde_group *group;
    hid_t step, *variables; /* open datasets */
    hid_t *scales;          /* of the axes that grow; H5I_INVALID_HID for others */
    hid_t *countdowns;      /* of those that have one */
    int64_t *lengths;       /* of the axes on file */
    int64_t written;        /* rows on file */
} h5_table;

sonde_status h5_table_create(h5_table *table, hid_t file, const sonde_group *group);
/* Appends the run after the rows written: longer axes, data, flush, then step, flush. */
sonde_status h5_table_append(h5_table *table, const sonde_record_run *run);
/* Makes a counting axis longer: from + 1 .. to follow. */
sonde_status h5_extend_counting(hid_t scale, int64_t from, int64_t to);
sonde_status h5_count_down(hid_t countdown, int64_t length); /* numbers it anew: length - 1 .. 0 */
void h5_table_close(h5_table *table);
void h5_table_forget(h5_table *table); /* without touching the file */

/* ---- late things (side.c: in memory; side_file.c: on file) ---------------------------------------------- */

typedef struct h5_item { /* a dataset or an attribute to be made; never changed, counted */
    int refs;
    char *path, *attribute; /* attribute NULL: a dataset */
    sonde_h5_value value;
    sonde_h5_value axes;    /* TEXT [ndim], or no data */
} h5_item;

typedef struct h5_column { /* values by row of a group's late column */
    char *group, *name;
    bool is_text;
    int64_t n, capacity;
    int64_t *row;
    double *number;         /* [n] */
    size_t *start;          /* [n] of the text of a row in `bytes`, ended by 0 */
    char *bytes;
    int64_t n_bytes, byte_capacity;
} h5_column;

typedef struct h5_side h5_side;

h5_side *h5_side_new(void); /* NULL: out of memory */
void h5_side_free(h5_side *side);
/* The doors' put, put_attribute (attribute not NULL), clear, late_*: see h5.h. Any thread; never enters HDF5. Checked
 * against the groups of `history` unless it is NULL. */
sonde_status h5_side_put(h5_side *side, const sonde_history *history, const char *path, const char *attribute,
                         const sonde_h5_value *value, const char *const *axes);
void h5_side_clear(h5_side *side, const char *path);
void h5_side_hold(h5_side *side);
void h5_side_release(h5_side *side);
sonde_status h5_side_late(h5_side *side, const sonde_history *history, const char *group, const char *column,
                          int64_t row, double number, const char *text); /* text NULL: a number */
/* The same check for all that was put before the history was known. */
sonde_status h5_side_check(h5_side *side, const sonde_history *history);
bool h5_side_changed(h5_side *side); /* since the last snapshot */

typedef struct h5_snapshot { /* what a side held at one moment: items shared, columns copied */
    h5_item **items;
    h5_column *columns;
    int64_t n_items, n_columns;
} h5_snapshot;
/* `take`: the side forgets the items. */
sonde_status h5_side_snapshot(h5_side *side, bool take, h5_snapshot *out);
void h5_snapshot_free(h5_snapshot *snapshot);

/* Writes everything to `path` as a whole HDF5 file: PATH.new, then renamed. Enters the room itself, item by item. */
sonde_status h5_side_write(h5_side *side, const char *path);
/* Makes what was put so far in an open file, in order, and forgets it (before start: FILE.part). */
sonde_status h5_side_drain(h5_side *side, hid_t file);
/* Makes in `file` what a file written by h5_side_write holds. */
sonde_status h5_side_merge(hid_t file, const char *path);

/* ---- files on disk (place.c); those that look into FILE enter the room by themselves ------------------- */

typedef struct h5_place {
    char file[4096], part[4096], side[4096], tmp[4096];
    int lock; /* descriptor that holds the lock on FILE.part, -1 if none */
} h5_place;

sonde_status h5_place_init(h5_place *place, const char *file); /* names only; EARG: empty, too long, ends in '/' */
bool h5_file_is_history(const char *path); /* a whole file of a run? (file.c) Looks into it */
/* EARG where FILE cannot be replaced: it exists, without force, or is not the file of a run, force or not. Looks into
 * FILE. */
sonde_status h5_check_target(const char *file, bool force);
/* Everything that must hold before FILE.part is made; with `force` a dead FILE.part is removed. Looks into FILE. */
sonde_status h5_place_prepare(h5_place *place, bool force);
void h5_place_clear(const h5_place *place);    /* removes FILE.side and FILE.tmp; the lock must be held */
sonde_status h5_place_lock(h5_place *place);   /* takes the lock on FILE.part; ESTATE if another holds it */
void h5_place_unlock(h5_place *place);
bool h5_is_locked(const char *path); /* by a run of any process, this one too */
sonde_status h5_copy_file(const char *from, const char *to); /* `to` must not exist; nothing of it is left on failure */
sonde_status h5_place_copy(const h5_place *place);    /* FILE.part → a new FILE.tmp */
/* Syncs FILE.tmp, renames it to FILE, syncs the folder, removes the rest. */
sonde_status h5_place_publish(const h5_place *place);
int h5_sync_path(const char *path, int flags); /* as open takes them; -1 with errno set */
sonde_status h5_rename(const char *from, const char *to);
sonde_status h5_check_folder(const char *file); /* EIO: the folder of `file` is missing or not writable */

/* ---- finishing (finish.c) ------------------------------------------------------------------------------ */

/* On the closed FILE.part: copies, completes, publishes. Enters the room itself, as h5_complete does. */
sonde_status h5_finish(const h5_place *place, const sonde_h5_end *end);
/* FILE.tmp: merges FILE.side (NULL: nothing), sets the final attributes. */
sonde_status h5_complete(const h5_place *place, const char *side, const sonde_h5_end *end);

#endif
