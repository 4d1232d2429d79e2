/* Entering HDF5: one thread at a time, silently; what it had to say; how many ids are open. */
#include "h5/room.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* A mutex would let a busy writer thread overtake a waiting reader for ever; tickets are served in order. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t served = PTHREAD_COND_INITIALIZER;
static uint64_t next_ticket, now_serving;

static atomic_bool initialised;
static int64_t abandoned; /* ids of files given up; only touched inside the room */
static _Thread_local char last_reason[512];

static herr_t keep_reason(hid_t stack, void *context);

void h5_enter(void)
{
    pthread_mutex_lock(&mutex);
    uint64_t ticket = next_ticket++;
    while (ticket != now_serving) pthread_cond_wait(&served, &mutex);
    pthread_mutex_unlock(&mutex);
    if (!initialised) {
        H5dont_atexit(); /* after a failure nothing may be written at exit; everything else is closed by then */
        H5open();
        initialised = true;
    }
    /* Of this thread; each time, since the high-level library forgets to set it back where it fails itself. */
    H5Eset_auto2(H5E_DEFAULT, keep_reason, NULL);
    h5_forget_reason();
}

void h5_leave(void)
{
    pthread_mutex_lock(&mutex);
    now_serving++;
    pthread_cond_broadcast(&served);
    pthread_mutex_unlock(&mutex);
}

/* ---- messages ------------------------------------------------------------------------------------------ */

static herr_t take_innermost(unsigned n, const H5E_error2_t *error, void *context)
{
    (void)context;
    if (n == 0) snprintf(last_reason, sizeof last_reason, "%s", error->desc ? error->desc : "");
    return 0;
}

/* HDF5 calls this instead of printing, while its stack of messages is there: the next call, even one that closes
 * something, would clear it. */
static herr_t keep_reason(hid_t stack, void *context)
{
    H5Ewalk2(stack, H5E_WALK_UPWARD, take_innermost, context);
    return 0;
}

/* HDF5 describes a failed system call in a long line; the part that matters is error message = '…'. And its advice to
 * use h5clear would destroy a killed run: -s alone cuts the file off at a stale end. */
static void shorten(char *reason)
{
    static const char key[] = "error message = '";
    char *advice = strstr(reason, " (may use <h5clear");
    if (advice) *advice = '\0';
    char *quoted = strstr(reason, key);
    char *end = quoted ? strchr(quoted + sizeof key - 1, '\'') : NULL;
    if (!end) return;
    *end = '\0';
    quoted += sizeof key - 1;
    memmove(reason, quoted, strlen(quoted) + 1);
}

const char *h5_reason(void)
{
    shorten(last_reason);
    return last_reason;
}

void h5_forget_reason(void) { *last_reason = '\0'; }

sonde_status h5_fail(sonde_status code, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sonde_status status = *last_reason ? sonde_fail(code, "%s: %s", text, h5_reason()) : sonde_fail(code, "%s", text);
    h5_forget_reason();
    return status;
}

/* ---- files and ids ------------------------------------------------------------------------------------- */

hid_t h5_file_access(H5F_libver_t low)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) return access;
    /* Our own lock tells a live run from a dead one, and HDF5 drops its lock at the start of SWMR anyway. */
    if (H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0 || H5Pset_libver_bounds(access, low, H5F_LIBVER_V110) < 0 ||
        H5Pset_file_locking(access, false, true) < 0) {
        H5Pclose(access);
        return H5I_INVALID_HID;
    }
    return access;
}

static int64_t count_ids(hid_t file)
{
    ssize_t n = H5Fget_obj_count(file, H5F_OBJ_ALL);
    return n > 0 ? n : 0;
}

void h5_abandon(hid_t file) { abandoned += count_ids(file); }

int64_t sonde_h5_open_ids(void)
{
    if (!initialised) return 0;
    h5_enter();
    int64_t n = count_ids((hid_t)H5F_OBJ_ALL) - abandoned;
    h5_leave();
    return n;
}

#define TEXT_OF(x) #x
#define VERSION_OF(major, minor, release) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(release)

/* HDF5 itself refuses to start with a library other than its header's. */
const char *sonde_h5_library_version(void) { return VERSION_OF(H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE); }
