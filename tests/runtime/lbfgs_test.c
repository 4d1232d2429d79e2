/* The optimisers that need more than one pass over a parameter: LBFGS and Muon, without memory, strided, by closure. */
#include "check.h"
#include "optim/optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 3, COLUMNS = 2, N = ROWS * COLUMNS };

static double at(const sonde_tensor *t, int64_t row, int64_t column)
{
    return sonde_tensor_get(t, (int64_t[]){row, column});
}

/* A [ROWS, COLUMNS] parameter 1, 2, 3 …; strided: a leaf that looks into a [COLUMNS, ROWS] tensor. */
static sonde_tensor *parameter(sonde_dtype dtype, bool strided)
{
    sonde_tensor *t = NULL, *view = NULL;
    const int64_t shape[2] = {ROWS, COLUMNS}, stride[2] = {strided ? 1 : COLUMNS, strided ? ROWS : 1};
    if (sonde_tensor_zeros(&t, dtype, 2, (int64_t[]){COLUMNS, ROWS}) != SONDE_OK ||
        sonde_tensor_as_strided(&view, t, 2, shape, stride, 0) != SONDE_OK)
        abort();
    sonde_tensor_release(t);
    for (int64_t i = 0; i < N; i++) sonde_tensor_set(view, (int64_t[]){i / COLUMNS, i % COLUMNS}, (double)(i + 1));
    if (sonde_requires_grad_(view, true) != SONDE_OK) abort();
    return view;
}

typedef struct problem {
    sonde_tensor *p;
    int calls, fails_at; /* 0: never */
} problem;

/* Σ k (p_k - 1)² / 2, k = 1 … N */
static sonde_status evaluate(void *context, double *loss)
{
    problem *q = context;
    sonde_tensor *g = NULL;
    if (++q->calls == q->fails_at) return sonde_fail(SONDE_ECALLBACK, "no more");
    SONDE_TRY(sonde_tensor_like(&g, q->p));
    *loss = 0;
    for (int64_t i = 0; i < N; i++) {
        const double k = (double)(i + 1), e = at(q->p, i / COLUMNS, i % COLUMNS) - 1;
        *loss += k * e * e / 2;
        sonde_tensor_set(g, (int64_t[]){i / COLUMNS, i % COLUMNS}, k * e);
    }
    sonde_status status = sonde_set_grad(q->p, g);
    sonde_tensor_release(g);
    return status;
}

static bool is_start(const sonde_tensor *p)
{
    for (int64_t i = 0; i < N; i++)
        if (at(p, i / COLUMNS, i % COLUMNS) != (double)(i + 1)) return false;
    return true;
}

static double distance(const sonde_tensor *p)
{
    double most = 0;
    for (int64_t i = 0; i < N; i++) most = fmax(most, fabs(at(p, i / COLUMNS, i % COLUMNS) - 1));
    return most;
}

static sonde_optimizer *lbfgs(sonde_tensor *p, bool search)
{
    sonde_optimizer *o = NULL;
    if (sonde_optimizer_new(&o, "LBFGS") != SONDE_OK || sonde_optimizer_add_group(o, 1, &p, NULL) != SONDE_OK ||
        sonde_optimizer_set(o, 0, "strong_wolfe", search) != SONDE_OK)
        abort();
    return o;
}

static void finds_the_minimum(void)
{
    for (int variant = 0; variant < 8; variant++) {
        const sonde_dtype dtype = variant & 1 ? SONDE_FLOAT32 : SONDE_FLOAT64;
        problem q = {.p = parameter(dtype, variant & 2)};
        sonde_optimizer *o = lbfgs(q.p, variant & 4);
        for (int i = 0; i < 3; i++) CHECK(sonde_optimizer_step_closure(o, evaluate, &q) == SONDE_OK);
        CHECK(distance(q.p) < 1e-4); /* it stops when the loss changes by less than 1e-9 */
        sonde_optimizer_release(o);
        sonde_tensor_release(q.p);
    }
}

