/* L-BFGS (Liu & Nocedal 1989; Nocedal & Wright 2006, algorithm 7.4), as PyTorch: directions from the last history_size
 * changes of the gradient, steps of fixed size lr or by a line search (strong_wolfe). One optimiser step is up to
 * max_iter iterations and max_eval evaluations (0: 5/4 of max_iter); it ends when max|g| <= tolerance_grad, or when
 * step or loss change by less than tolerance_change. For whole batches: the loss must be the same function at every
 * call. */
#include "optim/lbfgs.h"
#include "optim/line_search.h"

#include <math.h>
#include <string.h>

static sonde_status check(const double *option)
{
    SONDE_TRY(sonde_rule_in_range("LBFGS", "lr", option[LR], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_is_whole("LBFGS", "max_iter", option[MAX_ITER], 1));
    SONDE_TRY(sonde_rule_is_whole("LBFGS", "max_eval", option[MAX_EVAL], 0));
    SONDE_TRY(sonde_rule_in_range("LBFGS", "tolerance_grad", option[TOLERANCE_GRAD], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_in_range("LBFGS", "tolerance_change", option[TOLERANCE_CHANGE], 0, HUGE_VAL));
    SONDE_TRY(sonde_rule_is_whole("LBFGS", "history_size", option[HISTORY_SIZE], 1));
    return sonde_rule_is_flag("LBFGS", "strong_wolfe", option[STRONG_WOLFE]);
}

/* ---- vectors ----------------------------------------------------------------------------------------------- */

double sonde_lbfgs_dot(const double *a, const double *b, size_t n)
{
    double lane[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t l = 0; l < 8; l++) lane[l] += a[i + l] * b[i + l];
    for (; i < n; i++) lane[i % 8] += a[i] * b[i];
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* y += scale · x */
static void add(double *y, double scale, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += scale * x[i];
}

static double largest(const double *x, size_t n) /* NaN wins */
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        if (!(fabs(x[i]) <= most)) most = fabs(x[i]);
    return most;
}

/* ---- parameters as one vector ------------------------------------------------------------------------------ */

/* What one step works with. */
typedef struct work {
    sonde_optimizer *o;
    const double *option;
    lbfgs *m;
    sonde_closure closure;
    void *context;
    size_t n;
    double *weight, *gradient;             /* at the last accepted point */
    double *first_weight, *first_gradient; /* at the start of the step, if it is observed; else NULL */
    double *spare[3];                      /* the line search's */
} work;

/* All parameters, or all gradients; one that is absent is zero. */
static sonde_status gather(const sonde_optimizer *o, bool gradients, double *out)
{
    const sonde_optim_group *group = &o->groups[0];
    for (int i = 0; i < group->n; i++) {
        sonde_tensor *p = group->slots[i].parameter, *t = gradients ? sonde_grad(p) : p;
        const size_t n = (size_t)sonde_tensor_numel(p);
        if (t)
            SONDE_TRY(sonde_lbfgs_read(out, t));
        else
            memset(out, 0, n * sizeof *out);
        out += n;
    }
    return SONDE_OK;
}

/* The parameters become weight + t · direction. */
static sonde_status move(const work *k, double t)
{
    const double *w = k->weight, *d = k->m->direction;
    for (int i = 0; i < k->o->groups[0].n; i++) {
        sonde_tensor *p = k->o->groups[0].slots[i].parameter, *same = NULL;
        SONDE_TRY(sonde_tensor_contiguous(&same, p));
        const size_t n = (size_t)sonde_tensor_numel(p);
        if (p->dtype == SONDE_FLOAT64)
            for (size_t j = 0; j < n; j++) ((double *)sonde_tensor_data(same))[j] = w[j] + t * d[j];
        else
            for (size_t j = 0; j < n; j++) ((float *)sonde_tensor_data(same))[j] = (float)(w[j] + t * d[j]);
        sonde_status status = SONDE_OK;
        if (same == p)
            sonde_tensor_changed(p);
        else
            status = sonde_tensor_copy_(p, same);
        sonde_tensor_release(same);
        SONDE_TRY(status);
        w += n;
        d += n;
    }
    return SONDE_OK;
}

/* ---- iterations -------------------------------------------------------------------------------------------- */

/* Remembers how gradient and weights changed in the last iteration, if the curvature along it was positive. */
static void remember(lbfgs *m, const double *gradient, int64_t history)
{
    const size_t n = m->n;
    while (m->n_y >= history && m->n_y > 0) { /* at the limit the oldest goes; more than one if it was lowered */
        m->n_s = --m->n_y;
        memmove(m->y, m->y + n, (size_t)m->n_y * n * sizeof *m->y);
        memmove(m->s, m->s + n, (size_t)m->n_y * n * sizeof *m->s);
        memmove(m->ro, m->ro + 1, (size_t)m->n_y * sizeof *m->ro);
    }
    double *y = m->y + (size_t)m->n_y * n, *s = m->s + (size_t)m->n_y * n;
    for (size_t i = 0; i < n; i++) {
        y[i] = gradient[i] - m->last_gradient[i];
        s[i] = m->direction[i] * m->t;
    }
    const double ys = sonde_lbfgs_dot(y, s, n);
    if (!(ys > 1e-10)) return;
    m->ro[m->n_y] = 1 / ys;
    m->n_s = ++m->n_y;
}

/* direction = - H · gradient, H the inverse Hessian as far as it is known: two loops over the history. */
static void aim(lbfgs *m, const double *gradient)
{
    const size_t n = m->n;
    double *q = m->direction;
    for (size_t i = 0; i < n; i++) q[i] = -gradient[i];
    for (int64_t i = m->n_y - 1; i >= 0; i--) {
        m->alpha[i] = sonde_lbfgs_dot(m->s + (size_t)i * n, q, n) * m->ro[i];
        add(q, -m->alpha[i], m->y + (size_t)i * n, n);
    }
    if (m->n_y == 0) return;
    const double *y = m->y + (size_t)(m->n_y - 1) * n;
    const double scale = 1 / m->ro[m->n_y - 1] / sonde_lbfgs_dot(y, y, n);
    for (size_t i = 0; i < n; i++) q[i] *= scale;
    for (int64_t i = 0; i < m->n_y; i++) {
        const double beta = sonde_lbfgs_dot(m->y + (size_t)i * n, q, n) * m->ro[i];
        add(q, m->alpha[i] - beta, m->s + (size_t)i * n, n);
    }
}

static sonde_status evaluate(void *context, sonde_line_point *point)
{
    const work *k = context;
    SONDE_TRY(move(k, point->t));
    SONDE_TRY(k->closure(k->context, &point->loss));
    SONDE_TRY(gather(k->o, true, point->gradient));
    point->slope = sonde_lbfgs_dot(point->gradient, k->m->direction, k->n);
    return SONDE_OK;
}

/* Moves along the direction; point: where it starts, and where it ends. A failure leaves them at the start. */
static sonde_status advance(work *k, sonde_line_point *point, bool last, int64_t *evaluations)
{
    sonde_status status;
    if (k->option[STRONG_WOLFE] != 0) {
        const sonde_line_point start = *point;
        status = sonde_line_search(point, &start, k->m->t, largest(k->m->direction, k->n), k->option[TOLERANCE_CHANGE],
                                   k->spare, evaluate, k, evaluations);
        if (status == SONDE_OK) status = move(k, point->t);
    } else {
        point->t = k->m->t;
        status = last ? move(k, point->t) : evaluate(k, point);
        *evaluations += !last;
    }
    if (status != SONDE_OK) {
        move(k, 0);
        return status;
    }
    k->m->t = point->t;
    if (point->gradient != k->gradient) memcpy(k->gradient, point->gradient, k->n * sizeof *k->gradient);
    point->gradient = k->gradient;
    return gather(k->o, false, k->weight);
}

static double first_step(const work *k)
{
    if (k->m->iterations > 1) return k->option[LR];
    double sum = 0;
    for (size_t i = 0; i < k->n; i++) sum += fabs(k->gradient[i]);
    return fmin(1, 1 / sum) * k->option[LR];
}

static sonde_status iterate(work *k, double loss)
{
    const double *option = k->option, tolerance = option[TOLERANCE_CHANGE];
    lbfgs *m = k->m;
    const int64_t most = (int64_t)option[MAX_ITER];
    const int64_t budget = option[MAX_EVAL] > 0 ? (int64_t)option[MAX_EVAL] : most * 5 / 4;
    sonde_line_point point = {.loss = loss, .gradient = k->gradient};
    for (int64_t i = 1, evaluations = 1; i <= most; i++) {
        if (m->iterations++ > 0) remember(m, k->gradient, (int64_t)option[HISTORY_SIZE]);
        aim(m, k->gradient);
        memcpy(m->last_gradient, k->gradient, k->n * sizeof *k->gradient);
        m->t = first_step(k);
        const double before = point.loss;
        point.slope = sonde_lbfgs_dot(k->gradient, m->direction, k->n);
        if (point.slope > -tolerance) break;
        point.t = 0;
        const int64_t known = evaluations;
        SONDE_TRY(advance(k, &point, i == most, &evaluations));
        m->evaluations += evaluations - known;
        if (evaluations >= budget || largest(k->gradient, k->n) <= option[TOLERANCE_GRAD]) break;
        if (largest(m->direction, k->n) * fabs(m->t) <= tolerance || fabs(point.loss - before) < tolerance) break;
    }
    return SONDE_OK;
}

/* ---- a step ------------------------------------------------------------------------------------------------ */

static bool has_gradient(const sonde_optimizer *o)
{
    for (int i = 0; i < o->groups[0].n; i++)
        if (sonde_grad(o->groups[0].slots[i].parameter)) return true;
    return false;
}

static bool is_observed(const sonde_optimizer *o)
{
    bool any = false; /* all are asked before they change */
    for (int i = 0; i < o->groups[0].n; i++)
        any |= sonde_optimizer_is_observed(o, o->groups[0].slots[i].parameter);
    return any;
}

static sonde_status report(const work *k)
{
    SONDE_TRY(gather(k->o, false, k->weight));
    const double *before = k->first_weight, *after = k->weight, *g = k->first_gradient;
    for (int i = 0; i < k->o->groups[0].n; i++) {
        const sonde_tensor *p = k->o->groups[0].slots[i].parameter;
        sonde_update_stats stats = {.n = (uint64_t)sonde_tensor_numel(p)};
        for (size_t j = 0; j < stats.n; j++) {
            const double change = after[j] - before[j];
            stats.weight_sq += before[j] * before[j];
            stats.update_sq += change * change;
            stats.n_unchanged += g[j] != 0 && change == 0;
        }
        sonde_optimizer_report(k->o, p, &stats);
        before += stats.n;
        after += stats.n;
        g += stats.n;
    }
    return SONDE_OK;
}

/* After a state was loaded: are both halves of the history there? */
static sonde_status measure(lbfgs *m)
{
    if (m->n_y != m->n_s)
        return sonde_fail(SONDE_ESTATE, "LBFGS: the state has %lld old_dirs and %lld old_stps: as many are needed",
                          (long long)m->n_y, (long long)m->n_s);
    for (int64_t i = 0; i < m->n_y && !m->measured; i++)
        m->ro[i] = 1 / sonde_lbfgs_dot(m->y + (size_t)i * m->n, m->s + (size_t)i * m->n, m->n);
    m->measured = true;
    return SONDE_OK;
}

static sonde_status take_step(work *k, double loss)
{
    SONDE_TRY(measure(k->m));
    const int64_t rows = k->m->n_y + (int64_t)k->option[MAX_ITER], history = (int64_t)k->option[HISTORY_SIZE];
    SONDE_TRY(sonde_lbfgs_reserve(k->m, rows < history ? rows : history));
    SONDE_TRY(gather(k->o, false, k->weight));
    SONDE_TRY(gather(k->o, true, k->gradient));
    if (k->first_weight) {
        memcpy(k->first_weight, k->weight, k->n * sizeof *k->weight);
        memcpy(k->first_gradient, k->gradient, k->n * sizeof *k->gradient);
    }
    k->m->evaluations++;
    if (!(largest(k->gradient, k->n) <= k->option[TOLERANCE_GRAD])) SONDE_TRY(iterate(k, loss));
    return k->first_weight ? report(k) : SONDE_OK;
}

static sonde_status step(sonde_optimizer *o, double loss, sonde_closure closure, void *context)
{
    if (o->n_groups == 0 || !has_gradient(o)) return SONDE_OK;
    work k = {.o = o, .option = o->groups[0].option, .closure = closure, .context = context};
    SONDE_TRY(sonde_lbfgs_state(&k.m, o));
    k.n = k.m->n;
    const bool searching = k.option[STRONG_WOLFE] != 0, observed = is_observed(o);
    const size_t vectors = 2 + (searching ? 3 : 0) + (observed ? 2 : 0);
    double *block = sonde_alloc(vectors * k.n * sizeof *block); /* no overflow: the parameters themselves fit */
    if (!block) return SONDE_ENOMEM;
    double *next = block + 2 * k.n;
    k.weight = block;
    k.gradient = block + k.n;
    for (int i = 0; searching && i < 3; i++, next += k.n) k.spare[i] = next;
    if (observed) {
        k.first_weight = next;
        k.first_gradient = next + k.n;
    }
    sonde_status status = take_step(&k, loss);
    sonde_free(block);
    return status;
}

static const sonde_joint_rule joint = {
    .step = step, .free = sonde_lbfgs_free, .visit = sonde_lbfgs_visit, .set = sonde_lbfgs_set};

const sonde_rule sonde_rule_lbfgs = {
    .name = "LBFGS",
    .options = {"lr", "max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size", "strong_wolfe"},
    .defaults = {1, 20, 0, 1e-7, 1e-9, 100, 0},
    .buffers = {NULL},
    .check = check,
    .joint = &joint,
};
