/* Groups, datasets with their dimension scales, and attributes, by path. */
#include "h5/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- paths and groups ---------------------------------------------------------------------------------- */

sonde_status h5_check_path(const char *path)
{
    if (!path || path[0] != '/')
        return sonde_fail(SONDE_EARG, "'%s': a path in a file starts with '/'", path ? path : "");
    if (strlen(path) > 1000) return sonde_fail(SONDE_EARG, "'%.40s…': the path is too long", path);
    for (const char *part = path + 1; *part;) {
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && !strncmp(part, "..", 2)) ||
            (part[length] == '/' && !part[length + 1]))
            return sonde_fail(SONDE_EARG, "'%s': a path cannot hold an empty part, '.' or '..'", path);
        part += length + (part[length] == '/');
    }
    return SONDE_OK;
}

sonde_h5_kind h5_kind(hid_t file, const char *path)
{
    scoped hid_t object = H5Oopen(file, path, H5P_DEFAULT);
    H5I_type_t type = object < 0 ? H5I_BADID : H5Iget_type(object);
    h5_forget_reason();
    return type == H5I_GROUP ? SONDE_H5_GROUP : type == H5I_DATASET ? SONDE_H5_DATASET : SONDE_H5_NOTHING;
}

hid_t h5_new_group(hid_t parent, const char *name)
{
    scoped hid_t plist = H5Pcreate(H5P_GROUP_CREATE);
    if (plist < 0 || H5Pset_link_creation_order(plist, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) < 0)
        return H5I_INVALID_HID;
    return H5Gcreate2(parent, name, H5P_DEFAULT, plist, H5P_DEFAULT);
}

hid_t h5_ensure_group(hid_t file, const char *path)
{
    hid_t group = H5Gopen2(file, "/", H5P_DEFAULT);
    char name[1024];
    for (const char *part = path + strspn(path, "/"); *part && group >= 0;) {
        size_t length = strcspn(part, "/");
        snprintf(name, sizeof name, "%.*s", (int)length, part);
        htri_t exists = H5Lexists(group, name, H5P_DEFAULT);
        hid_t child = exists > 0 ? H5Gopen2(group, name, H5P_DEFAULT) : h5_new_group(group, name);
        H5Gclose(group);
        group = child;
        part += length + strspn(part + length, "/");
    }
    return group;
}

/* A list of names as HDF5 tells them: in its native order, since for any other it makes a table, of which it frees more
 * than it filled where a file is damaged. */
typedef struct named {
    char *name;
    int64_t order; /* of creation; 0 where it is not known */
} named;

typedef struct name_list {
    named *item;
    size_t n, capacity;
} name_list;

static herr_t collect(name_list *list, const char *name, int64_t order)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 32;
        named *grown = sonde_realloc(list->item, capacity * sizeof *grown);
        if (!grown) return -1;
        list->item = grown;
        list->capacity = capacity;
    }
    named item = { sonde_strdup(name), order };
    if (!item.name) return -1;
    list->item[list->n++] = item;
    return 0;
}

static herr_t collect_link(hid_t group, const char *name, const H5L_info_t *info, void *list)
{
    (void)group;
    return collect(list, name, info->corder_valid ? info->corder : 0);
}

static herr_t collect_attribute(hid_t object, const char *name, const H5A_info_t *info, void *list)
{
    (void)object, (void)info;
    return collect(list, name, 0);
}

