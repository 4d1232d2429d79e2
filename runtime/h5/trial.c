/* Reading a file in a child process first.
 *
 * HDF5 1.10 checks almost all it reads, but not the heaps that hold strings of variable length: one wrong byte there,
 * and reading an attribute crashes the process or never ends. So before such data of a file that may be damaged are
 * read here, a child reads them all; if it does not survive, the file is refused. */
#include "h5/room.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STRINGS_AT_ONCE = 1 << 16, SECONDS_FOR_EACH = 5 };

/* Does reading this type touch the heaps? */
static bool is_variable(hid_t type)
{
    if (H5Tget_class(type) == H5T_STRING) return H5Tis_variable_str(type) > 0;
    return H5Tdetect_class(type, H5T_VLEN) > 0 || H5Tdetect_class(type, H5T_STRING) > 0;
}

/* The child allocates with malloc, since another thread's locks on our memory are lost to it, and leaves texts where
 * they are: it ends soon. Ids are closed: HDF5 goes through all that are open for each attribute. */
static herr_t read_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    (void)info, (void)context;
    scoped hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    scoped hid_t stored = attribute < 0 ? attribute : H5Aget_type(attribute);
    scoped hid_t space = attribute < 0 ? attribute : H5Aget_space(attribute);
    if (stored < 0 || space < 0 || !is_variable(stored)) return 0;
    scoped hid_t type = H5Tget_native_type(stored, H5T_DIR_DEFAULT);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    void *data = n > 0 && type >= 0 ? calloc((size_t)n, H5Tget_size(type)) : NULL;
    if (data) H5Aread(attribute, type, data);
    free(data);
    return 0;
}

static void read_slabs(hid_t dataset, hid_t type, hid_t space, int ndim, const hsize_t *shape)
{
    hsize_t row = 1, start[H5S_MAX_RANK] = { 0 }, count[H5S_MAX_RANK];
    for (int d = 1; d < ndim; d++) row *= count[d] = shape[d];
    if (row == 0 || row > STRINGS_AT_ONCE * (hsize_t)64) return;
    hsize_t rows = STRINGS_AT_ONCE / row ? STRINGS_AT_ONCE / row : 1;
    for (start[0] = 0; start[0] < shape[0]; start[0] += rows) {
        alarm(SECONDS_FOR_EACH);
        count[0] = shape[0] - start[0] < rows ? shape[0] - start[0] : rows;
        scoped hid_t memory = H5Screate_simple(ndim, count, NULL);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
        void *data = calloc((size_t)(count[0] * row), H5Tget_size(type));
        if (!data || H5Dread(dataset, type, memory, space, H5P_DEFAULT, data) < 0) return;
        H5Dvlen_reclaim(type, memory, H5P_DEFAULT, data);
        free(data);
    }
}

static void read_variable_dataset(hid_t dataset)
{
    scoped hid_t stored = H5Dget_type(dataset);
    scoped hid_t space = H5Dget_space(dataset);
    if (stored < 0 || space < 0 || !is_variable(stored)) return;
    scoped hid_t type = H5Tget_native_type(stored, H5T_DIR_DEFAULT);
    hsize_t shape[H5S_MAX_RANK] = { 1 };
    int ndim = H5Sget_simple_extent_dims(space, shape, NULL);
    if (type < 0 || ndim < 0 || H5Sget_simple_extent_type(space) == H5S_NULL) return;
    if (ndim > 0) {
        read_slabs(dataset, type, space, ndim, shape);
    } else {
        void *data = calloc(1, H5Tget_size(type));
        if (data) H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    }
}

/* H5Ovisit would stop at the first damaged object; groups that were seen are remembered, since links can form rings. */
typedef struct seen {
    haddr_t *group;
    size_t n;
} seen;

static bool is_new(seen *groups, hid_t group)
{
    H5O_info_t info;
    if (H5Oget_info2(group, &info, H5O_INFO_BASIC) < 0) return false;
    for (size_t i = 0; i < groups->n; i++)
        if (groups->group[i] == info.addr) return false;
    haddr_t *grown = realloc(groups->group, (groups->n + 1) * sizeof *grown);
    if (!grown) return false;
    groups->group = grown;
    grown[groups->n++] = info.addr;
    return true;
}

static herr_t read_object(hid_t parent, const char *name, const H5L_info_t *link, void *context)
{
    if (link && link->type != H5L_TYPE_HARD) return 0;
    alarm(SECONDS_FOR_EACH);
    scoped hid_t object = H5Oopen(parent, name, H5P_DEFAULT);
    if (object < 0) return 0;
    hsize_t at = 0;
    H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, &at, read_attribute, NULL);
    if (H5Iget_type(object) == H5I_DATASET) read_variable_dataset(object);
    at = 0;
    if (H5Iget_type(object) == H5I_GROUP && is_new(context, object))
        H5Literate(object, H5_INDEX_NAME, H5_ITER_NATIVE, &at, read_object, context);
    return 0;
}

/* The child: dies quietly, whatever the host does with signals, or says that it has lived. */
static void live_through(hid_t file, int survived)
{
    struct rlimit no_core = { 0, 0 };
    sigset_t none;
    sigemptyset(&none);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setrlimit(RLIMIT_CORE, &no_core);
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0) dup2(nowhere, STDERR_FILENO); /* glibc has words for a damaged heap */
    read_object(file, "/", NULL, &(seen){ 0 });
    _exit(write(survived, "", 1) == 1 ? 0 : 1);
}

sonde_status h5_try(hid_t file, const char *what)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return SONDE_OK; /* no descriptors left: whatever comes next will say so */
    pid_t child = fork();
    if (child == 0) live_through(file, ends[1]);
    close(ends[1]);
    char survived;
    ssize_t n = 0;
    do n = read(ends[0], &survived, 1);
    while (n < 0 && errno == EINTR);
    close(ends[0]);
    if (child < 0) return SONDE_OK;
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
    return n == 1 ? SONDE_OK : sonde_fail(SONDE_EFORMAT, "%s is damaged: its strings cannot be read", what);
}
