/* Optimisers: trajectories, options, groups, state, observers, hooks, memory. */
#include "check.h"
#include "optim/optim.h"
#include "optim_reference.h"

#include <stdlib.h>
#include <string.h>

static bool says(const char *words)
{
    if (strstr(sonde_message(), words)) return true;
    printf("       message: %s\n", sonde_message());
    return false;
}

static sonde_tensor *vector(sonde_dtype dtype, int n, const double *values)
{
    sonde_tensor *t = NULL, *source = NULL;
    if (sonde_tensor_from(&source, SONDE_FLOAT64, 1, &(int64_t){n}, values) != SONDE_OK ||
        sonde_tensor_zeros(&t, dtype, 1, &(int64_t){n}) != SONDE_OK || sonde_tensor_copy_(t, source) != SONDE_OK)
        abort();
    sonde_tensor_release(source);
    return t;
}

static double at(const sonde_tensor *t, int64_t i)
{
    return sonde_tensor_get(t, &i);
}

static sonde_tensor *parameter(sonde_dtype dtype, int n, const double *values)
{
    sonde_tensor *t = vector(dtype, n, values);
    if (sonde_requires_grad_(t, true) != SONDE_OK) abort();
    return t;
}

static void give_gradient(sonde_tensor *p, int n, const double *values)
{
    sonde_tensor *g = vector(p->dtype, n, values);
    CHECK(sonde_set_grad(p, g) == SONDE_OK);
    sonde_tensor_release(g);
}

static sonde_optimizer *optimizer(const char *rule, sonde_tensor *p)
{
    sonde_optimizer *o = NULL;
    if (sonde_optimizer_new(&o, rule) != SONDE_OK || sonde_optimizer_add_group(o, 1, &p, NULL) != SONDE_OK) abort();
    return o;
}

/* ---- values ---------------------------------------------------------------------------------------------- */

static void trajectories(void)
{
    for (size_t r = 0; r < sizeof references / sizeof *references; r++) {
        for (int narrow = 0; narrow < 2; narrow++) {
            sonde_dtype dtype = narrow ? SONDE_FLOAT32 : SONDE_FLOAT64;
            sonde_tensor *p = parameter(dtype, REFERENCE_WEIGHTS, reference_start);
            sonde_optimizer *o = optimizer(references[r].rule, p);
            int n = 0;
            while (n < 4 && references[r].options[n]) n++;
            CHECK(sonde_optimizer_configure(o, 0, n, references[r].options, references[r].values) == SONDE_OK);
            for (int i = 0; i < REFERENCE_STEPS; i++) {
                give_gradient(p, REFERENCE_WEIGHTS, reference_gradients[i]);
                CHECK(sonde_optimizer_step(o) == SONDE_OK);
            }
            for (int i = 0; i < REFERENCE_WEIGHTS; i++) {
                /* in float32 the last weight, pushed about by gradients of 1e3, loses what was below their rounding */
                double tolerance = narrow ? (i == REFERENCE_WEIGHTS - 1 ? 1e-3 : 1e-5) : 1e-13;
                if (!CHECK_NEAR(at(p, i), references[r].end[i], tolerance))
                    printf("       %s, weight %d\n", references[r].name, i);
            }
            sonde_optimizer_release(o);
            sonde_tensor_release(p);
        }
    }
}

