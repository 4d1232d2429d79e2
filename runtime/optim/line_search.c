#include "optim/line_search.h"

#include <math.h>

static const double c1 = 1e-4, c2 = 0.9;
enum { MOST = 25 };

typedef struct search {
    const sonde_line_point *start;
    double *const *spare;
    sonde_line_evaluate evaluate;
    void *context;
    int evaluations;
} search;

/* Where the cubic through both points has its minimum, kept within low .. high. */
static double interpolate(const sonde_line_point *p, const sonde_line_point *q, double low, double high)
{
    const sonde_line_point *a = p->t <= q->t ? p : q, *b = a == p ? q : p;
    const double d1 = p->slope + q->slope - 3 * (p->loss - q->loss) / (p->t - q->t);
    const double square = d1 * d1 - p->slope * q->slope;
    if (!(square >= 0)) return (low + high) / 2;
    const double d2 = sqrt(square);
    const double t = b->t - (b->t - a->t) * ((b->slope + d2 - d1) / (b->slope - a->slope + 2 * d2));
    return fmin(fmax(t, low), high);
}

/* A gradient's room that neither point uses. */
static double *room(const search *s, const sonde_line_point *p, const sonde_line_point *q)
{
    int i = 0;
    while (s->spare[i] == p->gradient || s->spare[i] == q->gradient) i++;
    return s->spare[i];
}

static sonde_status evaluate(search *s, sonde_line_point *out, double t, double *gradient)
{
    *out = (sonde_line_point){.t = t, .gradient = gradient};
    s->evaluations++;
    return s->evaluate(s->context, out);
}

static bool too_high(const search *s, const sonde_line_point *p)
{
    return !(p->loss <= s->start->loss + c1 * p->t * s->start->slope);
}

static bool flat_enough(const search *s, const sonde_line_point *p)
{
    return fabs(p->slope) <= -c2 * s->start->slope;
}

/* Steps outwards until two points enclose what is looked for (*done: until the second one is it). */
static sonde_status bracket(search *s, sonde_line_point *a, sonde_line_point *b, double first, bool *done)
{
    sonde_line_point last = *s->start, now;
    SONDE_TRY(evaluate(s, &now, first, s->spare[0]));
    for (int i = 0; i < MOST; i++) {
        *done = !too_high(s, &now) && !(i > 1 && now.loss >= last.loss) && flat_enough(s, &now);
        if (*done || too_high(s, &now) || (i > 1 && now.loss >= last.loss) || now.slope >= 0) {
            *a = last;
            *b = now;
            return SONDE_OK;
        }
        const double t = interpolate(&last, &now, now.t + 0.01 * (now.t - last.t), now.t * 10);
        sonde_line_point next;
        SONDE_TRY(evaluate(s, &next, t, room(s, &last, &now)));
        last = now;
        now = next;
    }
    *a = *s->start;
    *b = now;
    return SONDE_OK;
}

/* A trial too close to an end of the bracket is moved inwards if the one before was as well. */
static double place(const sonde_line_point *a, const sonde_line_point *b, bool *was_close)
{
    const double low = fmin(a->t, b->t), high = fmax(a->t, b->t), margin = 0.1 * (high - low);
    const double t = interpolate(a, b, low, high);
    const bool close = fmin(high - t, t - low) < margin;
    const bool move = close && (*was_close || t >= high || t <= low);
    *was_close = close && !move;
    if (!move) return t;
    return fabs(t - high) < fabs(t - low) ? high - margin : low + margin;
}

/* Narrows the bracket [low, high], the lower loss first, until `low` will do. */
static sonde_status zoom(search *s, sonde_line_point *low, sonde_line_point *high, double length, double tolerance)
{
    bool was_close = false;
    for (int used = s->evaluations - 1; used < MOST; used++) {
        if (fabs(high->t - low->t) * length < tolerance) break;
        sonde_line_point trial;
        SONDE_TRY(evaluate(s, &trial, place(low, high, &was_close), room(s, low, high)));
        if (too_high(s, &trial) || trial.loss >= low->loss) {
            *high = trial;
            if (high->loss < low->loss) {
                const sonde_line_point best = *high;
                *high = *low;
                *low = best;
            }
            continue;
        }
        const bool done = flat_enough(s, &trial);
        if (!done && trial.slope * (high->t - low->t) >= 0) *high = *low;
        *low = trial;
        if (done) break;
    }
    return SONDE_OK;
}

sonde_status sonde_line_search(sonde_line_point *out, const sonde_line_point *start, double first, double length,
                               double tolerance_change, double *const spare[3], sonde_line_evaluate evaluate_at,
                               void *context, int64_t *evaluations)
{
    search s = {.start = start, .spare = spare, .evaluate = evaluate_at, .context = context};
    sonde_line_point a, b;
    bool done = false;
    sonde_status status = bracket(&s, &a, &b, first, &done);
    if (status == SONDE_OK && done) {
        *out = b;
    } else if (status == SONDE_OK) {
        const bool b_is_lower = b.loss < a.loss;
        *out = b_is_lower ? b : a;
        sonde_line_point high = b_is_lower ? a : b;
        status = zoom(&s, out, &high, length, tolerance_change);
    }
    *evaluations += s.evaluations;
    return status;
}
