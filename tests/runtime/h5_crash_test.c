/* h5: what is left after a kill at any moment, on a full disk, and of damaged files.
 *
 * The replay is exhaustive: HDF5's writes to FILE.part pass through the pwrite and ftruncate below, which log them;
 * every prefix of that log is what some SIGKILL would have left. Each is rebuilt, recovered and read back, and must
 * hold every row that was flushed by then. */
#include "h5_lab.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- the log ------------------------------------------------------------------------------------------- */

typedef struct entry {
    off_t at;     /* of the bytes; for a truncation the new size */
    size_t n;
    char *bytes;  /* NULL: a truncation */
    int64_t rows; /* of /metrics known to be flushed before this write */
} entry;

static entry *entries;
static size_t n_entries;
static char watched[64]; /* the file's name, "" for none */
static int64_t flushed;

static bool is_watched(int fd)
{
    char link[64], target[512];
    if (!*watched) return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n < 0) return false;
    target[n] = '\0';
    const char *slash = strrchr(target, '/');
    return slash && !strcmp(slash + 1, watched);
}

static void log_write(off_t at, size_t n, const void *bytes)
{
    entries = realloc(entries, (n_entries + 1) * sizeof *entries);
    entry *e = &entries[n_entries++];
    *e = (entry){ .at = at, .n = n, .bytes = bytes ? malloc(n + 1) : NULL };
    e->rows = __atomic_load_n(&flushed, __ATOMIC_ACQUIRE);
    if (bytes) memcpy(e->bytes, bytes, n);
}

/* Visible to libhdf5, whatever the build says of visibility. */
__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
    if (is_watched(fd)) log_write(at, n, bytes);
    return real(fd, bytes, n, at);
}

__attribute__((visibility("default"))) int ftruncate(int fd, off_t size)
{
    int (*real)(int, off_t) = dlsym(RTLD_NEXT, "ftruncate");
    if (is_watched(fd)) log_write(size, 0, NULL);
    return real(fd, size);
}

static void forget_log(void)
{
    for (size_t i = 0; i < n_entries; i++) free(entries[i].bytes);
    free(entries);
    entries = NULL;
    n_entries = 0;
    watched[0] = '\0';
    flushed = 0;
}

/* ---- every prefix -------------------------------------------------------------------------------------- */

/* The file after one more write. */
typedef struct image {
    char *bytes;
    size_t size, capacity;
} image;

static void play(image *file, const entry *e)
{
    size_t end = (size_t)e->at + e->n;
    if (end > file->capacity) {
        file->bytes = realloc(file->bytes, end);
        memset(file->bytes + file->capacity, 0, end - file->capacity);
        file->capacity = end;
    }
    if (e->bytes) memcpy(file->bytes + e->at, e->bytes, e->n);
    if (!e->bytes && end < file->size) memset(file->bytes + end, 0, file->size - end);
    if (!e->bytes || end > file->size) file->size = end;
}

static void store(const char *path, const char *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(bytes, 1, size, f) == size && !fclose(f));
}

/* A run of `steps` steps, flushed after every `chunk`th. */
static void log_a_run(int64_t steps, int64_t chunk)
{
    lab l = lab_new();
    sonde_h5_writer *w;
    sonde_h5_run run = lab_run("logged.h5", false);
    snprintf(watched, sizeof watched, "logged.h5.part");
    CHECK(sonde_h5_writer_open(&w, &run) == SONDE_OK);
    CHECK(sonde_h5_writer_start(w, l.history) == SONDE_OK);
    for (int64_t step = 1; step <= steps; step++) {
        CHECK(lab_step(&l, step) == SONDE_OK);
        if (step % chunk) continue;
        CHECK(sonde_h5_writer_flush(w) == SONDE_OK);
        __atomic_store_n(&flushed, step, __ATOMIC_RELEASE);
    }
    sonde_h5_end end = lab_end(steps);
    CHECK(sonde_h5_writer_finish(w, &end) == SONDE_OK);
    sonde_h5_writer_free(w);
    sonde_history_free(l.history);
    watched[0] = '\0';
}

/* What `show` sees of the same file, unrecovered: every flushed row too. */
static void look_at_prefix(int64_t rows)
{
    sonde_h5_file *f;
    sonde_h5_info info;
    if (sonde_h5_open(&f, "replay.h5.part", "r") == SONDE_OK) {
        CHECK(rows == 0 || (sonde_h5_inspect(f, "/metrics/step", &info) == SONDE_OK && info.shape[0] >= rows));
        CHECK(sonde_h5_close(f) == SONDE_OK);
    } else if (!CHECK(rows == 0 && lab_says("replay.h5.part"))) {
        printf("       %s\n", sonde_message());
    }
}

