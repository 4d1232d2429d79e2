/* The files of a run on disk: FILE.part with our lock, FILE.side, FILE.tmp, FILE. */
#include "h5/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include <unistd.h>

sonde_status h5_place_init(h5_place *place, const char *file)
{
    size_t length = file ? strlen(file) : 0;
    if (length == 0) return sonde_fail(SONDE_EARG, "the output file needs a name");
    if (length > sizeof place->file - 16) return sonde_fail(SONDE_EARG, "'%.60s…': the file name is too long", file);
    if (file[length - 1] == '/') return sonde_fail(SONDE_EARG, "'%s' is the name of a folder, not of a file", file);
    place->lock = -1;
    snprintf(place->file, sizeof place->file, "%s", file);
    snprintf(place->part, sizeof place->part, "%s.part", file);
    snprintf(place->side, sizeof place->side, "%s.side", file);
    snprintf(place->tmp, sizeof place->tmp, "%s.tmp", file);
    return SONDE_OK;
}

/* The folder a file lies in, "." if it has none. */
static void folder_of(const char *file, char folder[static 4096])
{
    const char *slash = strrchr(file, '/');
    if (!slash)
        snprintf(folder, 4096, ".");
    else
        snprintf(folder, 4096, "%.*s", slash == file ? 1 : (int)(slash - file), file);
}

sonde_status h5_check_folder(const char *file)
{
    char folder[4096];
    folder_of(file, folder);
    struct stat info;
    if (stat(folder, &info)) return sonde_fail(SONDE_EIO, "'%s': the folder '%s' %s", file, folder,
                                               errno == ENOENT ? "does not exist" : strerror(errno));
    if (!S_ISDIR(info.st_mode)) return sonde_fail(SONDE_EIO, "'%s': '%s' is not a folder", file, folder);
    if (access(folder, W_OK | X_OK))
        return sonde_fail(SONDE_EIO, "'%s': the folder '%s' is not writable: %s", file, folder, strerror(errno));
    return SONDE_OK;
}

/* ---- the lock ------------------------------------------------------------------------------------------ */

/* An open-file-description lock: it belongs to this descriptor, so it goes with the process that was killed, and
 * neither HDF5's own locks nor its closing of the file touch it. */
sonde_status h5_place_lock(h5_place *place)
{
    int fd = open(place->part, O_RDWR | O_CLOEXEC);
    if (fd < 0) return sonde_fail(SONDE_EIO, "'%s' cannot be opened: %s", place->part, strerror(errno));
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(fd, F_OFD_SETLK, &whole)) {
        int reason = errno;
        if (reason == EAGAIN || reason == EACCES) {
            close(fd);
            return sonde_fail(SONDE_ESTATE, "'%s': another run is writing it", place->part);
        }
        /* This filesystem knows no locks: go on without. */
    }
    place->lock = fd;
    return SONDE_OK;
}

void h5_place_unlock(h5_place *place)
{
    if (place->lock >= 0) close(place->lock);
    place->lock = -1;
}

bool h5_is_locked(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    struct flock whole = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
    bool locked = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type == F_WRLCK;
    close(fd);
    return locked;
}

void h5_place_clear(const h5_place *place)
{
    char side_new[4200];
    snprintf(side_new, sizeof side_new, "%s.new", place->side);
    unlink(place->side);
    unlink(side_new);
    unlink(place->tmp);
}

static bool exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

sonde_status h5_check_target(const char *file, bool force)
{
    struct stat info;
    if (!exists(file)) return SONDE_OK;
    if (stat(file, &info) == 0 && !S_ISREG(info.st_mode))
        return sonde_fail(SONDE_EARG, "'%s' exists and is not a file", file);
    if (!h5_file_is_history(file))
        return sonde_fail(SONDE_EARG, "'%s' exists and is not a whole file of a sonde run, so it is never replaced; "
                                      "choose another name, or remove it yourself", file);
    return force ? SONDE_OK : sonde_fail(SONDE_EARG, "'%s' exists already; use --force to replace it", file);
}

sonde_status h5_place_prepare(h5_place *place, bool force)
{
    SONDE_TRY(h5_check_folder(place->file));
    SONDE_TRY(h5_check_target(place->file, force));
    if (exists(place->part)) {
        SONDE_TRY(h5_place_lock(place));
        if (!force) {
            h5_place_unlock(place);
            return sonde_fail(SONDE_EARG,
                              "'%s' is left from a run that was killed; use `sonde recover %s` to save it, or "
                              "--force to throw it away",
                              place->part, place->part);
        }
        unlink(place->part);
        h5_place_unlock(place);
    }
    return SONDE_OK;
}

/* ---- copying and renaming ------------------------------------------------------------------------------ */

/* -1 with errno. Whatever moved bytes last has left both offsets where the next one goes on. */
static int copy_bytes(int from, int to)
{
    if (ioctl(to, FICLONE, from) == 0) return 0;
    ssize_t n;
    while ((n = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0)) > 0) continue;
    if (n == 0) return 0;
    if (errno == ENOSPC || errno == EIO || errno == EFBIG) return -1;
    /* Refused between some filesystems: by hand. */
    char bytes[1 << 16];
    while ((n = read(from, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR))
        for (ssize_t done = 0; done < n;) {
            ssize_t written = write(to, bytes + done, (size_t)(n - done));
            if (written < 0 && errno != EINTR) return -1;
            if (written > 0) done += written;
        }
    return (int)n;
}

sonde_status h5_copy_file(const char *from_path, const char *to_path)
{
    int from = open(from_path, O_RDONLY | O_CLOEXEC);
    if (from < 0) return sonde_fail(SONDE_EIO, "'%s' cannot be opened: %s", from_path, strerror(errno));
    int to = open(to_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int failed = to < 0 || copy_bytes(from, to) < 0 ? errno : 0;
    if (to >= 0 && close(to) && !failed) failed = errno;
    close(from);
    if (!failed) return SONDE_OK;
    if (to >= 0) unlink(to_path);
    return sonde_fail(SONDE_EIO, "'%s' cannot be written: %s", to_path, strerror(failed));
}

sonde_status h5_place_copy(const h5_place *place)
{
    unlink(place->tmp);
    return h5_copy_file(place->part, place->tmp);
}

int h5_sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) return -1;
    int failed = fsync(fd) ? errno : 0;
    close(fd);
    errno = failed;
    return failed ? -1 : 0;
}

sonde_status h5_rename(const char *from, const char *to)
{
    if (rename(from, to) == 0) return SONDE_OK;
    return sonde_fail(SONDE_EIO, "'%s' cannot be renamed to '%s': %s", from, to, strerror(errno));
}

sonde_status h5_place_publish(const h5_place *place)
{
    char folder[4096];
    folder_of(place->file, folder);
    if (h5_sync_path(place->tmp, O_RDONLY))
        return sonde_fail(SONDE_EIO, "'%s' cannot be synced: %s", place->tmp, strerror(errno));
    SONDE_TRY(h5_rename(place->tmp, place->file));
    h5_sync_path(folder, O_RDONLY | O_DIRECTORY); /* some filesystems cannot; the rename stands anyway */
    unlink(place->part); /* before FILE.side: a FILE.side alone is known to be a leftover */
    h5_place_clear(place);
    return SONDE_OK;
}
