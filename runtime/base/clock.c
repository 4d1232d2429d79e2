/* Time: monotonic for durations, UTC for the record. */
#include "base/base.h"

#include <stdio.h>
#include <time.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

double sonde_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

uint64_t sonde_ticks(void)
{
#ifdef __x86_64__
    return __rdtsc();
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

void sonde_clock_iso(char out[static 32])
{
    time_t now = time(NULL);
    struct tm utc;
    out[0] = '\0';
    if (gmtime_r(&now, &utc)) strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}
