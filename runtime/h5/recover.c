/* A killed run's FILE.part made whole. All work is done on a copy: trying again is always possible. */
#include "h5/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- trimming ------------------------------------------------------------------------------------------ */

/* Does it number an axis other than the rows, from its end? */
static bool is_countdown(hid_t dataset)
{
    char path[256] = "";
    scoped hid_t scale = h5_first_scale(dataset, 0);
    if (scale < 0 || H5Iget_name(scale, path, sizeof path) <= 0) return false;
    const char *name = strrchr(path, '/');
    return strcmp(name ? name + 1 : path, "step") != 0;
}

/* Opens a dataset that grows along its first axis, the rows: its shape. < 0 for any other, and for the numbers of
 * another axis that grows. */
static hid_t open_growing(hid_t group, const char *name, int *ndim, hsize_t *shape)
{
    if (h5_kind(group, name) != SONDE_H5_DATASET) return H5I_INVALID_HID;
    hsize_t most[SONDE_H5_DIMS];
    scoped hid_t dataset = H5Dopen2(group, name, H5P_DEFAULT);
    scoped hid_t space = dataset < 0 ? dataset : H5Dget_space(dataset);
    if (space < 0 || (*ndim = H5Sget_simple_extent_ndims(space)) < 1 || *ndim > SONDE_H5_DIMS) return H5I_INVALID_HID;
    H5Sget_simple_extent_dims(space, shape, most);
    if (most[0] != H5S_UNLIMITED) return H5I_INVALID_HID;
    if (strcmp(name, "step") && (H5DSis_scale(dataset) > 0 || (*ndim == 1 && is_countdown(dataset))))
        return H5I_INVALID_HID;
    hid_t found = dataset;
    dataset = H5I_INVALID_HID;
    return found;
}

/* Reads rows first … first + n - 1 into data, as they are stored. */
static herr_t read_rows(hid_t dataset, hid_t type, int ndim, const hsize_t *shape, hsize_t first, hsize_t n, void *data)
{
    hsize_t start[SONDE_H5_DIMS] = { first }, count[SONDE_H5_DIMS] = { n };
    for (int d = 1; d < ndim; d++) count[d] = shape[d];
    scoped hid_t from = H5Dget_space(dataset);
    scoped hid_t to = H5Screate_simple(ndim, count, NULL);
    if (from < 0 || to < 0 || H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, count, NULL) < 0) return -1;
    return H5Dread(dataset, type, to, from, H5P_DEFAULT, data);
}

/* How many of the rows can be read: reads them all, chunk by chunk, up to one that is missing or broken; `is_step`: up
 * to a step that was lost. */
static sonde_status readable_rows(hid_t dataset, int ndim, const hsize_t *shape, bool is_step, hsize_t *out)
{
    scoped hid_t plist = H5Dget_create_plist(dataset);
    scoped hid_t type = H5Dget_type(dataset);
    hsize_t chunk[SONDE_H5_DIMS] = { 0 }, size = 0, origin[SONDE_H5_DIMS] = { 0 };
    size_t bytes = H5Tget_size(type);
    bool whole = H5Pget_chunk(plist, SONDE_H5_DIMS, chunk) == ndim && chunk[0] > 0 &&
                 sonde_size_mul(bytes, chunk[0], &bytes);
    for (int d = 1; whole && d < ndim; d++) whole = sonde_size_mul(bytes, shape[d], &bytes);
    if (!whole || (is_step && (H5Tget_size(type) != 8 || ndim != 1)))
        return h5_fail(SONDE_EFORMAT, "its layout is damaged");
    int64_t *data = sonde_alloc(bytes);
    if (!data) return SONDE_ENOMEM;
    hsize_t rows = 0;
    for (bool good = true; good && rows < shape[0];) {
        hsize_t n = shape[0] - rows < chunk[0] ? shape[0] - rows : chunk[0];
        origin[0] = rows;
        good = H5Dget_chunk_storage_size(dataset, origin, &size) >= 0 && size > 0 &&
               read_rows(dataset, type, ndim, shape, rows, n, data) >= 0;
        hsize_t usable = good ? n : 0;
        for (hsize_t i = 0; is_step && good && i < n; i++)
            if (data[i] < 0) usable = i, good = false;
        rows += usable;
    }
    h5_forget_reason();
    sonde_free(data);
    *out = rows;
    return SONDE_OK;
}