/* By hand: w = 1, g = 2 twice, lr 0.1, momentum 0.5: b = 2, 3; w = 0.8, 0.5. */
static void by_hand(void)
{
    sonde_tensor *p = parameter(SONDE_FLOAT64, 1, (double[]){1});
    sonde_optimizer *o = optimizer("SGD", p);
    CHECK(sonde_optimizer_configure(o, 0, 2, (const char *const[]){"lr", "momentum"}, (double[]){0.1, 0.5}) ==
          SONDE_OK);
    uint32_t version = p->storage->version;
    give_gradient(p, 1, (double[]){2});
    CHECK(sonde_optimizer_step(o) == SONDE_OK && p->storage->version > version);
    CHECK_NEAR(at(p, 0), 0.8, 1e-15);
    CHECK(sonde_optimizer_step(o) == SONDE_OK);
    CHECK_NEAR(at(p, 0), 0.5, 1e-15);
    CHECK(sonde_optimizer_zero_grad(o, false) == SONDE_OK && at(sonde_grad(p), 0) == 0);
    CHECK(sonde_optimizer_zero_grad(o, true) == SONDE_OK && sonde_grad(p) == NULL);
    CHECK(sonde_optimizer_step(o) == SONDE_OK && fabs(at(p, 0) - 0.5) < 1e-15); /* no gradient: passed over */
    sonde_optimizer_release(o);
    sonde_tensor_release(p);
}

/* A weight and a gradient that are views with gaps move, and nothing beside them does. */
static void strided(void)
{
    sonde_tensor *base = vector(SONDE_FLOAT64, 6, (double[]){1, 9, 1, 9, 1, 9}), *p = NULL, *g = NULL;
    CHECK(sonde_tensor_as_strided(&p, base, 1, (int64_t[]){3}, (int64_t[]){2}, 0) == SONDE_OK);
    CHECK(sonde_tensor_as_strided(&g, base, 1, (int64_t[]){3}, (int64_t[]){2}, 1) == SONDE_OK);
    CHECK(sonde_requires_grad_(p, true) == SONDE_OK && sonde_set_grad(p, g) == SONDE_OK);
    sonde_optimizer *o = optimizer("SGD", p);
    CHECK(sonde_optimizer_set(o, 0, "lr", 0.1) == SONDE_OK && sonde_optimizer_step(o) == SONDE_OK);
    for (int i = 0; i < 3; i++) {
        CHECK_NEAR(at(base, 2 * i), 0.1, 1e-15);
        CHECK(at(base, 2 * i + 1) == 9);
    }
    sonde_optimizer_release(o);
    sonde_tensor_release(p);
    sonde_tensor_release(g);
    sonde_tensor_release(base);
}

/* ---- options and groups ---------------------------------------------------------------------------------- */

static void options(void)
{
    sonde_tensor *p = parameter(SONDE_FLOAT32, 1, (double[]){1});
    sonde_optimizer *o = NULL;
    double value = 0;
    const double *defaults = NULL;
    CHECK(sonde_optimizer_new(&o, "Adan") == SONDE_EARG && says("there are SGD, Adam, AdamW, RMSprop"));
    CHECK(sonde_optimizer_options("Adan", &defaults) == NULL);
    const char *const *names = sonde_optimizer_options("AdamW", &defaults);
    CHECK(names && strcmp(names[4], "weight_decay") == 0 && defaults[4] == 1e-2 && names[7] == NULL);
    o = optimizer("SGD", p);
    CHECK(sonde_optimizer_get(o, 0, "lr", &value) == SONDE_OK && value == 1e-3);
    CHECK(sonde_optimizer_set(o, 0, "learning_rate", 1) == SONDE_EARG);
    CHECK(says("SGD has no option 'learning_rate'; it has lr, momentum, dampening, weight_decay, nesterov, maximize"));
    CHECK(sonde_optimizer_set(o, 0, "lr", -1) == SONDE_EARG && says("SGD: lr must be at least 0, got -1"));
    CHECK(sonde_optimizer_set(o, 0, "lr", (double)NAN) == SONDE_EARG && says("got nan"));
    CHECK(sonde_optimizer_set(o, 0, "nesterov", 0.5) == SONDE_EARG && says("true or false"));
    CHECK(sonde_optimizer_set(o, 0, "nesterov", 1) == SONDE_EARG && says("nesterov needs a momentum"));
    CHECK(sonde_optimizer_set(o, 1, "lr", 1) == SONDE_EARG && says("no group 2"));
    const char *const both[] = {"nesterov", "momentum"};
    CHECK(sonde_optimizer_configure(o, 0, 2, both, (double[]){1, 0.9}) == SONDE_OK);
    CHECK(sonde_optimizer_configure(o, 0, 2, both, (double[]){0, -1}) == SONDE_EARG);
    CHECK(sonde_optimizer_get(o, 0, "nesterov", &value) == SONDE_OK && value == 1); /* all or nothing */
    sonde_optimizer_release(o);
    o = optimizer("Adam", p);
    CHECK(sonde_optimizer_set(o, 0, "beta2", 1) == SONDE_EARG &&
          says("Adam: beta2 must be at least 0 and below 1, got 1"));
    sonde_optimizer_release(o);
    sonde_tensor_release(p);
}