static void needs_a_closure(void)
{
    sonde_tensor *p = parameter(SONDE_FLOAT64, false);
    sonde_optimizer *o = lbfgs(p, false);
    CHECK(sonde_optimizer_needs_closure(o) && sonde_optimizer_step(o) == SONDE_ESTATE);
    CHECK(strstr(sonde_message(), "LBFGS: step needs a closure") != NULL && is_start(p));
    sonde_optimizer_release(o);
    sonde_tensor_release(p);
}

static void a_failing_closure_leaves_the_last_accepted_weights(void)
{
    for (int search = 0; search < 2; search++) {
        for (int n = 1; n <= 2; n++) {
            problem q = {.p = parameter(SONDE_FLOAT32, false), .fails_at = n};
            sonde_optimizer *o = lbfgs(q.p, search);
            CHECK(sonde_optimizer_step_closure(o, evaluate, &q) == SONDE_ECALLBACK && is_start(q.p));
            q.fails_at = 0;
            for (int i = 0; i < 3; i++) CHECK(sonde_optimizer_step_closure(o, evaluate, &q) == SONDE_OK);
            CHECK(distance(q.p) < 1e-3);
            sonde_optimizer_release(o);
            sonde_tensor_release(q.p);
        }
    }
}

typedef struct told {
    int n;
    sonde_update_stats stats;
} told;

static void note(void *context, const sonde_tensor *p, const sonde_update_stats *stats)
{
    told *t = context;
    t->n++;
    t->stats = *stats;
}

static void tells_its_observers(void)
{
    problem q = {.p = parameter(SONDE_FLOAT64, false)};
    sonde_optimizer *o = lbfgs(q.p, true);
    told t = {0};
    sonde_optim_observer observer = {.context = &t, .updated = note};
    sonde_optimizer_observe(o, &observer);
    CHECK(sonde_optimizer_step_closure(o, evaluate, &q) == SONDE_OK);
    double moved = 0;
    for (int64_t i = 0; i < N; i++) moved += pow(at(q.p, i / COLUMNS, i % COLUMNS) - (double)(i + 1), 2);
    CHECK(t.n == 1 && t.stats.n == N && t.stats.weight_sq == 91 && fabs(t.stats.update_sq - moved) < 1e-12 * moved);
    CHECK(t.stats.n_unchanged == 0); /* p_1 = 1 rests, but has no gradient */
    sonde_optimizer_unobserve(o, &observer);
    sonde_optimizer_release(o);
    sonde_tensor_release(q.p);
}

static void every_allocation_may_fail(void)
{
    for (int rule = 0; rule < 3; rule++) {
        long n = 1;
        for (sonde_status status = SONDE_ENOMEM; status != SONDE_OK && n < 2000; n++) {
            problem q = {.p = parameter(SONDE_FLOAT64, rule == 1)};
            double loss;
            CHECK(evaluate(&q, &loss) == SONDE_OK);
            sonde_optimizer *o = NULL;
            sonde_memory_fail_at(n);
            status = sonde_optimizer_new(&o, rule == 0 ? "Muon" : "LBFGS");
            if (status == SONDE_OK) status = sonde_optimizer_add_group(o, 1, &q.p, NULL);
            if (status == SONDE_OK && rule == 2) status = sonde_optimizer_set(o, 0, "strong_wolfe", 1);
            if (status == SONDE_OK)
                status = rule == 0 ? sonde_optimizer_step(o) : sonde_optimizer_step_closure(o, evaluate, &q);
            sonde_memory_fail_at(-1);
            CHECK(status == SONDE_OK || status == SONDE_ENOMEM);
            CHECK(status == SONDE_OK || rule > 0 || is_start(q.p));
            sonde_optimizer_release(o);
            sonde_tensor_release(q.p);
            CHECK(sonde_optimizer_live() == 0 && sonde_tensor_live() == 0);
        }
        CHECK(n > 5 && n < 2000);
    }
}

int main(void)
{
    CHECK_RUN(finds_the_minimum);
    CHECK_RUN(needs_a_closure);
    CHECK_RUN(a_failing_closure_leaves_the_last_accepted_weights);
    CHECK_RUN(tells_its_observers);
    CHECK_RUN(every_allocation_may_fail);
    CHECK_END();
}