typedef struct trimmed {
    int64_t rows, dropped, last_step; /* of the group or file seen so far: most rows, most dropped, highest step */
    double seconds;                   /* highest time */
} trimmed;

/* The last row's step and time, for the final attributes. */
static void look_at_end(hid_t group, hsize_t rows, trimmed *sum)
{
    int ndim;
    hsize_t shape[SONDE_H5_DIMS];
    int64_t step;
    double seconds;
    if (rows == 0) return;
    scoped hid_t steps = open_growing(group, "step", &ndim, shape);
    if (steps >= 0 && ndim == 1 && read_rows(steps, H5T_NATIVE_INT64, 1, shape, rows - 1, 1, &step) >= 0 &&
        step > sum->last_step)
        sum->last_step = step;
    scoped hid_t times = open_growing(group, "time", &ndim, shape);
    if (times >= 0 && ndim == 1 && read_rows(times, H5T_NATIVE_DOUBLE, 1, shape, rows - 1, 1, &seconds) >= 0 &&
        seconds > sum->seconds)
        sum->seconds = seconds;
}

/* Cuts every growing dataset of a group to the rows that all of them have. */
static sonde_status trim_group(hid_t group, const sonde_h5_value *names, trimmed *sum)
{
    hsize_t keep = HSIZE_UNDEF, longest = 0, shape[SONDE_H5_DIMS];
    int ndim;
    for (int64_t i = 0; i < names->shape[0]; i++) {
        const char *name = ((char **)names->data)[i];
        scoped hid_t dataset = open_growing(group, name, &ndim, shape);
        if (dataset < 0) continue;
        hsize_t rows = 0;
        sonde_status status = readable_rows(dataset, ndim, shape, !strcmp(name, "step"), &rows);
        if (status != SONDE_OK) {
            sonde_fail_within("'%s': ", name);
            return status;
        }
        if (rows < keep) keep = rows;
        if (shape[0] > longest) longest = shape[0];
    }
    if (keep == HSIZE_UNDEF) return SONDE_OK;
    for (int64_t i = 0; i < names->shape[0]; i++) {
        scoped hid_t dataset = open_growing(group, ((char **)names->data)[i], &ndim, shape);
        if (dataset < 0 || shape[0] == keep) continue;
        shape[0] = keep;
        if (H5Dset_extent(dataset, shape) < 0)
            return h5_fail(SONDE_EFORMAT, "it is too damaged, rows that are not whole cannot be cut off");
    }
    if ((int64_t)keep > sum->rows) sum->rows = (int64_t)keep;
    if ((int64_t)(longest - keep) > sum->dropped) sum->dropped = (int64_t)(longest - keep);
    look_at_end(group, keep, sum);
    return SONDE_OK;
}

/* A further axis that grows: its numbers come before the cells along it, but not all cells at once. Makes the axis as
 * long as its longest variable, or the variable as long as the axis. */
static sonde_status even_out(hid_t dataset, int ndim, hsize_t *shape)
{
    hsize_t most[SONDE_H5_DIMS], now[SONDE_H5_DIMS];
    scoped hid_t space = H5Dget_space(dataset);
    bool shorter = false;
    if (space < 0 || H5Sget_simple_extent_dims(space, now, most) < 0) return h5_fail(SONDE_EFORMAT, "it has no shape");
    for (int d = 1; d < ndim; d++) {
        if (most[d] != H5S_UNLIMITED) continue;
        hsize_t length = 0;
        scoped hid_t scale = h5_first_scale(dataset, d);
        scoped hid_t extent = scale < 0 ? scale : H5Dget_space(scale);
        if (extent < 0 || H5Sget_simple_extent_ndims(extent) != 1) return h5_fail(SONDE_EFORMAT, "an axis is damaged");
        H5Sget_simple_extent_dims(extent, &length, NULL);
        if (length < now[d]) SONDE_TRY(h5_extend_counting(scale, 0, (int64_t)now[d]));
        shorter |= length > now[d];
        shape[d] = length > now[d] ? length : now[d];
    }
    if (shorter && H5Dset_extent(dataset, shape) < 0) return h5_fail(SONDE_EFORMAT, "an axis is damaged");
    return SONDE_OK;
}