static void groups(void)
{
    sonde_tensor *a = parameter(SONDE_FLOAT64, 1, (double[]){1}), *b = parameter(SONDE_FLOAT64, 1, (double[]){1});
    sonde_tensor *c = NULL, *whole = vector(SONDE_INT64, 1, (double[]){1}), *result = NULL;
    sonde_optimizer *o = optimizer("SGD", a);
    int group = 0;
    CHECK(sonde_optimizer_add_group(o, 1, &a, NULL) == SONDE_EARG && says("parameter 1 is in the optimiser already"));
    CHECK(sonde_optimizer_add_group(o, 2, (sonde_tensor *[]){b, b}, NULL) == SONDE_EARG && says("parameter 2"));
    CHECK(sonde_optimizer_add_group(o, 0, NULL, NULL) == SONDE_EARG && says("empty"));
    CHECK(sonde_optimizer_add_group(o, 1, &c, NULL) == SONDE_EARG && says("no tensor"));
    CHECK(sonde_optimizer_add_group(o, 1, &whole, NULL) == SONDE_EARG && says("int64"));
    CHECK(sonde_binary_op(&result, SONDE_ADD, a, b) == SONDE_OK);
    CHECK(sonde_optimizer_add_group(o, 1, &result, NULL) == SONDE_EARG && says("must be a leaf"));
    CHECK(sonde_optimizer_groups(o) == 1);
    CHECK(sonde_optimizer_add_group(o, 1, &b, &group) == SONDE_OK && group == 1 && sonde_optimizer_groups(o) == 2);
    CHECK(sonde_optimizer_parameter(o, 1, 0) == b && !sonde_optimizer_parameter(o, 1, 1) &&
          !sonde_optimizer_parameter(o, 2, 0));
    CHECK(sonde_optimizer_set(o, 1, "lr", 0.5) == SONDE_OK);
    give_gradient(a, 1, (double[]){1});
    give_gradient(b, 1, (double[]){1});
    CHECK(sonde_optimizer_step(o) == SONDE_OK && fabs(at(a, 0) - 0.999) < 1e-15 && at(b, 0) == 0.5);
    sonde_tensor *all[] = {a, b, whole, result};
    for (int i = 0; i < 4; i++) sonde_tensor_release(all[i]);
    sonde_optimizer_release(o);
}

/* ---- state ----------------------------------------------------------------------------------------------- */

static sonde_status hand_over(void *context, int number, const char *name, sonde_tensor *tensor)
{
    return sonde_optimizer_set_state(context, number, name, tensor);
}

