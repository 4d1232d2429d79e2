/* Series of dynamical systems. */
#include "data/data.h"

/* ---- Mackey-Glass ---------------------------------------------------------------------------------------------- */

static double mackey_glass_slope(double now, double delayed)
{
    double square = delayed * delayed, fourth = square * square;
    return 0.2 * delayed / (1 + fourth * fourth * square) - 0.1 * now;
}

/* x(t + 0.1) from x(t), x(t - tau) and x(t - tau + 0.1). */
static double mackey_glass_step(double now, double from, double to)
{
    const double h = 0.1, middle = (from + to) / 2;
    double k1 = mackey_glass_slope(now, from);
    double k2 = mackey_glass_slope(now + h / 2 * k1, middle);
    double k3 = mackey_glass_slope(now + h / 2 * k2, middle);
    double k4 = mackey_glass_slope(now + h * k3, to);
    return now + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
}

sonde_status sonde_mackey_glass(const sonde_stream *stream, double *x, int64_t n, int64_t length, int64_t delay)
{
    enum { PER_UNIT = 10, SETTLE = 1000 };
    double *past = sonde_alloc((size_t)delay * sizeof *past); /* a ring: x(t - tau) is at `oldest`, x(t) before it */
    if (past == NULL) return SONDE_ENOMEM;
    for (int64_t i = 0; i < n; i++) {
        sonde_stream s;
        sonde_stream_derive(&s, stream, "sample", (uint64_t)i);
        double now = 0.5 + sonde_stream_uniform(&s);
        for (int64_t k = 0; k < delay; k++) past[k] = now;
        int64_t oldest = 0;
        for (int64_t t = 0; t < (SETTLE + length) * PER_UNIT; t++) {
            double from = past[oldest];
            past[oldest] = now;
            oldest = oldest + 1 == delay ? 0 : oldest + 1;
            now = mackey_glass_step(now, from, past[oldest]);
            int64_t unit = (t + 1) / PER_UNIT - SETTLE;
            if ((t + 1) % PER_UNIT == 0 && unit >= 1) x[i * length + unit - 1] = now;
        }
    }
    sonde_free(past);
    return SONDE_OK;
}

/* ---- Lorenz ---------------------------------------------------------------------------------------------------- */

typedef struct point {
    double x, y, z;
} point;

static point lorenz_slope(point p, const sonde_lorenz_system *s)
{
    return (point){s->sigma * (p.y - p.x), p.x * (s->rho - p.z) - p.y, p.x * p.y - s->beta * p.z};
}

static point moved(point p, point slope, double h)
{
    return (point){p.x + h * slope.x, p.y + h * slope.y, p.z + h * slope.z};
}

static point lorenz_step(point p, const sonde_lorenz_system *s, double h)
{
    point k1 = lorenz_slope(p, s), k2 = lorenz_slope(moved(p, k1, h / 2), s);
    point k3 = lorenz_slope(moved(p, k2, h / 2), s), k4 = lorenz_slope(moved(p, k3, h), s);
    point sum = moved(moved(moved(k1, k2, 2), k3, 2), k4, 1);
    return moved(p, sum, h / 6);
}

void sonde_lorenz(const sonde_stream *stream, double *x, int64_t n, int64_t length, const sonde_lorenz_system *system)
{
    enum { STEPS = 4, SETTLE = 1000 };
    for (int64_t i = 0; i < n; i++) {
        sonde_stream s;
        sonde_stream_derive(&s, stream, "sample", (uint64_t)i);
        point p = {20 * sonde_stream_uniform(&s) - 10, 0, 0};
        p.y = 20 * sonde_stream_uniform(&s) - 10;
        p.z = 15 + 20 * sonde_stream_uniform(&s);
        for (int64_t t = -SETTLE; t < length; t++) {
            for (int k = 0; k < STEPS; k++) p = lorenz_step(p, system, system->dt / STEPS);
            if (t < 0) continue;
            double *out = x + (i * length + t) * 3;
            out[0] = p.x;
            out[1] = p.y;
            out[2] = p.z;
        }
    }
}

/* ---- NARMA-10 -------------------------------------------------------------------------------------------------- */

/* One sample; false as soon as it runs away. */
static bool narma10(sonde_stream *stream, double *u_out, double *y_out, int64_t length)
{
    enum { ORDER = 10, SETTLE = 200 };
    const double too_large = 10; /* from where y only grows */
    double u[ORDER] = {0}, y[ORDER] = {0}, now = 0; /* rings: of step t at t % ORDER */
    for (int64_t t = 0; t < SETTLE + length; t++) {
        double sum = 0;
        u[t % ORDER] = 0.5 * sonde_stream_uniform(stream);
        y[t % ORDER] = now;
        for (int k = 0; k < ORDER; k++) sum += y[k];
        double next = 0.3 * now + 0.05 * now * sum + 1.5 * u[(t + 1) % ORDER] * u[t % ORDER] + 0.1;
        if (!(next < too_large)) return false;
        if (t >= SETTLE) {
            u_out[t - SETTLE] = u[t % ORDER];
            y_out[t - SETTLE] = next;
        }
        now = next;
    }
    return true;
}

sonde_status sonde_narma10(const sonde_stream *stream, double *u, double *y, int64_t n, int64_t length)
{
    enum { ATTEMPTS = 100 };
    for (int64_t i = 0; i < n; i++) {
        sonde_stream s;
        sonde_stream_derive(&s, stream, "sample", (uint64_t)i);
        int attempt = 0;
        while (attempt < ATTEMPTS && !narma10(&s, u + i * length, y + i * length, length)) attempt++;
        if (attempt == ATTEMPTS) {
            return sonde_fail(SONDE_EARG, "NARMA-10 ran away in each of %d attempts at %lld steps: ask for several "
                              "shorter samples", ATTEMPTS, (long long)length);
        }
    }
    return SONDE_OK;
}