static void every_prefix_is_recovered(void)
{
    log_a_run(135, 15);
    image file = { 0 };
    int recovered = 0, empty = 0;
    for (size_t i = 0; i < n_entries; i++) {
        play(&file, &entries[i]);
        sonde_h5_recovered out;
        store("replay.h5.part", file.bytes, file.size);
        if (i % 5 == 0) look_at_prefix(entries[i].rows);
        sonde_status status = sonde_h5_recover("replay.h5.part", true, &out);
        if (status == SONDE_OK) {
            if (lab_check_file("replay.h5", entries[i].rows, "recovered") < 0) printf("       after write %zu\n", i);
            recovered++;
        } else if (!CHECK(status == SONDE_EFORMAT && entries[i].rows == 0)) {
            printf("       after write %zu of %zu, %lld rows flushed: %s\n", i, n_entries, (long long)entries[i].rows,
                   sonde_message());
        } else {
            empty++;
        }
    }
    free(file.bytes);
    printf("   %zu points: %d recovered with every flushed row, %d before the first flush\n", n_entries, recovered,
           empty);
    CHECK(recovered > 200);
    forget_log();
    unlink("replay.h5.part");
}

/* ---- a real kill --------------------------------------------------------------------------------------- */

/* Writes for ever and reports every flush. */
static void write_for_ever(int report)
{
    lab l = lab_new();
    sonde_h5_writer *w;
    sonde_h5_run run = lab_run("killed.h5", true);
    if (sonde_h5_writer_open(&w, &run) != SONDE_OK) _exit(1);
    for (int64_t step = 1;; step++) {
        if (lab_step(&l, step) != SONDE_OK) _exit(2);
        if (step == 1 && sonde_h5_writer_start(w, l.history) != SONDE_OK) _exit(3);
        if (step % 20 == 0) sonde_h5_writer_late_number(w, "metrics", "late", step - 1, (double)step);
        if (step % 50 == 0 && sonde_h5_writer_flush(w) != SONDE_OK) _exit(4);
        if (step % 50 == 0 && write(report, &step, sizeof step) != sizeof step) _exit(5);
    }
}

static int64_t kill_after(int milliseconds)
{
    int ends[2];
    int64_t rows = 0, step;
    CHECK(!pipe(ends));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        write_for_ever(ends[1]);
    }
    close(ends[1]);
    usleep((useconds_t)milliseconds * 1000);
    CHECK(!kill(child, SIGKILL));
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    while (read(ends[0], &step, sizeof step) == sizeof step) rows = step;
    close(ends[0]);
    return rows;
}

static void a_kill_loses_no_flushed_row(void)
{
    for (int i = 0; i < 20; i++) {
        int64_t rows = kill_after(30 + i * 17);
        sonde_h5_recovered out;
        sonde_status status = sonde_h5_recover("killed.h5.part", true, &out);
        if (rows == 0 && status != SONDE_OK) continue; /* too early for a flush */
        if (!CHECK(status == SONDE_OK)) printf("       %s\n", sonde_message());
        CHECK(!out.side_lost && out.n_steps >= rows);
        CHECK(lab_check_file("killed.h5", rows, "recovered") >= rows);
        sonde_h5_file *f;
        sonde_h5_value late;
        if (rows == 0 || !CHECK(sonde_h5_open(&f, "killed.h5", "r") == SONDE_OK)) continue;
        if (CHECK(sonde_h5_read(f, "/metrics/late", SONDE_H5_NATURAL, NULL, &late) == SONDE_OK)) {
            CHECK(((double *)late.data)[19] == 20.0 && isnan(((double *)late.data)[18]));
            sonde_h5_value_free(&late);
        }
        sonde_h5_close(f);
    }
    CHECK(sonde_h5_open_ids() == 0);
}

/* ---- a full disk --------------------------------------------------------------------------------------- */

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    CHECK(!getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = bytes;
    CHECK(!setrlimit(RLIMIT_FSIZE, &limit));
}