static int by_order(const void *a, const void *b)
{
    const named *x = a, *y = b;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Gives the names of a list that was `read` and frees it. */
static sonde_status give_names(name_list *list, bool read, const char *what, sonde_h5_value *out)
{
    sonde_status status = read ? SONDE_OK : h5_fail(SONDE_EFORMAT, "%s cannot be read", what);
    const char **names = status == SONDE_OK ? sonde_alloc(list->n * sizeof *names + 1) : NULL;
    if (names) {
        if (list->n > 0) qsort(list->item, list->n, sizeof *list->item, by_order);
        for (size_t i = 0; i < list->n; i++) names[i] = list->item[i].name;
        status = h5_pack_text(out, (int64_t)list->n, names, false);
    } else if (status == SONDE_OK) {
        status = SONDE_ENOMEM;
    }
    for (size_t i = 0; i < list->n; i++) sonde_free(list->item[i].name);
    sonde_free(list->item);
    sonde_free(names);
    return status;
}

sonde_status h5_names(hid_t group, sonde_h5_value *out)
{
    scoped hid_t plist = H5Gget_create_plist(group);
    unsigned order = 0;
    if (plist >= 0) H5Pget_link_creation_order(plist, &order);
    name_list list = { 0 };
    hsize_t at = 0;
    H5_index_t index = order & H5P_CRT_ORDER_INDEXED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
    bool read = H5Literate(group, index, H5_ITER_NATIVE, &at, collect_link, &list) >= 0;
    return give_names(&list, read, "the names in a group", out);
}

sonde_status h5_attribute_names(hid_t object, const char *what, sonde_h5_value *out)
{
    name_list list = { 0 };
    hsize_t at = 0;
    char text[1100];
    bool read = H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, &at, collect_attribute, &list) >= 0;
    snprintf(text, sizeof text, "%s: its attributes", what);
    return give_names(&list, read, text, out);
}

/* ---- attributes ---------------------------------------------------------------------------------------- */

static hid_t space_of(const sonde_h5_value *value, bool grows)
{
    hsize_t dims[SONDE_H5_DIMS], most[SONDE_H5_DIMS];
    for (int d = 0; d < value->ndim; d++) dims[d] = most[d] = (hsize_t)value->shape[d];
    if (grows) most[0] = H5S_UNLIMITED;
    return value->ndim ? H5Screate_simple(value->ndim, dims, most) : H5Screate(H5S_SCALAR);
}

sonde_status h5_writable(const sonde_h5_value *value, sonde_h5_value *clean, const void **data)
{
    *clean = (sonde_h5_value){ 0 };
    *data = value->data;
    if (value->type != SONDE_H5_TEXT) return SONDE_OK;
    SONDE_TRY(h5_pack_text(clean, sonde_h5_value_count(value), value->data, true));
    *data = clean->data;
    return SONDE_OK;
}

sonde_status h5_set_attribute(hid_t object, const char *name, const sonde_h5_value *value)
{
    SONDE_TRY(h5_value_check(value, name));
    scoped hid_t type = h5_stored_type(value->type);
    scoped hid_t space = space_of(value, false);
    if (H5Aexists(object, name) > 0) H5Adelete(object, name);
    scoped hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0) return h5_fail(SONDE_EIO, "attribute '%s' cannot be made", name);
    if (sonde_h5_value_count(value) == 0) return SONDE_OK;
    sonde_h5_value clean;
    const void *data;
    SONDE_TRY(h5_writable(value, &clean, &data));
    herr_t written = H5Awrite(attribute, type, data);
    sonde_h5_value_free(&clean);
    return written < 0 ? h5_fail(SONDE_EIO, "attribute '%s' cannot be written", name) : SONDE_OK;
}

sonde_status h5_set_text(hid_t object, const char *name, const char *text)
{
    sonde_h5_value value = sonde_h5_text(&text);
    return h5_set_attribute(object, name, &value);
}

sonde_status h5_put_attribute(hid_t file, const char *path, const char *name, const sonde_h5_value *value)
{
    SONDE_TRY(h5_check_path(path));
    if (!name || !*name) return sonde_fail(SONDE_EARG, "an attribute of '%s' needs a name", path);
    if (strlen(name) > 1000) return sonde_fail(SONDE_EARG, "'%.40s…': the name of an attribute is too long", name);
    scoped hid_t object = h5_kind(file, path) != SONDE_H5_NOTHING ? H5Oopen(file, path, H5P_DEFAULT)
                                                                  : h5_ensure_group(file, path);
    if (object < 0) return h5_fail(SONDE_EIO, "group '%s' cannot be made", path);
    return h5_set_attribute(object, name, value);
}

/* ---- datasets ------------------------------------------------------------------------------------------ */

/* The creation list of a value's dataset; growing along its first axis, in chunks of about 64 KiB. */
static hid_t layout_of(const sonde_h5_value *value, bool grows)
{
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list < 0 || !grows) return list;
    hsize_t chunk[SONDE_H5_DIMS], bytes = h5_element_size(value->type);
    for (int d = 1; d < value->ndim; d++) bytes *= chunk[d] = value->shape[d] > 0 ? (hsize_t)value->shape[d] : 1;
    chunk[0] = bytes < 64 ? 1024 : bytes < 64 << 10 ? (64 << 10) / bytes : 1;
    if (H5Pset_chunk(list, value->ndim, chunk) >= 0) return list;
    H5Pclose(list);
    return H5I_INVALID_HID;
}

