/* The C tests' only tool: CHECK prints what failed and goes on; CHECK_END ends main with the count. */
#ifndef SONDE_TESTS_CHECK_H
#define SONDE_TESTS_CHECK_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

static int check_count, check_failures;

static inline bool check_that(bool good, const char *file, int line, const char *what)
{
    check_count++;
    if (good) return true;
    check_failures++;
    printf("FAILED %s:%d: %s\n", file, line, what);
    return false;
}

/* |a - b| <= tolerance * max(1, |b|); two NaN or two equal infinities are near. */
static inline bool check_near(double a, double b, double tolerance, const char *file, int line, const char *what)
{
    bool good = a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= tolerance * fmax(1, fabs(b));
    if (!check_that(good, file, line, what)) printf("       %.17g, expected %.17g\n", a, b);
    return good;
}

#define CHECK(condition) check_that((condition), __FILE__, __LINE__, #condition)
#define CHECK_NEAR(a, b, tolerance) check_near((a), (b), (tolerance), __FILE__, __LINE__, #a " near " #b)

/* Runs a test function and says how it went. */
#define CHECK_RUN(test)                                                            \
    do {                                                                           \
        int failures_before_ = check_failures;                                     \
        test();                                                                    \
        printf("%s %s\n", check_failures == failures_before_ ? "ok" : "FAILED", #test); \
    } while (0)

#define CHECK_END()                                                                              \
    do {                                                                                         \
        printf("%d checks, %d failed\n", check_count, check_failures);                           \
        return check_failures ? 1 : 0;                                                           \
    } while (0)

#endif
