/* Random streams: the published vectors, independence of position and length, and the shape of the distributions. */
#include "base/base.h"
#include "check.h"

#include <stdlib.h>
#include <string.h>

/* kat_vectors of Random123 1.14: philox4x32 with 10 rounds. */
static const struct {
    uint32_t counter[4], key[2], out[4];
} vectors[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void known_answers(void)
{
    for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
        const uint32_t *c = vectors[v].counter, *want = vectors[v].out;
        const sonde_stream start = {.key = {vectors[v].key[0], vectors[v].key[1]},
                                    .position = (uint64_t)c[1] << 32 | c[0],
                                    .stream = (uint64_t)c[3] << 32 | c[2]};
        sonde_stream s = start;
        CHECK(sonde_stream_u32(&s) == want[0]);
        CHECK(s.position == start.position + 1);
        s = start;
        float top[4]; /* 24 bits of each word */
        sonde_stream_fill_uniform(&s, SONDE_FLOAT32, top, 4, 0, 0x1p24);
        for (int i = 0; i < 4; i++) CHECK((uint32_t)top[i] == want[i] >> 8);
        s = start;
        int64_t pairs[2]; /* 53 bits of each pair */
        sonde_stream_fill_uniform(&s, SONDE_INT64, pairs, 2, 0, 0x1p53);
        CHECK((uint64_t)pairs[0] == ((uint64_t)want[1] << 32 | want[0]) >> 11);
        CHECK((uint64_t)pairs[1] == ((uint64_t)want[3] << 32 | want[2]) >> 11);
    }
}

/* Element i depends on the position and i alone, whatever the length and the place in memory. */
static void fills_do_not_depend_on_length(void)
{
    enum { N = 1500 };
    static float whole[N], part[N + 1];
    sonde_stream start;
    sonde_stream_init(&start, 42, "data");
    sonde_stream s = start;
    sonde_stream_fill_normal(&s, SONDE_FLOAT32, whole, N, 0, 1);
    CHECK(s.position == N / 4);
    const size_t lengths[] = {0, 1, 3, 4, 5, 255, 256, 257, 1023, N};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        s = start;
        sonde_stream_fill_normal(&s, SONDE_FLOAT32, part + 1, lengths[k], 0, 1);
        CHECK(memcmp(whole, part + 1, lengths[k] * sizeof *part) == 0);
        CHECK(s.position == (lengths[k] + 3) / 4);
    }
    s = start;
    s.position = 25; /* element 100 */
    sonde_stream_fill_normal(&s, SONDE_FLOAT32, part, 8, 0, 1);
    CHECK(memcmp(whole + 100, part, 8 * sizeof *part) == 0);
}

static void streams_differ(void)
{
    sonde_stream a, b, c, d, e;
    sonde_stream_init(&a, 1, "init");
    sonde_stream_init(&b, 1, "data");
    sonde_stream_init(&c, 2, "init");
    sonde_stream_derive(&d, &a, "init", 1);
    sonde_stream_derive(&e, &a, "init", 2);
    uint32_t first[] = {sonde_stream_u32(&a), sonde_stream_u32(&b), sonde_stream_u32(&c), sonde_stream_u32(&d),
                        sonde_stream_u32(&e)};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < i; j++) CHECK(first[i] != first[j]);
    sonde_stream again;
    sonde_stream_init(&again, 1, "init");
    CHECK(sonde_stream_u32(&again) == first[0]);
    again.position = 0;
    sonde_stream_derive(&d, &again, "init", 1);
    CHECK(sonde_stream_u32(&d) == first[3] && again.position == 0);
}