/* Three steps, the state moved into a new optimiser, three more: the same bits as six in one. */
static void state_moves(void)
{
    static const char *const rules[] = {"SGD", "Adam", "RMSprop"};
    for (int r = 0; r < 3; r++) {
        sonde_tensor *p = parameter(SONDE_FLOAT32, 2, (double[]){1, -1}),
                     *q = parameter(SONDE_FLOAT32, 2, (double[]){1, -1});
        sonde_optimizer *whole = optimizer(rules[r], p), *half = optimizer(rules[r], q),
                        *other = optimizer(rules[r], q);
        const char *option = r == 1 ? "amsgrad" : "momentum";
        double value = r == 1 ? 1 : 0.9;
        CHECK(sonde_optimizer_set(whole, 0, option, value) == SONDE_OK &&
              sonde_optimizer_set(half, 0, option, value) == SONDE_OK);
        CHECK(sonde_optimizer_set(other, 0, option, value) == SONDE_OK);
        CHECK(sonde_optimizer_visit_state(half, hand_over, other) == SONDE_OK); /* nothing yet: nothing to set */
        for (int i = 0; i < 6; i++) {
            double g[] = {1.0 / (i + 1), i - 2};
            give_gradient(p, 2, g);
            give_gradient(q, 2, g);
            if (i == 3) CHECK(sonde_optimizer_visit_state(half, hand_over, other) == SONDE_OK);
            CHECK(sonde_optimizer_step(whole) == SONDE_OK && sonde_optimizer_step(i < 3 ? half : other) == SONDE_OK);
        }
        CHECK(at(p, 0) == at(q, 0) && at(p, 1) == at(q, 1));
        sonde_optimizer_release(whole);
        sonde_optimizer_release(half);
        sonde_optimizer_release(other);
        sonde_tensor_release(p);
        sonde_tensor_release(q);
    }
}

static void wrong_state(void)
{
    sonde_tensor *p = parameter(SONDE_FLOAT32, 2, (double[]){1, 2}), *t = vector(SONDE_FLOAT64, 3, (double[]){1, 2, 3});
    sonde_tensor *whole = vector(SONDE_INT64, 2, (double[]){1, 2}), *half = vector(SONDE_FLOAT64, 1, (double[]){0.5});
    sonde_optimizer *o = optimizer("Adam", p);
    CHECK(sonde_optimizer_set_state(o, 1, "exp_avg", p) == SONDE_EARG && says("no parameter 2"));
    CHECK(sonde_optimizer_set_state(o, 0, "momentum_buffer", p) == SONDE_EARG && says("no state 'momentum_buffer'"));
    CHECK(sonde_optimizer_set_state(o, 0, "exp_avg", t) == SONDE_ESHAPE && says("[3]") && says("[2]"));
    CHECK(sonde_optimizer_set_state(o, 0, "exp_avg", whole) == SONDE_EDTYPE && says("int64"));
    CHECK(sonde_optimizer_set_state(o, 0, "step", t) == SONDE_ESHAPE);
    CHECK(sonde_optimizer_set_state(o, 0, "step", half) == SONDE_EARG && says("whole number"));
    sonde_optimizer_release(o);
    sonde_tensor *all[] = {p, t, whole, half};
    for (int i = 0; i < 4; i++) sonde_tensor_release(all[i]);
}

/* The module was converted after some steps: the state follows. */
static void conversion(void)
{
    sonde_module *m = NULL;
    CHECK(sonde_linear_new(&m, 2, 1, false, SONDE_FLOAT32) == SONDE_OK);
    sonde_tensor *w = sonde_module_parameter(m, "weight"), *g = NULL;
    sonde_optimizer *o = optimizer("Adam", w);
    CHECK(sonde_tensor_full(&g, SONDE_FLOAT32, 2, w->shape, 1) == SONDE_OK && sonde_set_grad(w, g) == SONDE_OK);
    CHECK(sonde_optimizer_step(o) == SONDE_OK && sonde_module_to(m, SONDE_FLOAT64) == SONDE_OK);
    double before = sonde_tensor_get(w, (int64_t[]){0, 0});
    CHECK(sonde_optimizer_step(o) == SONDE_OK);
    CHECK_NEAR(before - sonde_tensor_get(w, (int64_t[]){0, 0}), 1e-3, 1e-9); /* a constant gradient: steps of lr */
    sonde_tensor_release(g);
    sonde_optimizer_release(o);
    sonde_module_release(m);
}

/* ---- observers and hooks --------------------------------------------------------------------------------- */