/* The scale of a dataset that was replaced, of another length. */
static void remove_outgrown(hid_t group, const char *name, int64_t length)
{
    if (H5Lexists(group, name, H5P_DEFAULT) <= 0) return;
    scoped hid_t there = H5Dopen2(group, name, H5P_DEFAULT);
    scoped hid_t space = there < 0 ? there : H5Dget_space(there);
    if (space >= 0 && H5DSis_scale(there) > 0 && H5Sget_simple_extent_npoints(space) != length)
        H5Ldelete(group, name, H5P_DEFAULT);
    h5_forget_reason();
}

/* Opens the scale `name` of this length, or makes one 1..n. */
static sonde_status ensure_scale(hid_t group, const char *name, int64_t length, bool grows, hid_t *out)
{
    if (H5Lexists(group, name, H5P_DEFAULT) > 0) {
        scoped hid_t there = H5Dopen2(group, name, H5P_DEFAULT);
        scoped hid_t space = there < 0 ? there : H5Dget_space(there);
        hsize_t n = 0;
        if (space < 0 || H5DSis_scale(there) <= 0 || H5Sget_simple_extent_ndims(space) != 1)
            return sonde_fail(SONDE_EARG, "'%s' is there, but is no axis", name);
        H5Sget_simple_extent_dims(space, &n, NULL);
        if ((int64_t)n != length)
            return sonde_fail(SONDE_EARG, "axis '%s' has length %lld, not %lld", name, (long long)n, (long long)length);
        *out = there;
        there = H5I_INVALID_HID;
        return SONDE_OK;
    }
    int64_t *number = sonde_alloc((size_t)length * sizeof *number + 1);
    if (!number) return SONDE_ENOMEM;
    for (int64_t i = 0; i < length; i++) number[i] = i + 1;
    sonde_h5_value count = { .type = SONDE_H5_I64, .ndim = 1, .shape = { length }, .data = number };
    sonde_status status = h5_new_dataset(group, name, &count, grows, out);
    sonde_free(number);
    SONDE_TRY(status);
    return H5DSset_scale(*out, name) < 0 ? h5_fail(SONDE_EIO, "axis '%s' cannot be made", name) : SONDE_OK;
}

static sonde_status attach_scales(hid_t group, hid_t dataset, const char *name, const sonde_h5_value *value,
                                  const char *const *axes, bool grows)
{
    for (int d = 0; d < value->ndim; d++) {
        char numbered[1024];
        snprintf(numbered, sizeof numbered, "%s_axis%d", name, d + 1);
        const char *axis = axes && axes[d] ? axes[d] : numbered;
        if (!*axis) continue;
        if (value->ndim == 1 && !strcmp(axis, name)) /* a coordinate of its own axis */
            return H5DSset_scale(dataset, name) < 0 ? h5_fail(SONDE_EIO, "axis '%s' cannot be made", name) : SONDE_OK;
        if (axis == numbered) remove_outgrown(group, numbered, value->shape[d]);
        scoped hid_t scale = H5I_INVALID_HID;
        SONDE_TRY(ensure_scale(group, axis, value->shape[d], grows && d == 0, &scale));
        if (H5DSattach_scale(dataset, scale, (unsigned)d) < 0)
            return h5_fail(SONDE_EIO, "axis '%s' cannot be attached", axis);
    }
    return SONDE_OK;
}

static herr_t take_scale(hid_t dataset, unsigned axis, hid_t scale, void *context)
{
    (void)dataset, (void)axis;
    hid_t *first = context;
    if (*first < 0 && H5Iinc_ref(scale) > 0) *first = scale;
    return 0; /* to stop here would leave the id open for ever */
}

hid_t h5_first_scale(hid_t dataset, int axis)
{
    hid_t scale = H5I_INVALID_HID;
    if (H5DSget_num_scales(dataset, (unsigned)axis) > 0)
        H5DSiterate_scales(dataset, (unsigned)axis, NULL, take_scale, &scale);
    h5_forget_reason();
    return scale;
}

