/* Late things on file: FILE.side, and making what it holds in a run file.
 *
 * FILE.side is flat, so that nothing in it can clash:
 *     /items/000000 …    a dataset with the value; attributes path, attribute (of an attribute), axes
 *     /columns/000000 …  a group with row int64[n] and value [n]; attributes group, name                       */
#include "h5/room.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char side_format[] = "sonde-side";

/* ---- writing ------------------------------------------------------------------------------------------- */

/* No scales here: they are made where the value ends up. */
static sonde_status write_item(hid_t file, int64_t number, const h5_item *item)
{
    char name[24];
    snprintf(name, sizeof name, "%06lld", (long long)number);
    scoped hid_t items = h5_ensure_group(file, "/items");
    scoped hid_t dataset = H5I_INVALID_HID;
    SONDE_TRY(h5_new_dataset(items, name, &item->value, false, &dataset));
    SONDE_TRY(h5_set_text(dataset, "path", item->path));
    if (item->attribute) SONDE_TRY(h5_set_text(dataset, "attribute", item->attribute));
    if (item->axes.data) SONDE_TRY(h5_set_attribute(dataset, "axes", &item->axes));
    return SONDE_OK;
}

static sonde_status write_column_data(hid_t group, const h5_column *c, const char **text)
{
    sonde_h5_value row = { .type = SONDE_H5_I64, .ndim = 1, .shape = { c->n }, .data = c->row };
    sonde_h5_value value = { .type = SONDE_H5_F64, .ndim = 1, .shape = { c->n }, .data = c->number };
    if (c->is_text) {
        for (int64_t i = 0; i < c->n; i++) text[i] = c->bytes + c->start[i];
        value.type = SONDE_H5_TEXT;
        value.data = text;
    }
    scoped hid_t row_set = H5I_INVALID_HID;
    scoped hid_t value_set = H5I_INVALID_HID;
    SONDE_TRY(h5_new_dataset(group, "row", &row, false, &row_set));
    return h5_new_dataset(group, "value", &value, false, &value_set);
}

static sonde_status write_column(hid_t file, int64_t number, const h5_column *c)
{
    char path[32];
    snprintf(path, sizeof path, "/columns/%06lld", (long long)number);
    scoped hid_t group = h5_ensure_group(file, path);
    if (group < 0) return h5_fail(SONDE_EIO, "group '%s' cannot be made", path);
    SONDE_TRY(h5_set_text(group, "group", c->group));
    SONDE_TRY(h5_set_text(group, "name", c->name));
    const char **text = c->is_text ? sonde_alloc((size_t)c->n * sizeof *text + 1) : NULL;
    if (c->is_text && !text) return SONDE_ENOMEM;
    sonde_status status = write_column_data(group, c, text);
    sonde_free(text);
    return status;
}

static sonde_status create_side(const char *path, hid_t *out)
{
    scoped hid_t access = h5_file_access(H5F_LIBVER_V18);
    *out = H5Fcreate(path, H5F_ACC_EXCL, H5P_DEFAULT, access);
    if (*out < 0) return h5_fail(SONDE_EIO, "'%s' cannot be made", path);
    scoped hid_t root = H5Gopen2(*out, "/", H5P_DEFAULT);
    return h5_set_text(root, "format", side_format);
}

static sonde_status write_snapshot(const h5_snapshot *snapshot, const char *path)
{
    hid_t file = H5I_INVALID_HID;
    h5_enter();
    sonde_status status = create_side(path, &file);
    h5_leave();
    for (int64_t i = 0; i < snapshot->n_items && status == SONDE_OK; i++) {
        h5_enter();
        status = write_item(file, i, snapshot->items[i]);
        h5_leave();
    }
    for (int64_t i = 0; i < snapshot->n_columns && status == SONDE_OK; i++) {
        h5_enter();
        status = write_column(file, i, &snapshot->columns[i]);
        h5_leave();
    }
    h5_enter();
    if (file >= 0 && H5Fclose(file) < 0 && status == SONDE_OK) status = h5_fail(SONDE_EIO, "closing '%s' failed", path);
    h5_leave();
    return status;
}

sonde_status h5_side_write(h5_side *side, const char *path)
{
    char new_path[4200];
    snprintf(new_path, sizeof new_path, "%s.new", path);
    h5_snapshot snapshot;
    SONDE_TRY(h5_side_snapshot(side, false, &snapshot));
    unlink(new_path);
    sonde_status status = write_snapshot(&snapshot, new_path);
    h5_snapshot_free(&snapshot);
    if (status == SONDE_OK) status = h5_rename(new_path, path);
    if (status != SONDE_OK) unlink(new_path);
    return status;
}

/* ---- making things in a run file ----------------------------------------------------------------------- */

static sonde_status make_item(hid_t file, const char *path, const char *attribute, const sonde_h5_value *value,
                              const sonde_h5_value *axes)
{
    if (attribute) return h5_put_attribute(file, path, attribute, value);
    return h5_put(file, path, value, axes->data, H5_REPLACE);
}