typedef struct seen {
    int updates, ends;
    const sonde_tensor *only;
    sonde_update_stats stats;
} seen;

static bool wants(void *context, const sonde_tensor *p)
{
    return ((seen *)context)->only == p;
}

static void updated(void *context, const sonde_tensor *p, const sonde_update_stats *stats)
{
    seen *s = context;
    s->updates++;
    s->stats = *stats;
}

static void step_end(void *context, sonde_optimizer *o)
{
    ((seen *)context)->ends++;
}

/* w = (3, 4, 1e10), g = (1, 0, 1e-3), lr 1: Δw = (-1, 0, 0), the last swallowed by float32. */
static void observers(void)
{
    const double start[] = {3, 4, 1e10}, gradient[] = {1, 0, 1e-3};
    sonde_tensor *a = parameter(SONDE_FLOAT32, 3, start), *b = parameter(SONDE_FLOAT32, 3, start);
    sonde_optimizer *o = optimizer("SGD", a);
    CHECK(sonde_optimizer_add_group(o, 1, &b, NULL) == SONDE_OK);
    CHECK(sonde_optimizer_set(o, 0, "lr", 1) == SONDE_OK && sonde_optimizer_set(o, 1, "lr", 1) == SONDE_OK);
    give_gradient(a, 3, gradient);
    give_gradient(b, 3, gradient);
    seen s = {.only = a}, quiet = {0};
    sonde_optim_observer observer = {.context = &s, .wants = wants, .updated = updated, .step_end = step_end};
    sonde_optim_observer idle = {.context = &quiet, .step_end = step_end};
    sonde_optimizer_observe(o, &idle);
    sonde_optimizer_observe(o, &observer);
    CHECK(sonde_optimizer_step(o) == SONDE_OK && s.updates == 1 && s.ends == 1 && quiet.ends == 1);
    CHECK_NEAR(s.stats.weight_sq, 25 + 1e20, 1e-7);
    CHECK(s.stats.update_sq == 1 && s.stats.n == 3 && s.stats.n_unchanged == 1);
    for (int i = 0; i < 3; i++) CHECK(at(a, i) == at(b, i)); /* observed or not: the same bits */
    sonde_optimizer_unobserve(o, &observer);
    CHECK(sonde_optimizer_step(o) == SONDE_OK && s.updates == 1 && quiet.ends == 2);
    sonde_optimizer_unobserve(o, &idle);
    sonde_optimizer_release(o);
    sonde_tensor_release(a);
    sonde_tensor_release(b);
}

static sonde_status refuse(void *context, sonde_optimizer *o)
{
    ++*(int *)context;
    return sonde_fail(SONDE_ECALLBACK, "no");
}

static sonde_status count(void *context, sonde_optimizer *o)
{
    ++*(int *)context;
    return SONDE_OK;
}