/* The normal drawn at a position is the quantile of the uniform drawn there: erfc takes it back. */
static void normals_are_quantiles(void)
{
    enum { N = 20000 };
    static double u[N], z[N];
    sonde_stream s;
    sonde_stream_init(&s, 7, "normal");
    sonde_stream_fill_uniform(&s, SONDE_FLOAT64, u, N, 0, 1);
    s.position = 0;
    sonde_stream_fill_normal(&s, SONDE_FLOAT64, z, N, 0, 1);
    double worst = 0, sum = 0, sum_sq = 0;
    for (int i = 0; i < N; i++) {
        double tail = u[i] < 0.5 ? u[i] + 0x1p-54 : 1 - u[i] - 0x1p-54; /* exact */
        double density = exp(-z[i] * z[i] / 2) / sqrt(2 * M_PI);
        worst = fmax(worst, fabs(0.5 * erfc(fabs(z[i]) / sqrt(2)) - tail) / density);
        CHECK((z[i] < 0) == (u[i] < 0.5));
        sum += z[i];
        sum_sq += z[i] * z[i];
    }
    CHECK_NEAR(worst, 0, 3e-15);
    CHECK(fabs(sum / N) < 4 / sqrt(N));
    CHECK(fabs(sum_sq / N - 1) < 4 * sqrt(2.0 / N));
}

static void extreme_draws_are_finite(void)
{
    enum { N = 1 << 20 };
    static float x[N];
    sonde_stream s;
    sonde_stream_init(&s, 3, "tails");
    float largest = 0;
    sonde_stream_fill_normal(&s, SONDE_FLOAT32, x, N, 0, 1);
    for (int i = 0; i < N; i++) largest = fmaxf(largest, fabsf(x[i]));
    CHECK(largest > 4.2f && largest < 6.4f);
    sonde_stream_fill_uniform(&s, SONDE_FLOAT32, x, N, 0, 1);
    float low = 1, high = 0;
    for (int i = 0; i < N; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    CHECK(low >= 0 && low < 1e-5f && high < 1 && high > 1 - 1e-5f);
    sonde_stream_fill_bernoulli(&s, SONDE_FLOAT32, x, N, 0.25, 4);
    int kept = 0;
    for (int i = 0; i < N; i++) kept += x[i] == 4.0f;
    CHECK(fabs(kept / (double)N - 0.25) < 4 * sqrt(0.25 * 0.75 / N));
    const double keeps[] = {0, 1, (double)NAN};
    for (int k = 0; k < 3; k++) {
        sonde_stream_fill_bernoulli(&s, SONDE_FLOAT32, x, 100, keeps[k], 1);
        for (int i = 0; i < 100; i++) CHECK(x[i] == (k == 1 ? 1.0f : 0.0f));
    }
}

static void integers_and_permutations(void)
{
    sonde_stream s;
    sonde_stream_init(&s, 5, "integers");
    int counts[6] = {0};
    for (int i = 0; i < 60000; i++) {
        int64_t v = sonde_stream_integer(&s, -2, 3);
        if (CHECK(v >= -2 && v <= 3)) counts[v + 2]++;
    }
    for (int i = 0; i < 6; i++) CHECK(abs(counts[i] - 10000) < 500);
    CHECK(sonde_stream_integer(&s, 9, 9) == 9);
    bool negative = false, positive = false;
    for (int i = 0; i < 64; i++) {
        int64_t v = sonde_stream_integer(&s, INT64_MIN, INT64_MAX);
        negative |= v < 0;
        positive |= v > 0;
    }
    CHECK(negative && positive);
    enum { N = 1000 };
    static int64_t order[N];
    static int seen[N + 1];
    uint64_t before = s.position;
    sonde_stream_permutation(&s, order, N, 1);
    CHECK(s.position == before + N / 2);
    int fixed = 0;
    for (int i = 0; i < N; i++) {
        if (CHECK(order[i] >= 1 && order[i] <= N)) seen[order[i]]++;
        fixed += order[i] == i + 1;
    }
    for (int i = 1; i <= N; i++) CHECK(seen[i] == 1);
    CHECK(fixed < 10);
    int firsts[3] = {0};
    for (int i = 0; i < 30000; i++) {
        sonde_stream_permutation(&s, order, 3, 0);
        firsts[order[0]]++;
    }
    for (int i = 0; i < 3; i++) CHECK(abs(firsts[i] - 10000) < 400);
}

int main(void)
{
    CHECK_RUN(known_answers);
    CHECK_RUN(fills_do_not_depend_on_length);
    CHECK_RUN(streams_differ);
    CHECK_RUN(normals_are_quantiles);
    CHECK_RUN(extreme_draws_are_finite);
    CHECK_RUN(integers_and_permutations);
    CHECK_END();
}
