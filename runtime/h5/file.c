/* Plain reading and writing of HDF5 files by path. */
#include "h5/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening and closing ------------------------------------------------------------------------------- */

static sonde_status check_exists(const char *path)
{
    struct stat info;
    if (stat(path, &info)) return sonde_fail(SONDE_EIO, "'%s': %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode)) return sonde_fail(SONDE_EIO, "'%s' is a folder", path);
    if (!S_ISREG(info.st_mode)) return sonde_fail(SONDE_EIO, "'%s' is not a regular file", path);
    if (info.st_size == 0) return sonde_fail(SONDE_EFORMAT, "'%s' is empty", path);
    if (access(path, R_OK)) return sonde_fail(SONDE_EIO, "'%s': %s", path, strerror(errno));
    return SONDE_OK;
}

/* A file that was being written before SWMR began opens for nobody: a copy of it does. */
static sonde_status open_copy(sonde_h5_file *f, hid_t access_list)
{
    const char *base = getenv("TMPDIR");
    char folder[1024], copy[1100];
    snprintf(folder, sizeof folder, "%.900s/sonde-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder)) return sonde_fail(SONDE_EIO, "'%s': %s", folder, strerror(errno));
    snprintf(copy, sizeof copy, "%s/copy", folder);
    sonde_status status = h5_copy_file(f->path, copy);
    if (status == SONDE_OK) status = h5_revive(copy);
    if (status == SONDE_OK && (f->id = H5Fopen(copy, H5F_ACC_RDONLY, access_list)) < 0)
        status = h5_fail(SONDE_EFORMAT, "it is damaged");
    unlink(copy);
    rmdir(folder);
    if (status != SONDE_OK)
        sonde_fail_within("'%s' is being written, or was when its writer was killed: ", f->path);
    return status;
}

/* Opens for reading, through SWMR where that is the only way. */
static sonde_status open_reading(sonde_h5_file *f)
{
    scoped hid_t access_list = h5_file_access(H5F_LIBVER_V18);
    bool copied = false;
    f->id = H5Fopen(f->path, H5F_ACC_RDONLY, access_list);
    if (f->id < 0 && strstr(h5_reason(), "already open for write")) {
        f->id = H5Fopen(f->path, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access_list);
        copied = f->id < 0;
        if (copied) SONDE_TRY(open_copy(f, access_list));
    }
    if (f->id < 0) {
        sonde_status damaged = h5_fail(SONDE_EFORMAT, "'%s' is damaged", f->path);
        return H5Fis_hdf5(f->path) > 0 ? damaged : sonde_fail(SONDE_EFORMAT, "'%s' is not an HDF5 file", f->path);
    }
    unsigned intent = 0; /* what this process writes itself is opened as its writer has it */
    H5Fget_intent(f->id, &intent);
    f->live = copied || intent & (H5F_ACC_SWMR_READ | H5F_ACC_SWMR_WRITE);
    char what[4200];
    snprintf(what, sizeof what, "'%s'", f->path);
    sonde_status status = intent & H5F_ACC_RDWR ? SONDE_OK : h5_try(f->id, what);
    if (status != SONDE_OK) h5_close_id(&f->id);
    return status;
}

static sonde_status open_existing(sonde_h5_file *f)
{
    SONDE_TRY(open_reading(f));
    if (!f->writable) return SONDE_OK;
    H5Fclose(f->id);
    if (f->live) return sonde_fail(SONDE_ESTATE, "'%s' is being written, or was when its writer was killed", f->path);
    scoped hid_t access_list = h5_file_access(H5F_LIBVER_V18);
    H5Pset_file_locking(access_list, true, true);
    f->id = H5Fopen(f->path, H5F_ACC_RDWR, access_list);
    return f->id < 0 ? h5_fail(SONDE_EIO, "'%s' cannot be opened for writing", f->path) : SONDE_OK;
}

static sonde_status create_new(sonde_h5_file *f)
{
    snprintf(f->tmp, sizeof f->tmp, "%s.tmp", f->path);
    unlink(f->tmp);
    scoped hid_t access_list = h5_file_access(H5F_LIBVER_V18);
    scoped hid_t create = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_link_creation_order(create, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    f->id = H5Fcreate(f->tmp, H5F_ACC_EXCL, create, access_list);
    return f->id < 0 ? h5_fail(SONDE_EIO, "'%s' cannot be made", f->tmp) : SONDE_OK;
}

static bool is_part(const char *path)
{
    size_t length = strlen(path);
    return length > 5 && !strcmp(path + length - 5, ".part");
}

static sonde_status check_open(const char *path, const char *mode, bool *is_new)
{
    bool read = !strcmp(mode, "r"), change = !strcmp(mode, "r+");
    *is_new = !strcmp(mode, "w");
    if (!read && !change && !*is_new) return sonde_fail(SONDE_EARG, "mode '%s' is not one of r, r+, w", mode);
    if (!*path || strlen(path) > 4000) return sonde_fail(SONDE_EARG, "a file name is empty or too long");
    if (!read && is_part(path)) return sonde_fail(SONDE_ESTATE, "'%s' belongs to a run; it can only be read", path);
    if (!*is_new) return check_exists(path);
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return sonde_fail(SONDE_EIO, "'%s' is not a regular file", path);
    return h5_check_folder(path);
}

sonde_status sonde_h5_open(sonde_h5_file **out, const char *path, const char *mode)
{
    bool is_new;
    SONDE_TRY(check_open(path, mode, &is_new));
    sonde_h5_file *f = sonde_alloc_zeroed(sizeof *f);
    if (!f) return SONDE_ENOMEM;
    snprintf(f->path, sizeof f->path, "%s", path);
    f->writable = strcmp(mode, "r") != 0;
    h5_enter();
    sonde_status status = is_new ? create_new(f) : open_existing(f);
    h5_leave();
    if (status == SONDE_OK)
        *out = f;
    else
        sonde_free(f);
    return status;
}

static sonde_status close_file(sonde_h5_file *f, bool publish)
{
    sonde_status status = SONDE_OK;
    h5_enter();
    if (H5Fclose(f->id) < 0) status = h5_fail(SONDE_EIO, "closing '%s' failed", f->path);
    h5_leave();
    if (*f->tmp) {
        if (publish && status == SONDE_OK && h5_sync_path(f->tmp, O_RDONLY))
            status = sonde_fail(SONDE_EIO, "'%s' cannot be synced: %s", f->tmp, strerror(errno));
        if (publish && status == SONDE_OK) status = h5_rename(f->tmp, f->path);
        if (!publish || status != SONDE_OK) unlink(f->tmp);
    }
    sonde_free(f);
    return status;
}

sonde_status sonde_h5_close(sonde_h5_file *f) { return f ? close_file(f, true) : SONDE_OK; }

void sonde_h5_discard(sonde_h5_file *f)
{
    if (f) close_file(f, false);
}

bool sonde_h5_is_live(const sonde_h5_file *f) { return f->live; }
bool sonde_h5_has_writer(const sonde_h5_file *f) { return f->live && h5_is_locked(f->path); }

/* ---- reading ------------------------------------------------------------------------------------------- */

const char *h5_name_of(const sonde_h5_file *f, const char *path, char text[static 1024])
{
    snprintf(text, 1024, "'%.500s': %.500s", f->path, path);
    return text;
}

hid_t h5_open_object(sonde_h5_file *f, const char *path)
{
    char what[1024];
    hid_t object = *path ? H5Oopen(f->id, path, H5P_DEFAULT) : H5I_INVALID_HID;
    if (object >= 0) {
        H5I_type_t type = H5Iget_type(object);
        if (type == H5I_GROUP || type == H5I_DATASET) return object;
        h5_close_id(&object);
    }
    h5_forget_reason();
    sonde_fail(SONDE_EARG, "%s does not exist", h5_name_of(f, path, what));
    return H5I_INVALID_HID;
}

hid_t h5_open_kind(sonde_h5_file *f, const char *path, H5I_type_t kind)
{
    char what[1024];
    hid_t object = h5_open_object(f, path);
    if (object < 0 || H5Iget_type(object) == kind) return object;
    h5_close_id(&object);
    sonde_fail(SONDE_EARG, "%s is not a %s", h5_name_of(f, path, what), kind == H5I_GROUP ? "group" : "dataset");
    return H5I_INVALID_HID;
}

sonde_status sonde_h5_read(sonde_h5_file *f, const char *path, sonde_h5_type type, const sonde_h5_part *part,
                           sonde_h5_value *out)
{
    char what[1024];
    h5_enter();
    sonde_status status;
    {
        scoped hid_t dataset = h5_open_kind(f, path, H5I_DATASET);
        const char *name = h5_name_of(f, path, what);
        status = dataset < 0 ? SONDE_EARG : h5_read_dataset(dataset, name, type, part, out);
    }
    h5_leave();
    return status;
}

sonde_status sonde_h5_read_attribute(sonde_h5_file *f, const char *path, const char *name, sonde_h5_value *out)
{
    char what[1024];
    h5_enter();
    sonde_status status;
    {
        scoped hid_t object = h5_open_object(f, path);
        status = object < 0 ? SONDE_EARG : h5_read_attribute(object, name, h5_name_of(f, path, what), out);
    }
    h5_leave();
    return status;
}

bool h5_is_history(hid_t root)
{
    sonde_h5_value format;
    if (root < 0 || h5_read_attribute(root, "format", "/", &format) != SONDE_OK) return false;
    bool is = format.type == SONDE_H5_TEXT && format.ndim == 0 && !strcmp(((char **)format.data)[0], "sonde-history");
    sonde_h5_value_free(&format);
    return is;
}

bool h5_file_is_history(const char *path)
{
    sonde_h5_file *f;
    if (sonde_h5_open(&f, path, "r") != SONDE_OK) return false;
    h5_enter();
    hid_t root = H5Gopen2(f->id, "/", H5P_DEFAULT);
    bool is = h5_is_history(root);
    h5_close_id(&root);
    h5_leave();
    sonde_h5_close(f);
    return is;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static sonde_status check_writable(const sonde_h5_file *f)
{
    return f->writable ? SONDE_OK : sonde_fail(SONDE_ESTATE, "'%s' is open for reading only", f->path);
}

static sonde_status within(const sonde_h5_file *f, sonde_status status)
{
    if (status != SONDE_OK) sonde_fail_within("'%s': ", f->path);
    return status;
}

sonde_status sonde_h5_write(sonde_h5_file *f, const char *path, const sonde_h5_value *value, const char *const *axes)
{
    SONDE_TRY(check_writable(f));
    h5_enter();
    sonde_status status = h5_put(f->id, path, value, axes, H5_NEW);
    h5_leave();
    return within(f, status);
}

sonde_status sonde_h5_append(sonde_h5_file *f, const char *path, const sonde_h5_value *value, const char *const *axes)
{
    SONDE_TRY(check_writable(f));
    h5_enter();
    sonde_status status = h5_append(f->id, path, value, axes);
    h5_leave();
    return within(f, status);
}

sonde_status sonde_h5_write_attribute(sonde_h5_file *f, const char *path, const char *name, const sonde_h5_value *value)
{
    SONDE_TRY(check_writable(f));
    h5_enter();
    sonde_status status = h5_put_attribute(f->id, path, name, value);
    h5_leave();
    return within(f, status);
}

sonde_status sonde_h5_make_group(sonde_h5_file *f, const char *path)
{
    SONDE_TRY(check_writable(f));
    SONDE_TRY(within(f, h5_check_path(path)));
    h5_enter();
    scoped hid_t group = h5_ensure_group(f->id, path);
    sonde_status status = group < 0 ? h5_fail(SONDE_EIO, "group '%s' cannot be made", path) : SONDE_OK;
    h5_close_id(&group);
    group = H5I_INVALID_HID;
    h5_leave();
    return within(f, status);
}