/* Removes a dataset without leaving references to it in its scales. */
static void remove_dataset(hid_t group, const char *name)
{
    scoped hid_t dataset = H5Dopen2(group, name, H5P_DEFAULT);
    scoped hid_t space = dataset < 0 ? dataset : H5Dget_space(dataset);
    int ndim = space < 0 ? 0 : H5Sget_simple_extent_ndims(space);
    for (int d = 0; d < ndim; d++)
        for (bool more = true; more;) {
            scoped hid_t scale = h5_first_scale(dataset, d);
            more = scale >= 0 && H5DSdetach_scale(dataset, scale, (unsigned)d) >= 0;
        }
    H5Ldelete(group, name, H5P_DEFAULT);
}

sonde_status h5_new_dataset(hid_t group, const char *name, const sonde_h5_value *value, bool grows, hid_t *out)
{
    scoped hid_t type = h5_stored_type(value->type);
    scoped hid_t space = space_of(value, grows);
    scoped hid_t layout = layout_of(value, grows);
    scoped hid_t dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT);
    if (dataset < 0) return h5_fail(SONDE_EIO, "dataset '%s' cannot be made", name);
    if (sonde_h5_value_count(value) > 0) {
        sonde_h5_value clean;
        const void *data;
        SONDE_TRY(h5_writable(value, &clean, &data));
        herr_t written = H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
        sonde_h5_value_free(&clean);
        if (written < 0) return h5_fail(SONDE_EIO, "dataset '%s' cannot be written", name);
    }
    *out = dataset;
    dataset = H5I_INVALID_HID;
    return SONDE_OK;
}

/* Opens or makes the group that `path` lies in; *name is its last part. */
static sonde_status open_parent(hid_t file, const char *path, hid_t *group, const char **name)
{
    SONDE_TRY(h5_check_path(path));
    const char *slash = strrchr(path, '/');
    if (!slash[1]) return sonde_fail(SONDE_EARG, "a dataset needs a name, got path '%s'", path);
    char parent[1024];
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    *name = slash + 1;
    *group = h5_ensure_group(file, parent);
    return *group < 0 ? h5_fail(SONDE_EIO, "group '%s' cannot be made", parent) : SONDE_OK;
}

/* Puts a new scalar where the old one is; false if that is none, or of another type. */
static bool overwrite(hid_t dataset, const sonde_h5_value *value)
{
    scoped hid_t stored = dataset < 0 ? dataset : H5Dget_type(dataset);
    scoped hid_t wanted = h5_stored_type(value->type);
    scoped hid_t there = dataset < 0 ? dataset : H5Dget_space(dataset);
    scoped hid_t space = space_of(value, false);
    if (stored < 0 || there < 0 || H5Tequal(stored, wanted) <= 0 || H5Sextent_equal(there, space) <= 0) return false;
    sonde_h5_value clean;
    const void *data;
    if (h5_writable(value, &clean, &data) != SONDE_OK) return false;
    bool ok = H5Dwrite(dataset, wanted, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    sonde_h5_value_free(&clean);
    return ok;
}

sonde_status h5_put(hid_t file, const char *path, const sonde_h5_value *value, const char *const *axes, h5_put_how how)
{
    const char *name;
    scoped hid_t group = H5I_INVALID_HID;
    SONDE_TRY(h5_value_check(value, path));
    SONDE_TRY(open_parent(file, path, &group, &name));
    if (H5Lexists(group, name, H5P_DEFAULT) > 0) {
        if (how != H5_REPLACE || h5_kind(group, name) != SONDE_H5_DATASET)
            return sonde_fail(SONDE_EARG, "'%s' exists already", path);
        scoped hid_t old = H5Dopen2(group, name, H5P_DEFAULT);
        if (value->ndim == 0 && overwrite(old, value)) return SONDE_OK; /* it keeps its place in the group's order */
        remove_dataset(group, name);
    }
    scoped hid_t dataset = H5I_INVALID_HID;
    SONDE_TRY(h5_new_dataset(group, name, value, how == H5_GROWING, &dataset));
    return attach_scales(group, dataset, name, value, axes, how == H5_GROWING);
}
