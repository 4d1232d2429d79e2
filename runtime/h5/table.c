/* A history's group on file: datasets that grow along `step`, scales on every axis, appended in the order that a
 * kill at any moment leaves whole: data, flush, then step, flush. */
#include "h5/room.h"

#include <math.h>
#include <string.h>

static int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

static hid_t cell_type(sonde_cell type)
{
    switch (type) {
    case SONDE_CELL_F32: return H5T_NATIVE_FLOAT;
    case SONDE_CELL_F64: return H5T_NATIVE_DOUBLE;
    case SONDE_CELL_U32: return H5T_NATIVE_UINT32;
    default: return H5T_NATIVE_INT64;
    }
}

/* ---- how a variable is laid out ------------------------------------------------------------------------ */

/* Only arrays such as histograms are worth it: they shrink 13-fold, noisy float statistics 1.17-fold. */
static bool is_compressed(const sonde_group *group, const sonde_record_variable *v)
{
    return sonde_group_kind_of(group) == SONDE_GROUP_COMPRESSED && v->n_axes >= 2;
}

/* Of an axis that grows: what comes later is written into chunks of the same size, so small ones would be many. */
enum { LEAST_GROWING = 32 };

/* Plain chunks of about 256 KiB, at least 16 rows of statistics: a row more is written in place. A compressed chunk
 * that is written twice moves and leaves its old space behind, so a compressed row has chunks of its own, of at most 50
 * probes: it can be on file at once and is written once. They are no larger so: deflate looks 32 KiB back. */
static void choose_chunk(const sonde_group *group, const sonde_record_variable *v, hsize_t *chunk)
{
    bool compressed = is_compressed(group, v);
    int64_t bytes = (int64_t)sonde_cell_size(v->type);
    for (int d = 0; d < v->n_axes; d++) {
        const sonde_record_axis *axis = sonde_group_axis_at(group, v->axes[d]);
        int64_t most = d > 0 ? 1024 : compressed ? 50 : 16384;
        int64_t length = clamp(axis->length, axis->grows ? LEAST_GROWING : 1, most);
        chunk[d + 1] = (hsize_t)length;
        bytes *= length;
    }
    int64_t rows = clamp((256 << 10) / bytes, v->n_axes < 2 ? 16 : 1, 1024);
    chunk[0] = (hsize_t)(compressed ? 1 : rows);
}

static hid_t creation_list(const sonde_group *group, const sonde_record_variable *v)
{
    static const float no_float = NAN;
    static const double no_double = (double)NAN;
    static const uint32_t no_count = UINT32_MAX;
    static const int64_t no_integer = -1;
    const void *fill = v->type == SONDE_CELL_F32   ? (const void *)&no_float
                       : v->type == SONDE_CELL_F64 ? (const void *)&no_double
                       : v->type == SONDE_CELL_U32 ? (const void *)&no_count
                                                   : (const void *)&no_integer;
    hsize_t chunk[SONDE_RECORD_AXES + 1];
    choose_chunk(group, v, chunk);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list < 0) return list;
    bool ok = H5Pset_chunk(list, v->n_axes + 1, chunk) >= 0 && H5Pset_fill_value(list, cell_type(v->type), fill) >= 0;
    if (is_compressed(group, v)) ok = ok && H5Pset_shuffle(list) >= 0 && H5Pset_deflate(list, 1) >= 0;
    if (ok) return list;
    H5Pclose(list);
    return H5I_INVALID_HID;
}

static hid_t create_variable(hid_t parent, const sonde_group *group, const sonde_record_variable *v)
{
    hsize_t now[SONDE_RECORD_AXES + 1] = { 0 }, most[SONDE_RECORD_AXES + 1] = { H5S_UNLIMITED };
    for (int d = 0; d < v->n_axes; d++) {
        const sonde_record_axis *axis = sonde_group_axis_at(group, v->axes[d]);
        now[d + 1] = most[d + 1] = (hsize_t)axis->length;
        if (axis->grows) most[d + 1] = H5S_UNLIMITED;
    }
    scoped hid_t space = H5Screate_simple(v->n_axes + 1, now, most);
    scoped hid_t create = creation_list(group, v);
    return H5Dcreate2(parent, v->name, cell_type(v->type), space, H5P_DEFAULT, create, H5P_DEFAULT);
}

/* ---- coordinates --------------------------------------------------------------------------------------- */

/* The first coordinate of an axis is its scale; the others hang on it. out: the scale and, where the axis grows, the
 * second, left open. */
