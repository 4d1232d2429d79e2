#include "data/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

sonde_status sonde_source_open(source *s, const char *path)
{
    memset(s, 0, sizeof *s);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang here */
    if (fd < 0) return sonde_fail(SONDE_EIO, "cannot open '%s': %s", path, strerror(errno));
    struct stat status;
    sonde_status result = SONDE_OK;
    if (fstat(fd, &status) != 0) {
        result = sonde_fail(SONDE_EIO, "cannot read '%s': %s", path, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        result = sonde_fail(SONDE_EIO, "'%s' is %s, expected a file", path,
                            S_ISDIR(status.st_mode) ? "a folder" : "a device");
    } else if ((s->path = sonde_strdup(path)) == NULL) {
        result = SONDE_ENOMEM;
    } else if ((s->gz = gzdopen(fd, "rb")) == NULL) {
        result = sonde_fail(SONDE_ENOMEM, "out of memory opening '%s'", path);
    }
    if (result != SONDE_OK) {
        close(fd);
        sonde_free(s->path);
        s->path = NULL; /* closing what was not opened does nothing */
        return result;
    }
    gzbuffer(s->gz, 1 << 17);
    s->file_bytes = status.st_size;
    s->packed = !gzdirect(s->gz);
    return SONDE_OK;
}

sonde_status sonde_source_read(source *s, void *out, size_t bytes, size_t *got)
{
    *got = 0;
    while (*got < bytes) {
        size_t want = bytes - *got;
        int n = gzread(s->gz, (char *)out + *got, want > 1 << 30 ? 1u << 30 : (unsigned)want);
        if (n > 0) *got += (size_t)n;
        if (n > 0 && (size_t)n == want) return SONDE_OK;
        if (n > 0) continue;
        int code;
        const char *message = gzerror(s->gz, &code);
        if (code == Z_OK || code == Z_STREAM_END) return SONDE_OK;
        if (code == Z_ERRNO) return sonde_fail(SONDE_EIO, "cannot read '%s': %s", s->path, strerror(errno));
        if (code == Z_MEM_ERROR) return sonde_fail(SONDE_ENOMEM, "out of memory unpacking '%s'", s->path);
        if (code == Z_BUF_ERROR) {
            return sonde_fail(SONDE_EFORMAT, "'%s' is cut off: the gzip data end too early; fetch the file again",
                              s->path);
        }
        return sonde_fail(SONDE_EFORMAT, "'%s' is damaged (gzip: %s); fetch the file again", s->path, message);
    }
    return SONDE_OK;
}

void sonde_source_close(source *s)
{
    if (s->gz != NULL) gzclose(s->gz);
    sonde_free(s->path);
    memset(s, 0, sizeof *s);
}
