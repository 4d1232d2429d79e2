/* core.system: the build, the machine, the clock, the terminal, signals. */
#include "bind/state.h"
#include "guard/guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SONDE_FLAGS /* set by CMake for this file */
#define SONDE_FLAGS ""
#endif

/* The vector extensions this build may use, and those the processor has: results of two builds or processors are only
 * then the same bits if these agree. */
#ifdef __clang__
#define COMPILER __VERSION__ /* "Debian Clang 14.0.6" */
#else
#define COMPILER "gcc " __VERSION__
#endif

static const char built_for[] = ""
#ifdef __SSE4_2__
    "sse4.2 "
#endif
#ifdef __AVX__
    "avx "
#endif
#ifdef __AVX2__
    "avx2 "
#endif
#ifdef __FMA__
    "fma "
#endif
#ifdef __AVX512F__
    "avx512f "
#endif
#ifdef __AVX512BW__
    "avx512bw "
#endif
#ifdef __aarch64__
    "aarch64 "
#endif
#ifdef __SANITIZE_ADDRESS__
    "address-sanitizer "
#endif
    ;

static void push_processor_features(lua_State *L)
{
    luaL_Buffer text;
    luaL_buffinit(L, &text);
#ifdef __x86_64__
    __builtin_cpu_init();
#define FEATURE(name) if (__builtin_cpu_supports(name)) luaL_addstring(&text, name " ")
    FEATURE("sse4.2");
    FEATURE("avx");
    FEATURE("avx2");
    FEATURE("fma");
    FEATURE("avx512f");
    FEATURE("avx512bw");
#undef FEATURE
#endif
    luaL_pushresult(&text);
}

/* What the BLAS says of itself (OpenBLAS: version, options, the kernel it chose); "" if it says nothing. */
static const char *blas(void)
{
    char *(*config)(void);
    void *symbol = dlsym(RTLD_DEFAULT, "openblas_get_config");
    if (symbol == NULL) return "";
    memcpy(&config, &symbol, sizeof config); /* ISO C has no cast from object to function pointers */
    return config();
}

/* Facts about the build and the processor, as one table of texts. */
static int build(lua_State *L)
{
    lua_createtable(L, 0, 8);
    const struct {
        const char *name, *text;
    } facts[] = {
        {"sonde", SONDE_VERSION}, {"compiler", COMPILER}, {"flags", SONDE_FLAGS}, {"built_for", built_for},
        {"lua", LUA_RELEASE},     {"blas", blas()},
    };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        lua_pushstring(L, facts[i].text);
        lua_setfield(L, -2, facts[i].name);
    }
    push_processor_features(L);
    lua_setfield(L, -2, "cpu_features");
    return 1;
}

static int clock_seconds(lua_State *L)
{
    lua_pushnumber(L, sonde_clock());
    return 1;
}

static int now(lua_State *L)
{
    char text[32];
    sonde_clock_iso(text);
    lua_pushstring(L, text);
    return 1;
}

/* system.isatty(1 or 2) */
static int is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* system.width(): columns of the terminal at stderr; if it does not say, those of COLUMNS; else 80 */
static int width(lua_State *L)
{
    struct winsize size = {0};
    const char *text = getenv("COLUMNS");
    long columns = text != NULL ? strtol(text, NULL, 10) : 0;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) columns = size.ws_col;
    lua_pushinteger(L, columns > 0 ? columns : 80);
    return 1;
}

static int watch_signals(lua_State *L)
{
    sonde_bind_check(L, sonde_signals_begin());
    return 0;
}

static int unwatch_signals(lua_State *L)
{
    (void)L;
    sonde_signals_end();
    return 0;
}

/* system.signal(): the number of the signal that came, nil if none did */
static int pending_signal(lua_State *L)
{
    int signal = sonde_signals_pending();
    if (signal == 0) return 0;
    lua_pushinteger(L, signal);
    return 1;
}

/* system.apart(): from here on a child process goes on, and this one waits for its end. Nothing in the child. In the
 * parent its exit code, 128 + n where signal n ended it, and then whether that was a crash; nothing too where there can
 * be no child. */
static int apart(lua_State *L)
{
    fflush(NULL);
    pid_t parent = getpid(), child = fork();
    if (child < 0) return 0;
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        return 0;
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    int n = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    lua_pushinteger(L, n ? 128 + n : WEXITSTATUS(status));
    lua_pushboolean(L, n == SIGSEGV || n == SIGBUS || n == SIGABRT || n == SIGFPE || n == SIGILL);
    return 2;
}

static const luaL_Reg functions[] = {
    {"apart", apart},
    {"build", build},
    {"clock", clock_seconds},
    {"now", now},
    {"isatty", is_terminal},
    {"width", width},
    {"watch_signals", watch_signals},
    {"unwatch_signals", unwatch_signals},
    {"signal", pending_signal},
    {NULL, NULL},
};

int sonde_bind_system(lua_State *L)
{
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    sonde_bind_interrupt(L);
    return 1;
}
