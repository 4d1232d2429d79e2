/* The first signal asks for an end, the second insists, the third enforces it. */
#include "guard/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct watched {
    int number;
    bool ignored; /* only put to sleep */
} watched[] = {{SIGINT, false}, {SIGTERM, false}, {SIGHUP, false}, {SIGXFSZ, true}};
enum { N_WATCHED = sizeof watched / sizeof watched[0] };

static volatile sig_atomic_t pending, count;
static int depth;
static pthread_t watcher; /* the thread that began the outermost watch */
static struct sigaction before[N_WATCHED];
static void (*on_second)(void *context);
static void *on_second_context;

/* A line on stderr by what a signal handler may call; on a terminal it begins below the progress bar and the "^C". */
static void say(const char *text)
{
    const char *parts[] = {isatty(STDERR_FILENO) ? "\n" : "", "sonde: ", text, "\n"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        ssize_t written = write(STDERR_FILENO, parts[i], strlen(parts[i]));
        (void)written; /* nobody is there to be told */
    }
}

static void on_signal(int number)
{
    int saved = errno;
    if (!pthread_equal(pthread_self(), watcher)) {
        pthread_kill(watcher, number); /* a thread of some other library was chosen */
    } else if (count == 0) {
        pending = number;
        count = 1;
        say("stopping at the end of this step; once more to stop at once");
    } else if (count == 1) {
        count = 2;
        if (on_second != NULL) on_second(on_second_context);
        say("stopping at once; once more to leave the file unfinished");
    } else {
        _exit(128 + number);
    }
    errno = saved;
}

static void restore(int n)
{
    while (n-- > 0) sigaction(watched[n].number, &before[n], NULL);
}

sonde_status sonde_signals_begin(void)
{
    if (depth++ > 0) return SONDE_OK;
    pending = count = 0;
    watcher = pthread_self();
    for (int i = 0; i < N_WATCHED; i++) {
        /* Calls that wait (a write to the file) go on after the first signals. */
        struct sigaction action = {.sa_handler = watched[i].ignored ? SIG_IGN : on_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        for (int k = 0; k < N_WATCHED; k++) sigaddset(&action.sa_mask, watched[k].number); /* one at a time */
        bool failed = sigaction(watched[i].number, NULL, &before[i]) != 0;
        if (!failed && before[i].sa_handler != SIG_IGN) failed = sigaction(watched[i].number, &action, NULL) != 0;
        if (failed) {
            int code = errno;
            restore(i);
            depth = 0;
            return sonde_fail(SONDE_ESTATE, "cannot watch signal %d: %s", watched[i].number, strerror(code));
        }
    }
    return SONDE_OK;
}

void sonde_signals_end(void)
{
    if (depth == 0 || --depth > 0) return;
    restore(N_WATCHED);
}

int sonde_signals_pending(void)
{
    return pending;
}

int sonde_signals_count(void)
{
    return count;
}

void sonde_signals_on_second(void (*stop)(void *context), void *context)
{
    on_second = NULL; /* never one's function with another's context */
    on_second_context = context;
    on_second = stop;
}