sonde_status h5_side_drain(h5_side *side, hid_t file)
{
    h5_snapshot snapshot;
    SONDE_TRY(h5_side_snapshot(side, true, &snapshot));
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; i < snapshot.n_items && status == SONDE_OK; i++) {
        const h5_item *item = snapshot.items[i];
        status = make_item(file, item->path, item->attribute, &item->value, &item->axes);
    }
    h5_snapshot_free(&snapshot);
    return status;
}

/* A scalar text attribute, "" if there is none: the value keeps the text alive. */
static const char *text_attribute(hid_t object, const char *name, sonde_h5_value *value)
{
    *value = (sonde_h5_value){ 0 };
    if (h5_read_attribute(object, name, "FILE.side", value) != SONDE_OK) return "";
    bool usable = value->type == SONDE_H5_TEXT && sonde_h5_value_count(value) == 1;
    return usable ? ((char **)value->data)[0] : "";
}

static sonde_status merge_item(hid_t file, hid_t dataset)
{
    sonde_h5_value path_value, attribute_value, value = { 0 }, axes = { 0 };
    const char *path = text_attribute(dataset, "path", &path_value);
    const char *attribute = text_attribute(dataset, "attribute", &attribute_value);
    sonde_status status = h5_read_dataset(dataset, "FILE.side", SONDE_H5_NATURAL, NULL, &value);
    if (status == SONDE_OK && H5Aexists(dataset, "axes") > 0) {
        status = h5_read_attribute(dataset, "axes", "FILE.side", &axes);
        if (status == SONDE_OK && (axes.type != SONDE_H5_TEXT || sonde_h5_value_count(&axes) != value.ndim))
            status = sonde_fail(SONDE_EFORMAT, "'%s': its axes are damaged", path);
    }
    if (status == SONDE_OK) status = make_item(file, path, *attribute ? attribute : NULL, &value, &axes);
    sonde_h5_value_free(&path_value);
    sonde_h5_value_free(&attribute_value);
    sonde_h5_value_free(&value);
    sonde_h5_value_free(&axes);
    return status;
}

/* The names in the group's `coordinates` that label its rows, for a late column; "" if none. */
static void row_labels(hid_t group, char *out, size_t size)
{
    *out = '\0';
    sonde_h5_value value;
    const char *names = text_attribute(group, "coordinates", &value);
    for (const char *at = names; *at;) {
        size_t length = strcspn(at, " ");
        char name[1024];
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        at += length + strspn(at + length, " ");
        scoped hid_t dataset = H5Dopen2(group, name, H5P_DEFAULT);
        scoped hid_t space = dataset < 0 ? dataset : H5Dget_space(dataset);
        hsize_t now[SONDE_H5_DIMS], most[SONDE_H5_DIMS];
        if (space < 0 || H5Sget_simple_extent_ndims(space) != 1) continue;
        H5Sget_simple_extent_dims(space, now, most);
        size_t used = strlen(out);
        if (most[0] == H5S_UNLIMITED) snprintf(out + used, size - used, "%s%s", used ? " " : "", name);
    }
    sonde_h5_value_free(&value);
}

