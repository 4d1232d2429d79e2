/* Opening what was never closed: a file whose writer was killed bears the marks of one that is being written, and HDF5
 * refuses it. */
#include "h5/room.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* HDF5's own properties behind h5clear; private, so asked for first. */
static bool set_private(hid_t access, const char *name)
{
    hbool_t yes = true;
    return H5Pexist(access, name) > 0 && H5Pset(access, name, &yes) >= 0;
}

/* A file whose end is missing would read as zeros there. With bytes 0xff lost cells read as not measured: NaN,
 * 4294967295, and step -1, which ends the rows; lost metadata fail their checksums. */
static sonde_status pad(const char *path, int64_t size, int64_t wanted)
{
    if (wanted - size > (int64_t)1 << 30)
        return sonde_fail(SONDE_EFORMAT, "it is cut off: %lld of %lld bytes are there", (long long)size,
                          (long long)wanted);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    char lost[1 << 16];
    memset(lost, 0xff, sizeof lost);
    bool ok = fd >= 0;
    for (int64_t n; ok && size < wanted; size += n) {
        n = wanted - size < (int64_t)sizeof lost ? wanted - size : (int64_t)sizeof lost;
        n = write(fd, lost, (size_t)n);
        ok = n > 0;
    }
    int reason = errno;
    if (fd >= 0) close(fd);
    return ok ? SONDE_OK : sonde_fail(SONDE_EIO, "'%s' cannot be written: %s", path, strerror(reason));
}

/* For an HDF5 without these properties. -s alone would cut the file off at a stale end. */
static sonde_status run_h5clear(const char *path)
{
    char *const arguments[] = { (char[]){ "h5clear" }, (char[]){ "-s" }, (char[]){ "--increment=0" },
                                (char *)(uintptr_t)path, NULL };
    posix_spawn_file_actions_t quiet;
    pid_t child;
    int ended = 0;
    if (posix_spawn_file_actions_init(&quiet)) return sonde_fail(SONDE_ENOMEM, "h5clear cannot be started");
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        posix_spawn_file_actions_addopen(&quiet, fd, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(&child, "h5clear", &quiet, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&quiet);
    while (!failed && waitpid(child, &ended, 0) < 0 && errno == EINTR) continue;
    if (!failed && WIFEXITED(ended) && WEXITSTATUS(ended) == 0) return SONDE_OK;
    if (failed || (WIFEXITED(ended) && WEXITSTATUS(ended) == 127))
        return sonde_fail(SONDE_EIO, "this HDF5 (%s) cannot clear the marks of its writer, and there is no `h5clear` "
                                     "(package hdf5-tools)", sonde_h5_library_version());
    return sonde_fail(SONDE_EFORMAT, "it is damaged beyond recovery");
}

sonde_status h5_revive(const char *path)
{
    scoped hid_t access = h5_file_access(H5F_LIBVER_V110);
    if (!set_private(access, "clear_status_flags") || !set_private(access, "skip_eof_check")) return run_h5clear(path);
    scoped hid_t file = H5Fopen(path, H5F_ACC_RDWR, access);
    if (file < 0) return h5_fail(SONDE_EFORMAT, "it is damaged beyond recovery");
    haddr_t end = 0;
    struct stat info;
    if (H5Fget_eoa(file, &end) < 0 || stat(path, &info)) return h5_fail(SONDE_EFORMAT, "its end cannot be found");
    if ((int64_t)end > (int64_t)info.st_size) SONDE_TRY(pad(path, (int64_t)info.st_size, (int64_t)end));
    if (H5Fincrement_filesize(file, 0) < 0) return h5_fail(SONDE_EFORMAT, "its end cannot be set");
    return SONDE_OK;
}