/* What counts an axis that grows from its end, as long as the axis is now. */
static sonde_status number_again(hid_t dataset)
{
    hsize_t now = 0, most = 0, length = 0;
    scoped hid_t space = dataset < 0 ? dataset : H5Dget_space(dataset);
    if (space < 0 || H5Sget_simple_extent_ndims(space) != 1 || H5DSis_scale(dataset) > 0) return SONDE_OK;
    H5Sget_simple_extent_dims(space, &now, &most);
    if (most != H5S_UNLIMITED || !is_countdown(dataset)) return SONDE_OK;
    scoped hid_t scale = h5_first_scale(dataset, 0);
    scoped hid_t extent = scale < 0 ? scale : H5Dget_space(scale);
    if (extent < 0 || H5Sget_simple_extent_dims(extent, &length, NULL) != 1 || length == 0)
        return h5_fail(SONDE_EFORMAT, "an axis is damaged");
    if (h5_count_down(dataset, (int64_t)length) != SONDE_OK) return h5_fail(SONDE_EFORMAT, "an axis is damaged");
    return SONDE_OK;
}

/* Twice, for a variable may have made an axis longer after another one was seen. */
static sonde_status even_out_group(hid_t group, const sonde_h5_value *names)
{
    hsize_t shape[SONDE_H5_DIMS];
    int ndim;
    for (int64_t i = 0; i < 2 * names->shape[0]; i++) {
        scoped hid_t dataset = open_growing(group, ((char **)names->data)[i % names->shape[0]], &ndim, shape);
        if (dataset >= 0 && ndim > 1) SONDE_TRY(even_out(dataset, ndim, shape));
    }
    for (int64_t i = 0; i < names->shape[0]; i++) {
        const char *name = ((char **)names->data)[i];
        if (h5_kind(group, name) != SONDE_H5_DATASET) continue;
        scoped hid_t dataset = H5Dopen2(group, name, H5P_DEFAULT);
        SONDE_TRY(number_again(dataset));
    }
    return SONDE_OK;
}

static sonde_status trim_groups(hid_t root, const sonde_h5_value *names, trimmed *sum)
{
    for (int64_t i = 0; i < names->shape[0]; i++) {
        const char *name = ((char **)names->data)[i];
        if (h5_kind(root, name) != SONDE_H5_GROUP) continue;
        scoped hid_t group = H5Gopen2(root, name, H5P_DEFAULT);
        sonde_h5_value members;
        sonde_status status = h5_names(group, &members);
        if (status != SONDE_OK) return status;
        if (H5Lexists(group, "step", H5P_DEFAULT) > 0) status = trim_group(group, &members, sum);
        if (status == SONDE_OK) status = even_out_group(group, &members);
        sonde_h5_value_free(&members);
        if (status != SONDE_OK) {
            sonde_fail_within("/%s: ", name);
            return status;
        }
    }
    return SONDE_OK;
}