/* Writes until it fails; the last step whose flush succeeded. */
static int64_t write_until_full(const char *path)
{
    lab l = lab_new();
    sonde_h5_writer *w;
    sonde_h5_run run = lab_run(path, true);
    int64_t rows = 0;
    sonde_status status = sonde_h5_writer_open(&w, &run);
    if (!CHECK(status == SONDE_OK)) return 0;
    status = sonde_h5_writer_start(w, l.history);
    for (int64_t step = 1; status == SONDE_OK && step < 1000000; step++) {
        status = lab_step(&l, step);
        if (status != SONDE_OK || step % 64) continue;
        status = sonde_h5_writer_flush(w);
        if (status == SONDE_OK) rows = step;
    }
    CHECK(status == SONDE_EIO && lab_says("sonde recover") && lab_says(path));
    if (!CHECK(lab_says("No space left on device") || lab_says("File too large")))
        printf("       %s\n", sonde_message());
    CHECK(sonde_h5_writer_check(w) == SONDE_EIO);
    CHECK(lab_step(&l, 1000000) == SONDE_EIO && lab_says("sonde recover"));
    sonde_h5_end end = lab_end(rows);
    CHECK(sonde_h5_writer_finish(w, &end) == SONDE_EIO && lab_says("sonde recover"));
    sonde_h5_writer_free(w);
    sonde_history_free(l.history);
    CHECK(sonde_h5_open_ids() == 0);
    return rows;
}

/* In a child: HDF5 keeps the file that it could not write open, and with it the space. */
static void fill_and_recover(const char *path)
{
    int64_t rows = 0;
    int ends[2], status;
    CHECK(!pipe(ends));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        rows = write_until_full(path);
        fflush(stdout);
        _exit(write(ends[1], &rows, sizeof rows) == sizeof rows && !check_failures ? 0 : 1);
    }
    CHECK(read(ends[0], &rows, sizeof rows) == sizeof rows && rows > 0);
    close(ends[0]);
    close(ends[1]);
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    sonde_h5_recovered out;
    char command[256];
    limit_file_size(RLIM_INFINITY);
    if (strchr(path, '/')) { /* room is made by moving it to another disk */
        snprintf(command, sizeof command, "mv %s.part full.h5.part", path);
        CHECK(!system(command));
    }
    if (!CHECK(sonde_h5_recover("full.h5.part", true, &out) == SONDE_OK)) printf("       %s\n", sonde_message());
    CHECK(lab_check_file("full.h5", rows, "recovered") >= rows);
}

static void a_full_disk_is_told_and_loses_nothing(void)
{
    CHECK(!mkdir("disk", 0700));
    bool mounted = mount("none", "disk", "tmpfs", 0, "size=1m") == 0;
    if (mounted) {
        for (int i = 0; i < 4; i++) { /* another size: the write that fails is another one */
            char size[32];
            snprintf(size, sizeof size, "size=%dk", 900 + i * 68);
            CHECK(!mount("none", "disk", "tmpfs", MS_REMOUNT, size));
            fill_and_recover("disk/full.h5");
        }
        CHECK(!umount2("disk", MNT_DETACH));
    } else {
        printf("   no tmpfs can be mounted here: only the limit on file size is tried\n");
    }
    CHECK(!rmdir("disk"));
}

static void a_limit_on_file_size_too(void)
{
    limit_file_size(700000);
    fill_and_recover("full.h5");
}

static void a_save_that_fails_leaves_nothing(void)
{
    lab l = lab_new();
    sonde_h5_run run = lab_run("unsaved.h5", false);
    sonde_h5_end end = lab_end(2000);
    for (int64_t step = 1; step <= 2000; step++) CHECK(lab_step(&l, step) == SONDE_OK);
    limit_file_size(100000);
    sonde_status status = sonde_h5_save(l.history, &run, &end);
    bool told = lab_says("File too large");
    limit_file_size(RLIM_INFINITY);
    CHECK(status == SONDE_EIO && told);
    CHECK(!lab_exists("unsaved.h5") && !lab_exists("unsaved.h5.part") && !lab_exists("unsaved.h5.tmp"));
    CHECK(sonde_h5_save(l.history, &run, &end) == SONDE_OK);
    CHECK(lab_check_file("unsaved.h5", 2000, "complete") == 2000);
    sonde_history_free(l.history);
    CHECK(sonde_h5_open_ids() == 0);
}

/* ---- the marks of a writer ----------------------------------------------------------------------------- */

static bool hide_private; /* as if this HDF5 had no properties that clear them */