/* A column [rows] beside `step`, growing like its siblings. */
static sonde_status make_column(hid_t group, const char *name, hsize_t rows, sonde_h5_type type, const void *data)
{
    const hsize_t unlimited = H5S_UNLIMITED, chunk = 1024;
    const double no_number = (double)NAN;
    scoped hid_t stored = h5_stored_type(type);
    scoped hid_t space = H5Screate_simple(1, &rows, &unlimited);
    scoped hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list < 0 || H5Pset_chunk(list, 1, &chunk) < 0) return h5_fail(SONDE_EIO, "'%s' cannot be made", name);
    if (type == SONDE_H5_F64) H5Pset_fill_value(list, stored, &no_number);
    scoped hid_t step = H5Dopen2(group, "step", H5P_DEFAULT);
    scoped hid_t dataset = H5Dcreate2(group, name, stored, space, H5P_DEFAULT, list, H5P_DEFAULT);
    if (dataset < 0 || H5DSattach_scale(dataset, step, 0) < 0) return h5_fail(SONDE_EIO, "'%s' cannot be made", name);
    char labels[2048];
    row_labels(group, labels, sizeof labels);
    if (*labels) SONDE_TRY(h5_set_text(dataset, "coordinates", labels));
    if (rows > 0 && H5Dwrite(dataset, stored, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        return h5_fail(SONDE_EIO, "'%s' cannot be written", name);
    return SONDE_OK;
}

/* The values spread over all rows; later ones win; rows beyond the end (lost in a kill) are left out. */
static sonde_status spread_column(hid_t group, const char *name, const sonde_h5_value *row, const sonde_h5_value *value)
{
    scoped hid_t step = H5Dopen2(group, "step", H5P_DEFAULT);
    scoped hid_t space = step < 0 ? step : H5Dget_space(step);
    hsize_t rows = 0;
    if (space < 0 || H5Sget_simple_extent_ndims(space) != 1) return h5_fail(SONDE_EFORMAT, "'step' is damaged");
    H5Sget_simple_extent_dims(space, &rows, NULL);
    bool is_text = value->type == SONDE_H5_TEXT;
    if (rows > SIZE_MAX / 16) return sonde_fail(SONDE_EFORMAT, "'step' is damaged");
    double *number = is_text ? NULL : sonde_alloc(rows * sizeof *number + 1);
    const char **text = is_text ? sonde_alloc_zeroed(rows * sizeof *text + 1) : NULL;
    if (!number && !text) return SONDE_ENOMEM;
    for (hsize_t i = 0; number && i < rows; i++) number[i] = (double)NAN;
    for (int64_t i = 0; i < row->shape[0]; i++) {
        int64_t at = ((const int64_t *)row->data)[i];
        if (at < 0 || at >= (int64_t)rows) continue;
        if (number) number[at] = ((const double *)value->data)[i];
        if (text) text[at] = ((const char *const *)value->data)[i];
    }
    sonde_status status = SONDE_OK;
    sonde_h5_value clean = { 0 };
    if (text) status = h5_pack_text(&clean, (int64_t)rows, text, true);
    const void *data = text ? clean.data : (void *)number;
    if (status == SONDE_OK) status = make_column(group, name, rows, value->type, data);
    sonde_h5_value_free(&clean);
    sonde_free(number);
    sonde_free(text);
    return status;
}

static sonde_status merge_column(hid_t file, hid_t source)
{
    sonde_h5_value group_value, name_value, row = { 0 }, value = { 0 };
    const char *group_name = text_attribute(source, "group", &group_value);
    const char *name = text_attribute(source, "name", &name_value);
    scoped hid_t row_set = H5Dopen2(source, "row", H5P_DEFAULT);
    scoped hid_t value_set = H5Dopen2(source, "value", H5P_DEFAULT);
    scoped hid_t group = *group_name ? H5Gopen2(file, group_name, H5P_DEFAULT) : H5I_INVALID_HID;
    sonde_status status = SONDE_OK;
    if (row_set < 0 || value_set < 0 || group < 0)
        status = h5_fail(SONDE_EFORMAT, "late column '/%s/%s' is damaged", group_name, name);
    if (status == SONDE_OK) status = h5_read_dataset(row_set, "FILE.side", SONDE_H5_I64, NULL, &row);
    if (status == SONDE_OK) status = h5_read_dataset(value_set, "FILE.side", SONDE_H5_NATURAL, NULL, &value);
    if (status == SONDE_OK && (row.ndim != 1 || value.ndim != 1 || row.shape[0] != value.shape[0] ||
                               (value.type != SONDE_H5_F64 && value.type != SONDE_H5_TEXT)))
        status = sonde_fail(SONDE_EFORMAT, "late column '/%s/%s' is damaged", group_name, name);
    if (status == SONDE_OK) status = spread_column(group, name, &row, &value);
    sonde_h5_value_free(&group_value);
    sonde_h5_value_free(&name_value);
    sonde_h5_value_free(&row);
    sonde_h5_value_free(&value);
    return status;
}

static sonde_status merge_all(hid_t file, hid_t side, const char *list, sonde_status (*merge)(hid_t, hid_t))
{
    if (h5_kind(side, list) == SONDE_H5_NOTHING) return SONDE_OK;
    scoped hid_t group = H5Gopen2(side, list, H5P_DEFAULT);
    sonde_h5_value names;
    SONDE_TRY(h5_names(group, &names));
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; i < names.shape[0] && status == SONDE_OK; i++) {
        const char *name = ((char **)names.data)[i];
        scoped hid_t object = H5Oopen(group, name, H5P_DEFAULT);
        status = object < 0 ? h5_fail(SONDE_EFORMAT, "'%s/%s' is damaged", list, name) : merge(file, object);
    }
    sonde_h5_value_free(&names);
    return status;
}

sonde_status h5_side_merge(hid_t file, const char *path)
{
    scoped hid_t access = h5_file_access(H5F_LIBVER_V18);
    scoped hid_t side = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (side < 0) return h5_fail(SONDE_EFORMAT, "'%s' cannot be opened", path);
    scoped hid_t root = H5Gopen2(side, "/", H5P_DEFAULT);
    sonde_h5_value format;
    bool ours = !strcmp(text_attribute(root, "format", &format), side_format);
    sonde_h5_value_free(&format);
    if (!ours) return sonde_fail(SONDE_EFORMAT, "'%s' holds nothing of a sonde run", path);
    sonde_status status = merge_all(file, side, "/items", merge_item);
    if (status == SONDE_OK) status = merge_all(file, side, "/columns", merge_column);
    if (status != SONDE_OK) sonde_fail_within("merging '%s': ", path);
    return status;
}