static sonde_status trim_file(const char *path, trimmed *sum)
{
    scoped hid_t access = h5_file_access(H5F_LIBVER_V110);
    scoped hid_t file = H5Fopen(path, H5F_ACC_RDWR, access);
    if (file < 0) return h5_fail(SONDE_EFORMAT, "it is damaged beyond recovery");
    scoped hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
    sonde_h5_value names;
    if (!h5_is_history(root)) return sonde_fail(SONDE_EFORMAT, "it is not the file of a sonde run");
    SONDE_TRY(h5_names(root, &names));
    sonde_status status = trim_groups(root, &names, sum);
    sonde_h5_value_free(&names);
    SONDE_TRY(status);
    if (sum->rows == 0)
        return sonde_fail(SONDE_EFORMAT, "the run was killed before its first rows were written; there is nothing to "
                                         "recover, it can be deleted");
    return H5Fflush(file, H5F_SCOPE_LOCAL) < 0 ? h5_fail(SONDE_EIO, "it cannot be written") : SONDE_OK;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

static sonde_status check_part(h5_place *place, const char *part, bool force)
{
    size_t length = strlen(part);
    if (length <= 5 || strcmp(part + length - 5, ".part"))
        return sonde_fail(SONDE_EARG, "'%s': a killed run's file is named FILE.part", part);
    char file[4096];
    snprintf(file, sizeof file, "%.*s", (int)(length - 5), part);
    SONDE_TRY(h5_place_init(place, length - 5 < sizeof file ? file : part));
    struct stat info;
    if (stat(part, &info)) return sonde_fail(SONDE_EIO, "'%s': %s", part, strerror(errno));
    if (!S_ISREG(info.st_mode)) return sonde_fail(SONDE_EFORMAT, "'%s' is not a file", part);
    SONDE_TRY(h5_check_target(place->file, force));
    return h5_check_folder(place->file);
}

/* Could reading it crash HDF5? The marks are cleared already. */
static sonde_status try_file(const char *path)
{
    scoped hid_t access = h5_file_access(H5F_LIBVER_V110);
    scoped hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    return file < 0 ? h5_fail(SONDE_EFORMAT, "it cannot be opened") : h5_try(file, "it");
}

static sonde_status mend(const h5_place *place, trimmed *sum)
{
    SONDE_TRY(h5_place_copy(place));
    h5_enter();
    sonde_status status = h5_revive(place->tmp);
    if (status == SONDE_OK) status = try_file(place->tmp);
    if (status == SONDE_OK) status = trim_file(place->tmp, sum);
    h5_leave();
    return status;
}

/* Completes FILE.tmp with FILE.side, or without it if it is damaged: then it is kept under another name. */
static sonde_status complete(const h5_place *place, trimmed *sum, bool *side_lost)
{
    sonde_h5_end end = { .status = "recovered", .n_steps = sum->last_step, .wall_seconds = sum->seconds };
    if (access(place->side, F_OK)) return h5_complete(place, NULL, &end);
    h5_enter();
    sonde_status status = try_file(place->side);
    h5_leave();
    if (status == SONDE_OK) {
        status = h5_complete(place, place->side, &end);
        if (status != SONDE_EFORMAT && status != SONDE_EARG) return status;
        SONDE_TRY(mend(place, sum)); /* half of it is in FILE.tmp */
    }
    char damaged[4200];
    snprintf(damaged, sizeof damaged, "%s.damaged", place->side);
    SONDE_TRY(h5_complete(place, NULL, &end));
    *side_lost = true;
    return h5_rename(place->side, damaged);
}

static sonde_status recover(const h5_place *place, sonde_h5_recovered *out)
{
    trimmed sum = { 0 };
    SONDE_TRY(mend(place, &sum));
    SONDE_TRY(complete(place, &sum, &out->side_lost));
    snprintf(out->path, sizeof out->path, "%s", place->file);
    out->n_steps = sum.last_step;
    out->rows_dropped = sum.dropped;
    return h5_place_publish(place);
}

sonde_status sonde_h5_recover(const char *part_path, bool force, sonde_h5_recovered *out)
{
    h5_place place;
    *out = (sonde_h5_recovered){ 0 };
    SONDE_TRY(check_part(&place, part_path, force));
    SONDE_TRY(h5_place_lock(&place));
    sonde_status status = recover(&place, out);
    if (status != SONDE_OK) {
        unlink(place.tmp);
        sonde_fail_within("'%s' cannot be recovered: ", place.part);
    }
    h5_place_unlock(&place);
    return status;
}