static sonde_status create_axis(hid_t parent, const sonde_record_axis *axis, hid_t *scale, hid_t *countdown)
{
    *scale = *countdown = H5I_INVALID_HID;
    for (int i = 0; i < axis->n_coordinates; i++) {
        const sonde_record_coordinate *c = &axis->coordinates[i];
        hsize_t n = (hsize_t)axis->length, most = axis->grows ? H5S_UNLIMITED : n, chunk = 1024;
        scoped hid_t space = H5Screate_simple(1, &n, &most);
        scoped hid_t create = H5Pcreate(H5P_DATASET_CREATE);
        if (axis->grows) H5Pset_chunk(create, 1, &chunk);
        scoped hid_t text = h5_stored_type(SONDE_H5_TEXT);
        hid_t type = c->type == SONDE_CELL_TEXT ? text : cell_type(c->type);
        scoped hid_t dataset = H5Dcreate2(parent, c->name, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
        if (dataset < 0) return h5_fail(SONDE_EIO, "coordinate '%s' cannot be made", c->name);
        sonde_h5_value clean = { 0 };
        if (c->type == SONDE_CELL_TEXT) SONDE_TRY(h5_pack_text(&clean, axis->length, c->values, true));
        const void *values = c->type == SONDE_CELL_TEXT ? clean.data : c->values;
        herr_t done = H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
        sonde_h5_value_free(&clean);
        if (done >= 0) done = i == 0 ? H5DSset_scale(dataset, c->name) : H5DSattach_scale(dataset, *scale, 0);
        if (done < 0) return h5_fail(SONDE_EIO, "coordinate '%s' cannot be written", c->name);
        if (*c->long_name) SONDE_TRY(h5_set_text(dataset, "long_name", c->long_name));
        if (*c->units) SONDE_TRY(h5_set_text(dataset, "units", c->units));
        if (i > 0 && !axis->grows) continue;
        *(i == 0 ? scale : countdown) = dataset;
        dataset = H5I_INVALID_HID;
    }
    return SONDE_OK;
}

static bool add_name(char **list, const char *name)
{
    size_t length = strlen(*list), more = strlen(name);
    char *grown = sonde_realloc(*list, length + more + 2);
    if (!grown) return false;
    if (length) grown[length++] = ' ';
    memcpy(grown + length, name, more + 1);
    *list = grown;
    return true;
}

/* "time epoch layer role": what labels the cells of v besides its axes (a time column has none); of the whole group if
 * v is NULL. Owned; NULL when out of memory. */
static char *coordinates_of(const sonde_group *group, const sonde_record_variable *v)
{
    char *list = sonde_strdup("");
    bool ok = list != NULL;
    for (int i = 0; ok && !(v && v->is_coordinate) && i < sonde_group_n_variables(group); i++) {
        const sonde_record_variable *time = sonde_group_variable_at(group, i);
        if (time->is_coordinate) ok = add_name(&list, time->name);
    }
    int n_axes = v ? v->n_axes : sonde_group_n_axes(group);
    for (int d = 0; ok && d < n_axes; d++) {
        const sonde_record_axis *axis = sonde_group_axis_at(group, v ? v->axes[d] : d);
        for (int c = 1; ok && c < axis->n_coordinates; c++) ok = add_name(&list, axis->coordinates[c].name);
    }
    if (ok) return list;
    sonde_free(list);
    return NULL;
}

/* ---- creating ------------------------------------------------------------------------------------------ */

static sonde_status describe(hid_t object, const sonde_group *group, const sonde_record_variable *v)
{
    char *coordinates = coordinates_of(group, v);
    if (!coordinates) return SONDE_ENOMEM;
    sonde_status status = *coordinates ? h5_set_text(object, "coordinates", coordinates) : SONDE_OK;
    sonde_free(coordinates);
    SONDE_TRY(status);
    if (v && *v->long_name) SONDE_TRY(h5_set_text(object, "long_name", v->long_name));
    if (v && *v->units) SONDE_TRY(h5_set_text(object, "units", v->units));
    return SONDE_OK;
}

/* NeXus: lets H5Web and silx plot the group at once. */
static sonde_status mark_signal(hid_t parent, const sonde_group *group)
{
    const sonde_record_variable *signal = NULL;
    for (int i = 0; i < sonde_group_n_variables(group) && !signal; i++)
        if (!sonde_group_variable_at(group, i)->is_coordinate) signal = sonde_group_variable_at(group, i);
    if (!signal) return SONDE_OK;
    const char *axes[SONDE_RECORD_AXES + 1] = { "step" };
    for (int d = 0; d < signal->n_axes; d++)
        axes[d + 1] = sonde_group_axis_at(group, signal->axes[d])->coordinates[0].name;
    sonde_h5_value list = { .type = SONDE_H5_TEXT, .ndim = 1, .shape = { signal->n_axes + 1 }, .data = axes };
    SONDE_TRY(h5_set_text(parent, "NX_class", "NXdata"));
    SONDE_TRY(h5_set_text(parent, "signal", signal->name));
    return h5_set_attribute(parent, "axes", &list);
}

static sonde_status create_columns(h5_table *table, hid_t parent)
{
    const sonde_group *group = table->group;
    hid_t *scales = table->scales;
    static const sonde_record_variable step = { .name = (char *)(uintptr_t) "step", .type = SONDE_CELL_I64 };
    table->step = create_variable(parent, group, &step);
    if (table->step < 0 || H5DSset_scale(table->step, "step") < 0) return h5_fail(SONDE_EIO, "'step' cannot be made");
    /* In the order a reader should see: step, its other labels, the axes, then the numbers. */
    for (int pass = 0; pass < 2; pass++) {
        for (int a = 0; pass == 1 && a < sonde_group_n_axes(group); a++)
            SONDE_TRY(create_axis(parent, sonde_group_axis_at(group, a), &scales[a], &table->countdowns[a]));
        for (int i = 0; i < sonde_group_n_variables(group); i++) {
            const sonde_record_variable *v = sonde_group_variable_at(group, i);
            if (v->is_coordinate != (pass == 0)) continue;
            hid_t dataset = table->variables[i] = create_variable(parent, group, v);
            if (dataset < 0 || H5DSattach_scale(dataset, table->step, 0) < 0)
                return h5_fail(SONDE_EIO, "'%s' cannot be made", v->name);
            for (int d = 0; d < v->n_axes; d++)
                if (H5DSattach_scale(dataset, scales[v->axes[d]], (unsigned)d + 1) < 0)
                    return h5_fail(SONDE_EIO, "'%s' cannot be made", v->name);
            SONDE_TRY(describe(dataset, group, v));
        }
    }
    return SONDE_OK;
}

static sonde_status allocate(h5_table *table)
{
    int n = sonde_group_n_variables(table->group), n_axes = sonde_group_n_axes(table->group);
    table->variables = sonde_alloc((size_t)(n + 1) * sizeof(hid_t));
    table->scales = sonde_alloc((size_t)(n_axes + 1) * sizeof(hid_t));
    table->countdowns = sonde_alloc((size_t)(n_axes + 1) * sizeof(hid_t));
    table->lengths = sonde_alloc((size_t)(n_axes + 1) * sizeof *table->lengths);
    for (int i = 0; table->variables && i < n; i++) table->variables[i] = H5I_INVALID_HID;
    for (int a = 0; table->scales && a < n_axes; a++) table->scales[a] = H5I_INVALID_HID;
    for (int a = 0; table->countdowns && a < n_axes; a++) table->countdowns[a] = H5I_INVALID_HID;
    if (!table->variables || !table->scales || !table->countdowns || !table->lengths) return SONDE_ENOMEM;
    for (int a = 0; a < n_axes; a++) table->lengths[a] = sonde_group_axis_at(table->group, a)->length;
    return SONDE_OK;
}

/* An id given up is closed, and 0 is none. */
static void let_go(hid_t *id)
{
    h5_close_id(id);
    *id = H5I_INVALID_HID;
}

sonde_status h5_table_create(h5_table *table, hid_t file, const sonde_group *group)
{
    *table = (h5_table){ .group = group, .step = H5I_INVALID_HID };
    sonde_status status = allocate(table);
    if (status == SONDE_OK) {
        scoped hid_t parent = h5_new_group(file, sonde_group_name(group));
        status = parent < 0 ? h5_fail(SONDE_EIO, "the group cannot be made") : create_columns(table, parent);
        if (status == SONDE_OK) status = describe(parent, group, NULL);
        if (status == SONDE_OK) status = mark_signal(parent, group);
    }
    for (int a = 0; table->scales && a < sonde_group_n_axes(group); a++)
        if (!sonde_group_axis_at(group, a)->grows) let_go(&table->scales[a]);
    if (status != SONDE_OK) {
        sonde_fail_within("/%s: ", sonde_group_name(group));
        h5_table_close(table);
    }
    return status;
}

void h5_table_close(h5_table *table)
{
    for (int i = 0; table->variables && i < sonde_group_n_variables(table->group); i++)
        h5_close_id(&table->variables[i]);
    for (int a = 0; table->scales && a < sonde_group_n_axes(table->group); a++) h5_close_id(&table->scales[a]);
    for (int a = 0; table->countdowns && a < sonde_group_n_axes(table->group); a++) h5_close_id(&table->countdowns[a]);
    h5_close_id(&table->step);
    h5_table_forget(table);
}

void h5_table_forget(h5_table *table)
{
    sonde_free(table->variables);
    sonde_free(table->scales);
    sonde_free(table->countdowns);
    sonde_free(table->lengths);
    table->variables = NULL;
    table->scales = NULL;
    table->countdowns = NULL;
    table->lengths = NULL;
    table->step = H5I_INVALID_HID;
}

/* ---- appending ----------------------------------------------------------------------------------------- */

static herr_t write_at(hid_t dataset, hid_t type, int ndim, const hsize_t *start, const hsize_t *count,
                       const void *cells)
{
    scoped hid_t file_space = H5Dget_space(dataset);
    scoped hid_t memory_space = H5Screate_simple(ndim, count, NULL);
    if (file_space < 0 || memory_space < 0) return -1;
    if (H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, count, NULL) < 0) return -1;
    if (H5Dwrite(dataset, type, memory_space, file_space, H5P_DEFAULT, cells) < 0) return -1;
    return H5Dflush(dataset);
}