static void hooks(void)
{
    sonde_tensor *p = parameter(SONDE_FLOAT64, 1, (double[]){1});
    sonde_optimizer *o = optimizer("SGD", p);
    int before = 0, after = 0, refused = 0;
    sonde_handle *no;
    give_gradient(p, 1, (double[]){1});
    CHECK(sonde_optimizer_add_hook(o, SONDE_STEP_BEFORE, count, &before, NULL, NULL) == SONDE_OK);
    CHECK(sonde_optimizer_add_hook(o, SONDE_STEP_AFTER, count, &after, NULL, NULL) == SONDE_OK);
    CHECK(sonde_optimizer_step(o) == SONDE_OK && before == 1 && after == 1);
    double value = at(p, 0);
    CHECK(sonde_optimizer_add_hook(o, SONDE_STEP_READY, refuse, &refused, NULL, &no) == SONDE_OK);
    CHECK(sonde_optimizer_step(o) == SONDE_ECALLBACK && at(p, 0) == value && after == 1 && refused == 1);
    sonde_handle_remove(no);
    CHECK(sonde_optimizer_step(o) == SONDE_OK && at(p, 0) < value && refused == 1);
    sonde_optimizer_release(o);
    sonde_tensor_release(p);
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

static void every_allocation_may_fail(void)
{
    long n = 1;
    for (sonde_status status = SONDE_ENOMEM; status != SONDE_OK && n < 1000; n++) {
        sonde_tensor *p[2] = {parameter(SONDE_FLOAT64, 1, (double[]){1}), parameter(SONDE_FLOAT64, 1, (double[]){1})};
        sonde_optimizer *o = NULL;
        for (int i = 0; i < 2; i++) give_gradient(p[i], 1, (double[]){1});
        sonde_memory_fail_at(n);
        status = sonde_optimizer_new(&o, "RMSprop");
        if (status == SONDE_OK) status = sonde_optimizer_add_group(o, 2, p, NULL);
        if (status == SONDE_OK) status = sonde_optimizer_set(o, 0, "momentum", 0.9);
        if (status == SONDE_OK) status = sonde_optimizer_step(o);
        sonde_memory_fail_at(-1);
        CHECK(status == SONDE_OK || (status == SONDE_ENOMEM && at(p[0], 0) == 1 && at(p[1], 0) == 1));
        sonde_optimizer_release(o);
        for (int i = 0; i < 2; i++) sonde_tensor_release(p[i]);
        CHECK(sonde_optimizer_live() == 0 && sonde_tensor_live() == 0);
    }
    CHECK(n > 5 && n < 1000);
}

/* A first step that failed after making a buffer is taken again as a first step: b = g, not (1 - dampening) g; unless
 * the state was set in between. */
static void first_step_after_a_failure(void)
{
    for (int restored = 0; restored < 2; restored++) {
        sonde_tensor *p[2] = {parameter(SONDE_FLOAT64, 1, (double[]){1}), parameter(SONDE_FLOAT64, 1, (double[]){1})};
        sonde_optimizer *o = NULL;
        const char *const names[] = {"lr", "momentum", "dampening"};
        CHECK(sonde_optimizer_new(&o, "SGD") == SONDE_OK && sonde_optimizer_add_group(o, 2, p, NULL) == SONDE_OK);
        CHECK(sonde_optimizer_configure(o, 0, 3, names, (double[]){0.5, 0.5, 0.5}) == SONDE_OK);
        for (int i = 0; i < 2; i++) give_gradient(p[i], 1, (double[]){1});
        sonde_memory_fail_at(3); /* a tensor and its storage for the first buffer, then the second */
        CHECK(sonde_optimizer_step(o) == SONDE_ENOMEM && at(p[0], 0) == 1);
        sonde_memory_fail_at(-1);
        sonde_tensor *buffer = vector(SONDE_FLOAT64, 1, (double[]){3});
        if (restored) CHECK(sonde_optimizer_set_state(o, 0, "momentum_buffer", buffer) == SONDE_OK);
        CHECK(sonde_optimizer_step(o) == SONDE_OK && at(p[1], 0) == 0.5);
        CHECK(at(p[0], 0) == (restored ? 0 : 0.5)); /* b = 0.5 · 3 + 0.5 · 1, or 1 */
        sonde_tensor_release(buffer);
        sonde_optimizer_release(o);
        for (int i = 0; i < 2; i++) sonde_tensor_release(p[i]);
    }
}

int main(void)
{
    CHECK_RUN(trajectories);
    CHECK_RUN(by_hand);
    CHECK_RUN(strided);
    CHECK_RUN(options);
    CHECK_RUN(groups);
    CHECK_RUN(state_moves);
    CHECK_RUN(wrong_state);
    CHECK_RUN(conversion);
    CHECK_RUN(observers);
    CHECK_RUN(hooks);
    CHECK_RUN(every_allocation_may_fail);
    CHECK_RUN(first_step_after_a_failure);
    CHECK(sonde_optimizer_live() == 0 && sonde_module_live() == 0 && sonde_tensor_live() == 0);
    CHECK_END();
}