__attribute__((visibility("default"))) int H5Pexist(int64_t list, const char *name);
int H5Pexist(int64_t list, const char *name)
{
    int (*real)(int64_t, const char *) = (int (*)(int64_t, const char *))dlsym(RTLD_NEXT, "H5Pexist");
    return hide_private && strstr(name, "clear_status_flags") ? 0 : real(list, name);
}

/* A child opens a run, starts it or not, writes some steps, and is gone. */
static void leave_part(const char *path, int64_t steps)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        lab l = lab_new();
        sonde_h5_writer *w;
        sonde_h5_run run = lab_run(path, true);
        if (sonde_h5_writer_open(&w, &run) != SONDE_OK) _exit(1);
        if (steps > 0 && sonde_h5_writer_start(w, l.history) != SONDE_OK) _exit(2);
        for (int64_t step = 1; step <= steps; step++)
            if (lab_step(&l, step) != SONDE_OK) _exit(3);
        _exit(steps == 0 || sonde_h5_writer_flush(w) == SONDE_OK ? 0 : 4);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_part_opens_whatever_its_marks(void)
{
    sonde_h5_file *f;
    sonde_h5_value value;
    sonde_h5_recovered out;
    leave_part("early.h5", 0); /* killed before SWMR: no reader may open it, says HDF5 */
    if (CHECK(sonde_h5_open(&f, "early.h5.part", "r") == SONDE_OK)) {
        CHECK(sonde_h5_is_live(f) && !sonde_h5_has_writer(f));
        CHECK(sonde_h5_read_attribute(f, "/", "name", &value) == SONDE_OK && !strcmp(((char **)value.data)[0], "lab"));
        sonde_h5_value_free(&value);
        CHECK(sonde_h5_close(f) == SONDE_OK);
    } else {
        printf("       %s\n", sonde_message());
    }
    CHECK(sonde_h5_recover("early.h5.part", false, &out) == SONDE_EFORMAT && lab_says("before its first rows"));
    CHECK(lab_exists("early.h5.part"));
    if (system("command -v h5clear >/dev/null")) {
        printf("   h5clear is not installed: going without HDF5's private properties is not tried\n");
        return;
    }
    hide_private = true;
    CHECK(sonde_h5_open(&f, "early.h5.part", "r") == SONDE_OK && sonde_h5_close(f) == SONDE_OK);
    leave_part("marked.h5", 130);
    if (CHECK(sonde_h5_recover("marked.h5.part", false, &out) == SONDE_OK))
        CHECK(lab_check_file("marked.h5", 130, "recovered") == 130);
    leave_part("marked.h5", 130);
    CHECK(!setenv("PATH", "/nowhere", 1));
    CHECK(sonde_h5_recover("marked.h5.part", true, &out) == SONDE_EIO && lab_says("hdf5-tools"));
    CHECK(lab_exists("marked.h5.part"));
    hide_private = false;
}

/* ---- damaged files ------------------------------------------------------------------------------------- */

static char *whole_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    struct stat info;
    CHECK(f && !fstat(fileno(f), &info));
    char *bytes = malloc((size_t)info.st_size);
    *size = fread(bytes, 1, (size_t)info.st_size, f);
    fclose(f);
    return bytes;
}

/* Everything that `show` would do; nothing may crash, and every failure has a message. */
static void visit(sonde_h5_file *f, const char *path, int depth)
{
    sonde_h5_info info;
    sonde_h5_value value, names = { 0 };
    if (sonde_h5_list_attributes(f, path, &names) == SONDE_OK) {
        for (int64_t i = 0; i < names.shape[0]; i++)
            if (sonde_h5_read_attribute(f, path, ((char **)names.data)[i], &value) == SONDE_OK)
                sonde_h5_value_free(&value);
        sonde_h5_value_free(&names);
    }
    if (sonde_h5_inspect(f, path, &info) != SONDE_OK) return;
    if (info.kind == SONDE_H5_DATASET) {
        if (sonde_h5_axes(f, path, &value) == SONDE_OK) sonde_h5_value_free(&value);
        if (sonde_h5_read(f, path, SONDE_H5_NATURAL, NULL, &value) == SONDE_OK) sonde_h5_value_free(&value);
    }
    if (info.kind != SONDE_H5_GROUP || depth > 4 || sonde_h5_list(f, path, &names) != SONDE_OK) return;
    for (int64_t i = 0; i < names.shape[0]; i++) {
        char child[512];
        snprintf(child, sizeof child, "%s%s%s", path, path[1] ? "/" : "", ((char **)names.data)[i]);
        visit(f, child, depth + 1);
    }
    sonde_h5_value_free(&names);
}