sonde_status h5_extend_counting(hid_t scale, int64_t from, int64_t to)
{
    hsize_t extent = (hsize_t)to, start = (hsize_t)from, count = (hsize_t)(to - from);
    int64_t *numbers = sonde_alloc((size_t)(to - from) * sizeof *numbers);
    if (!numbers) return SONDE_ENOMEM;
    for (int64_t i = from; i < to; i++) numbers[i - from] = i + 1;
    bool ok = H5Dset_extent(scale, &extent) >= 0 &&
              write_at(scale, H5T_NATIVE_INT64, 1, &start, &count, numbers) >= 0;
    sonde_free(numbers);
    return ok ? SONDE_OK : h5_fail(SONDE_EIO, "an axis cannot be extended");
}

sonde_status h5_count_down(hid_t countdown, int64_t length)
{
    hsize_t extent = (hsize_t)length, start = 0;
    int64_t *numbers = sonde_alloc((size_t)length * sizeof *numbers);
    if (!numbers) return SONDE_ENOMEM;
    for (int64_t i = 0; i < length; i++) numbers[i] = length - 1 - i;
    bool ok = H5Dset_extent(countdown, &extent) >= 0 &&
              write_at(countdown, H5T_NATIVE_INT64, 1, &start, &extent, numbers) >= 0;
    sonde_free(numbers);
    return ok ? SONDE_OK : h5_fail(SONDE_EIO, "an axis cannot be numbered");
}

