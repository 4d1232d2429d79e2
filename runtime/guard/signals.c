/* The first signal asks for an end, the second enforces it. */
#include "guard/guard.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct watched {
    int number;
    bool ignored; /* only put to sleep */
} watched[] = {{SIGINT, false}, {SIGTERM, false}, {SIGXFSZ, true}};
enum { N_WATCHED = sizeof watched / sizeof watched[0] };

static volatile sig_atomic_t pending;
static int depth;
static struct sigaction before[N_WATCHED];

static void on_signal(int number)
{
    if (pending != 0) _exit(128 + number);
    pending = number;
}

static void restore(int n)
{
    while (n-- > 0) sigaction(watched[n].number, &before[n], NULL);
}

sonde_status sonde_signals_begin(void)
{
    if (depth++ > 0) return SONDE_OK;
    pending = 0;
    for (int i = 0; i < N_WATCHED; i++) {
        /* Calls that wait (a write to the file) go on after the first signal. */
        struct sigaction action = {.sa_handler = watched[i].ignored ? SIG_IGN : on_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
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