static void try_damaged(const char *bytes, size_t size)
{
    sonde_h5_file *f;
    sonde_h5_recovered out;
    store("damaged.h5", bytes, size);
    if (sonde_h5_open(&f, "damaged.h5", "r") == SONDE_OK) {
        visit(f, "/", 0);
        sonde_h5_close(f);
    } else {
        CHECK(lab_says("damaged.h5"));
    }
    CHECK(!rename("damaged.h5", "damaged.h5.part"));
    if (sonde_h5_recover("damaged.h5.part", true, &out) != SONDE_OK && !CHECK(lab_says("damaged.h5.part")))
        printf("       %s\n", sonde_message());
    unlink("damaged.h5");
    unlink("damaged.h5.part");
}

static void damage_is_survived(void)
{
    lab l = lab_new();
    sonde_h5_run run = lab_run("good.h5", true);
    sonde_h5_end end = lab_end(60);
    size_t size;
    for (int64_t step = 1; step <= 60; step++) CHECK(lab_step(&l, step) == SONDE_OK);
    CHECK(sonde_h5_save(l.history, &run, &end) == SONDE_OK);
    sonde_history_free(l.history);
    char *good = whole_file("good.h5", &size), *bad = malloc(size);
    for (size_t cut = 0; cut < size; cut += size / 60 + 1) try_damaged(good, cut);
    sonde_stream stream;
    sonde_stream_init(&stream, 7, "damage");
    for (int i = 0; i < 100; i++) { /* a few bytes, a zeroed sector */
        memcpy(bad, good, size);
        for (int k = 0; k < 4; k++)
            bad[sonde_stream_integer(&stream, 0, (int64_t)size - 1)] = (char)sonde_stream_u32(&stream);
        if (i % 4 == 0) memset(bad + sonde_stream_integer(&stream, 0, (int64_t)size - 513), 0, 512);
        try_damaged(bad, size);
    }
    memset(bad, 'x', size);
    try_damaged(bad, size);
    free(good);
    free(bad);
    CHECK(sonde_h5_open_ids() == 0);
}

static void recover_explains_itself(void)
{
    sonde_h5_recovered out;
    sonde_h5_file *f;
    CHECK(sonde_h5_recover("good.h5", false, &out) == SONDE_EARG && lab_says("FILE.part"));
    CHECK(sonde_h5_recover("missing.h5.part", false, &out) == SONDE_EIO && lab_says("missing.h5.part"));
    store("text.h5.part", "no file of ours", 15);
    CHECK(sonde_h5_recover("text.h5.part", false, &out) == SONDE_EFORMAT && lab_exists("text.h5.part"));
    CHECK(!lab_says("h5clear"));
    CHECK(sonde_h5_open(&f, "foreign.h5", "w") == SONDE_OK && sonde_h5_close(f) == SONDE_OK);
    CHECK(!rename("foreign.h5", "foreign.h5.part"));
    CHECK(sonde_h5_recover("foreign.h5.part", false, &out) == SONDE_EFORMAT && lab_says("not the file of a sonde run"));
    CHECK(!mkdir("folder.part", 0700) && sonde_h5_recover("folder.part", false, &out) == SONDE_EFORMAT);
    CHECK(!rmdir("folder.part"));
}

int main(void)
{
    size_t before = sonde_memory().live_blocks;
    signal(SIGXFSZ, SIG_IGN); /* a write past the limit fails instead */
    lab_enter_folder();
    CHECK_RUN(every_prefix_is_recovered);
    CHECK_RUN(a_kill_loses_no_flushed_row);
    CHECK_RUN(damage_is_survived);
    CHECK_RUN(recover_explains_itself);
    const char *path = getenv("PATH");
    char *before_path = strdup(path ? path : "/usr/bin:/bin");
    CHECK_RUN(a_part_opens_whatever_its_marks);
    CHECK(!setenv("PATH", before_path, 1));
    free(before_path);
    CHECK(sonde_h5_open_ids() == 0);
    CHECK_RUN(a_full_disk_is_told_and_loses_nothing);
    CHECK_RUN(a_limit_on_file_size_too);
    CHECK_RUN(a_save_that_fails_leaves_nothing);
    CHECK(sonde_memory().live_blocks == before);
    lab_leave_folder();
    CHECK_END();
}
