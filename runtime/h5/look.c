/* What is in a file: kinds, types and shapes, names, attributes, axes. */
#include "h5/file.h"

#include <stdio.h>
#include <string.h>

/* ---- kinds, types, shapes ------------------------------------------------------------------------------ */

static sonde_status inspect_data(hid_t type, hid_t space, const char *what, sonde_h5_info *out)
{
    if (type < 0 || space < 0) return h5_fail(SONDE_EFORMAT, "%s cannot be read", what);
    out->type = h5_classify(type, out->type_name);
    out->is_null = H5Sget_simple_extent_type(space) == H5S_NULL;
    int ndim = H5Sget_simple_extent_ndims(space);
    if (ndim < 0 || ndim > SONDE_H5_DIMS) return sonde_fail(SONDE_EDTYPE, "%s has %d axes", what, ndim);
    hsize_t shape[SONDE_H5_DIMS], most[SONDE_H5_DIMS];
    H5Sget_simple_extent_dims(space, shape, most);
    out->ndim = ndim;
    out->grows = ndim > 0 && most[0] == H5S_UNLIMITED;
    for (int d = 0; d < ndim; d++) out->shape[d] = (int64_t)shape[d];
    return SONDE_OK;
}

static sonde_status inspect_object(sonde_h5_file *f, const char *path, hid_t object, sonde_h5_info *out)
{
    char what[1024];
    H5L_info_t link;
    H5O_info_t info;
    if (path[strspn(path, "/")] && H5Lget_info(f->id, path, &link, H5P_DEFAULT) >= 0)
        out->link = link.type == H5L_TYPE_HARD   ? SONDE_H5_HARD
                    : link.type == H5L_TYPE_SOFT ? SONDE_H5_SOFT
                                                 : SONDE_H5_EXTERNAL;
    H5I_type_t type = object < 0 ? H5I_BADID : H5Iget_type(object);
    if (object >= 0 && H5Oget_info2(object, &info, H5O_INFO_BASIC) >= 0) {
        out->links = info.rc;
        snprintf(out->object, sizeof out->object, "%lx:%llx", info.fileno, (unsigned long long)info.addr);
    }
    h5_forget_reason();
    if (type == H5I_GROUP) out->kind = SONDE_H5_GROUP;
    if (type != H5I_DATASET) return SONDE_OK;
    out->kind = SONDE_H5_DATASET;
    out->is_scale = H5DSis_scale(object) > 0;
    scoped hid_t stored = H5Dget_type(object);
    scoped hid_t space = H5Dget_space(object);
    return inspect_data(stored, space, h5_name_of(f, path, what), out);
}

sonde_status sonde_h5_inspect(sonde_h5_file *f, const char *path, sonde_h5_info *out)
{
    *out = (sonde_h5_info){ 0 };
    sonde_status status;
    h5_enter();
    {
        scoped hid_t object = *path ? H5Oopen(f->id, path, H5P_DEFAULT) : H5I_INVALID_HID;
        status = inspect_object(f, path, object, out);
    }
    h5_leave();
    return status;
}

sonde_status sonde_h5_inspect_attribute(sonde_h5_file *f, const char *path, const char *name, sonde_h5_info *out)
{
    char what[1024];
    *out = (sonde_h5_info){ 0 };
    sonde_status status;
    h5_enter();
    {
        scoped hid_t object = h5_open_object(f, path);
        status = object < 0 ? SONDE_EARG : SONDE_OK;
        if (object >= 0 && H5Aexists(object, name) > 0) {
            scoped hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
            scoped hid_t type = attribute < 0 ? attribute : H5Aget_type(attribute);
            scoped hid_t space = attribute < 0 ? attribute : H5Aget_space(attribute);
            out->kind = SONDE_H5_ATTRIBUTE;
            status = inspect_data(type, space, h5_name_of(f, path, what), out);
        }
    }
    h5_leave();
    return status;
}

/* ---- names --------------------------------------------------------------------------------------------- */

sonde_status sonde_h5_list(sonde_h5_file *f, const char *path, sonde_h5_value *out)
{
    h5_enter();
    sonde_status status;
    {
        scoped hid_t group = h5_open_kind(f, path, H5I_GROUP);
        status = group < 0 ? SONDE_EARG : h5_names(group, out);
    }
    h5_leave();
    return status;
}

sonde_status sonde_h5_list_attributes(sonde_h5_file *f, const char *path, sonde_h5_value *out)
{
    char what[1024];
    h5_enter();
    sonde_status status;
    {
        scoped hid_t object = h5_open_object(f, path);
        status = object < 0 ? SONDE_EARG : h5_attribute_names(object, h5_name_of(f, path, what), out);
    }
    h5_leave();
    return status;
}

/* ---- axes ---------------------------------------------------------------------------------------------- */

/* Is the object `name` beside `dataset` this scale? */
static bool is_beside(hid_t dataset, const char *name, hid_t scale)
{
    char path[2048];
    H5O_info_t found, wanted;
    if (!*name || strchr(name, '/') || H5Iget_name(dataset, path, sizeof path / 2) <= 0) return false;
    char *slash = strrchr(path, '/');
    if (!slash) return false;
    snprintf(slash + 1, sizeof path / 2, "%.511s", name);
    return H5Lexists(dataset, path, H5P_DEFAULT) > 0 &&
           H5Oget_info_by_name2(dataset, path, &found, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 &&
           H5Oget_info2(scale, &wanted, H5O_INFO_BASIC) >= 0 && found.addr == wanted.addr;
}

/* The name of the object that scales an axis, its path if it lies in another group, "" if none does. It was found by
 * reference, and its path HDF5 knows only after a search through the whole file: the name it was given as a scale comes
 * first, if it is that of a neighbour. */
static void axis_name(hid_t dataset, int axis, char name[static 512])
{
    char path[2048] = "";
    scoped hid_t scale = h5_first_scale(dataset, axis);
    *name = '\0';
    if (scale < 0) return;
    if (H5DSget_scale_name(scale, name, 512) > 0 && is_beside(dataset, name, scale)) return;
    H5Iget_name(scale, path, sizeof path);
    const char *slash = strrchr(path, '/');
    bool beside = slash && is_beside(dataset, slash + 1, scale);
    snprintf(name, 512, "%.511s", beside ? slash + 1 : path);
}

static sonde_status axis_names(hid_t dataset, const char *own_path, sonde_h5_value *out)
{
    char names[SONDE_H5_DIMS][512] = { "" };
    const char *pointers[SONDE_H5_DIMS];
    scoped hid_t space = H5Dget_space(dataset);
    int ndim = space < 0 ? 0 : H5Sget_simple_extent_ndims(space);
    if (ndim < 0 || ndim > SONDE_H5_DIMS) ndim = 0;
    const char *slash = strrchr(own_path, '/');
    bool is_scale = H5DSis_scale(dataset) > 0; /* its own axis */
    for (int d = 0; d < ndim; d++) {
        if (is_scale)
            snprintf(names[d], sizeof names[d], "%.511s", slash ? slash + 1 : own_path);
        else
            axis_name(dataset, d, names[d]);
        pointers[d] = names[d];
    }
    h5_forget_reason();
    return h5_pack_text(out, ndim, pointers, false);
}

sonde_status sonde_h5_axes(sonde_h5_file *f, const char *path, sonde_h5_value *out)
{
    h5_enter();
    sonde_status status;
    {
        scoped hid_t dataset = h5_open_kind(f, path, H5I_DATASET);
        status = dataset < 0 ? SONDE_EARG : axis_names(dataset, path, out);
    }
    h5_leave();
    return status;
}