/* Axes grow before what lies along them, so that a reader finds a number for every cell. */
static sonde_status extend_axes(h5_table *table, const sonde_record_run *run)
{
    for (int a = 0; a < sonde_group_n_axes(table->group); a++) {
        int64_t length = sonde_group_run_length(run, a);
        if (length <= table->lengths[a]) continue;
        SONDE_TRY(h5_extend_counting(table->scales[a], table->lengths[a], length));
        if (table->countdowns[a] >= 0) SONDE_TRY(h5_count_down(table->countdowns[a], length));
        table->lengths[a] = length;
    }
    return SONDE_OK;
}

/* v NULL: step. What a shorter row leaves of a longer axis keeps the fill value. */
static herr_t append(const h5_table *table, hid_t dataset, const sonde_record_variable *v, const sonde_record_run *run,
                     const void *cells)
{
    int ndim = v ? v->n_axes + 1 : 1;
    hsize_t extent[SONDE_RECORD_AXES + 1], start[SONDE_RECORD_AXES + 1] = { (hsize_t)table->written };
    hsize_t count[SONDE_RECORD_AXES + 1] = { (hsize_t)run->n };
    for (int d = 1; d < ndim; d++) {
        extent[d] = (hsize_t)table->lengths[v->axes[d - 1]];
        count[d] = (hsize_t)sonde_group_run_length(run, v->axes[d - 1]);
    }
    extent[0] = (hsize_t)(table->written + run->n);
    if (H5Dset_extent(dataset, extent) < 0) return -1;
    return write_at(dataset, v ? cell_type(v->type) : H5T_NATIVE_INT64, ndim, start, count, cells);
}

sonde_status h5_table_append(h5_table *table, const sonde_record_run *run)
{
    const sonde_group *group = table->group;
    sonde_status status = extend_axes(table, run);
    if (status != SONDE_OK) {
        sonde_fail_within("/%s: ", sonde_group_name(group));
        return status;
    }
    for (int i = 0; i < sonde_group_n_variables(group); i++) {
        const sonde_record_variable *v = sonde_group_variable_at(group, i);
        if (append(table, table->variables[i], v, run, sonde_group_run_cells(group, run, i)) < 0)
            return h5_fail(SONDE_EIO, "writing /%s/%s failed", sonde_group_name(group), v->name);
    }
    if (append(table, table->step, NULL, run, run->step) < 0)
        return h5_fail(SONDE_EIO, "writing /%s/step failed", sonde_group_name(group));
    table->written += run->n;
    return SONDE_OK;
}
