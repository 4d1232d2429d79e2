/* What all parametrisations share: putting them in place, making values at each call, taking them away. */
#include "nn/internal.h"

#include <stdio.h>
#include <string.h>

/* ---- the two containers ------------------------------------------------------------------------------------ */

typedef struct dict_state {
    int calls;  /* of the owner and makings of values, under way: which lists there are stays as it is */
    int placed; /* of the calls those whose values are in their places */
    bool open;  /* sonde_parametrize is putting a list in */
} dict_state;

static sonde_status dict_forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    return sonde_fail(SONDE_ESTATE, "a ModuleDict cannot be called");
}

static const sonde_module_class dict_class = {
    .name = "ModuleDict", .forward = dict_forward, .min_in = -1, .max_in = SONDE_MAX_VALUES, .is_container = true};

static sonde_status check_original(const sonde_parameter *p)
{
    return p->tensor ? SONDE_OK : sonde_fail(SONDE_ESTATE, "the %s is missing", p->name);
}

/* Originals to the first, each result to the next. */
static sonde_status list_forward(sonde_module *self, const sonde_values *in, sonde_values *out)
{
    sonde_values now = {0};
    if (self->n_parameters > SONDE_MAX_VALUES)
        return sonde_fail(SONDE_ESTATE, "at most %d originals, got %d", SONDE_MAX_VALUES, self->n_parameters);
    for (int i = 0; i < self->n_parameters; i++) SONDE_TRY(check_original(&self->parameters[i]));
    for (int i = 0; i < self->n_parameters; i++) now.t[now.n++] = sonde_tensor_retain(self->parameters[i].tensor);
    sonde_status status = SONDE_OK;
    for (int i = 0; status == SONDE_OK && i < self->n_children; i++) {
        sonde_values next;
        status = sonde_module_call_child(self, i, &now, &next);
        sonde_values_release(&now);
        now = next;
        if (status == SONDE_OK && (now.n != 1 || !now.t[0])) {
            status = sonde_fail(SONDE_ESTATE, "parametrisation '%s' must return one tensor, got %d",
                                self->children[i].name, now.n);
            sonde_values_release(&now);
        }
    }
    if (status == SONDE_OK) *out = now;
    return status;
}

static const sonde_module_class list_class = {
    .name = "ParametrizationList", .forward = list_forward, .min_in = -1, .is_container = true};

/* Each list belongs to a parameter of the dict's owner: sonde_parametrize alone puts one in. */
sonde_status sonde_parametrizations_check_child(const sonde_module *m, const char *name)
{
    if (m->class != &dict_class || ((const dict_state *)m->state)->open) return SONDE_OK;
    return sonde_fail(SONDE_EARG, "child '%s' of parametrizations cannot be assigned: register_parametrization puts it "
                      "there", name);
}

bool sonde_is_parametrization_list(const sonde_module *m)
{
    return m->class == &list_class;
}

static sonde_module *list_of(const sonde_module *m, const char *name)
{
    return m->parametrizations ? sonde_module_child(m->parametrizations, name) : NULL;
}

bool sonde_is_parametrized(const sonde_module *m, const char *name)
{
    return name ? list_of(m, name) != NULL : m->parametrizations != NULL;
}

static sonde_parameter *find(const sonde_module *m, const char *name)
{
    for (int i = 0; i < m->n_parameters; i++)
        if (strcmp(m->parameters[i].name, name) == 0) return &m->parameters[i];
    return NULL;
}

/* ---- values ------------------------------------------------------------------------------------------------ */

static sonde_status make_value(sonde_tensor **out, const sonde_module *m, int i)
{
    const sonde_child *list = &m->parametrizations->children[i];
    char path[256];
    snprintf(path, sizeof path, "parametrizations.%s", list->name);
    sonde_values made;
    SONDE_TRY(sonde_module_call_as(list->module, path, &(sonde_values){0}, &made));
    if (made.n != 1 || !made.t[0]) { /* a hook on the list has a say too */
        const int n = made.n;
        sonde_values_release(&made);
        return sonde_fail(SONDE_ESTATE, "%s must return one tensor, got %d", path, n);
    }
    *out = made.t[0];
    return SONDE_OK;
}

/* values[i] for each parametrised tensor into its place; what was there into values. */
static void exchange(sonde_module *m, sonde_tensor **values)
{
    for (int i = 0; i < m->parametrizations->n_children; i++) {
        sonde_parameter *p = find(m, m->parametrizations->children[i].name);
        sonde_tensor *value = values[i];
        values[i] = p->tensor;
        p->tensor = value;
    }
}

/* The values lose their history, and with it the graph. */
static sonde_status strip(sonde_tensor **values, int n)
{
    for (int i = 0; i < n; i++) {
        sonde_tensor *plain;
        SONDE_TRY(sonde_detach(&plain, values[i]));
        sonde_tensor_release(values[i]);
        values[i] = plain;
    }
    return SONDE_OK;
}

/* Puts back what was there: in the outermost call the new values, without history. values is spent. */
static sonde_status put_back(sonde_module *m, sonde_tensor **values, bool outermost)
{
    sonde_status status = SONDE_OK;
    const int n = m->parametrizations->n_children;
    exchange(m, values);
    if (outermost && (status = strip(values, n)) == SONDE_OK) exchange(m, values);
    for (int i = 0; i < n; i++) sonde_tensor_release(values[i]);
    return status;
}

sonde_status sonde_module_call_parametrized(sonde_module *m, const sonde_values *in, sonde_values *out)
{
    sonde_module *dict = sonde_module_retain(m->parametrizations);
    dict_state *state = dict->state;
    const int n = dict->n_children;
    sonde_tensor **values = sonde_alloc_zeroed((size_t)n * sizeof *values);
    sonde_status status = values ? SONDE_OK : SONDE_ENOMEM;
    int made = 0;
    state->calls++; /* from here on, as making a value runs the user's code */
    while (status == SONDE_OK && made < n)
        if ((status = make_value(&values[made], m, made)) == SONDE_OK) made++;
    if (status == SONDE_OK) {
        exchange(m, values);
        state->placed++;
        status = m->hooks ? sonde_module_call_hooked(m, in, out) : m->class->forward(m, in, out);
        state->placed--;
        sonde_status back = put_back(m, values, state->placed == 0);
        if (status == SONDE_OK && back != SONDE_OK) {
            sonde_values_release(out);
            status = back;
        }
    } else {
        for (int i = 0; i < made; i++) sonde_tensor_release(values[i]);
    }
    state->calls--;
    sonde_free(values);
    sonde_module_release(dict);
    return status;
}

sonde_status sonde_parametrized_value(sonde_tensor **out, sonde_module *m, const char *name)
{
    for (int i = 0; m->parametrizations && i < m->parametrizations->n_children; i++) {
        if (strcmp(m->parametrizations->children[i].name, name) != 0) continue;
        dict_state *state = m->parametrizations->state;
        if (state->placed == 0) {
            state->calls++;
            const sonde_status status = make_value(out, m, i);
            state->calls--;
            return status;
        }
        *out = sonde_tensor_retain(find(m, name)->tensor);
        return SONDE_OK;
    }
    return sonde_fail(SONDE_EARG, "%s has no parametrised '%s'", m->class->name, name);
}

/* ---- putting in place -------------------------------------------------------------------------------------- */

/* The parametrisation gives, without recording and in evaluation mode, a tensor like `want`. It is the user's code: m's
 * parameters and their parametrisations are others after it, perhaps. */
static sonde_status try_out(const char *name, const sonde_tensor *want, sonde_module *parametrization,
                            const sonde_values *originals, sonde_tensor **value)
{
    sonde_values made;
    const bool training = parametrization->training, recording = sonde_grad_enable(false);
    sonde_status status = sonde_module_train(parametrization, false);
    if (status == SONDE_OK) status = sonde_module_call(parametrization, originals, &made);
    sonde_grad_enable(recording);
    if (status != SONDE_OK) {
        (void)sonde_module_train(parametrization, training); /* what failed first is what is told */
        return status;
    }
    status = sonde_module_train(parametrization, training);
    const sonde_tensor *t = made.n == 1 ? made.t[0] : NULL;
    char expected[SONDE_SHAPE_TEXT], got[SONDE_SHAPE_TEXT];
    if (status != SONDE_OK) {
    } else if (!t)
        status = sonde_fail(SONDE_EARG, "parametrisation %s of '%s' must return one tensor, got %d",
                            parametrization->class->name, name, made.n);
    else if (!sonde_tensor_same_shape(t, want))
        status = sonde_fail(SONDE_ESHAPE, "parametrisation %s of '%s' must return a tensor %s, got %s",
                            parametrization->class->name, name,
                            sonde_shape_text(expected, want->ndim, want->shape),
                            sonde_shape_text(got, t->ndim, t->shape));
    else if (t->dtype != want->dtype)
        status = sonde_fail(SONDE_EDTYPE, "parametrisation %s of '%s' must return %s, got %s",
                            parametrization->class->name, name, sonde_dtype_name(want->dtype),
                            sonde_dtype_name(t->dtype));
    if (status == SONDE_OK) status = sonde_detach(value, made.t[0]);
    sonde_values_release(&made);
    return status;
}

/* The originals as parameters of the list. */
static sonde_status add_originals(sonde_module *list, const sonde_parameter *p, const sonde_values *originals)
{
    const sonde_tensor *first = originals->t[0];
    if (originals->n == 1 && sonde_tensor_same_shape(first, p->tensor) && first->dtype == p->tensor->dtype)
        return sonde_module_set_parameter(list, "original", p->tensor, false); /* values follow when all else is done */
    for (int i = 0; i < originals->n; i++) {
        char name[32] = "original";
        sonde_tensor *copy;
        if (originals->n > 1) snprintf(name, sizeof name, "original%d", i);
        SONDE_TRY(sonde_tensor_clone(&copy, originals->t[i]));
        sonde_status status = sonde_requires_grad_(copy, p->tensor->requires_grad);
        if (status == SONDE_OK) status = sonde_module_set_parameter(list, name, copy, false);
        sonde_tensor_release(copy);
        SONDE_TRY(status);
    }
    return SONDE_OK;
}

static sonde_status make_dict(sonde_module *m)
{
    if (m->parametrizations) return SONDE_OK;
    dict_state *state = sonde_alloc_zeroed(sizeof *state);
    if (!state) return SONDE_ENOMEM;
    sonde_status status = sonde_module_new(&m->parametrizations, &dict_class, state);
    if (status != SONDE_OK) sonde_free(state);
    return status;
}

static void drop_empty_dict(sonde_module *m)
{
    if (!m->parametrizations || m->parametrizations->n_children > 0) return;
    sonde_module_release(m->parametrizations);
    m->parametrizations = NULL;
}

/* value: what it makes now. */
static sonde_status place(sonde_module *m, sonde_parameter *p, sonde_module *parametrization,
                          const sonde_values *originals, sonde_tensor *value)
{
    sonde_module *list = NULL;
    SONDE_TRY(sonde_module_new(&list, &list_class, NULL));
    list->training = m->training;
    sonde_status status = add_originals(list, p, originals);
    if (status == SONDE_OK) status = sonde_module_set_child(list, NULL, parametrization);
    if (status == SONDE_OK) status = make_dict(m);
    if (status == SONDE_OK) {
        dict_state *state = m->parametrizations->state;
        state->open = true;
        status = sonde_module_set_child(m->parametrizations, p->name, list);
        state->open = false;
    }
    if (status == SONDE_OK) {
        sonde_tensor *kept = sonde_module_parameter(list, "original");
        if (kept == p->tensor && kept != originals->t[0]) status = sonde_tensor_copy_(kept, originals->t[0]);
        sonde_tensor_release(p->tensor);
        p->tensor = sonde_tensor_retain(value);
        p->is_computed = true;
    }
    drop_empty_dict(m);
    sonde_module_release(list);
    return status;
}

static sonde_status refuse_while_called(const sonde_module *m, const char *what)
{
    if (!m->parametrizations || ((const dict_state *)m->parametrizations->state)->calls == 0) return SONDE_OK;
    return sonde_fail(SONDE_ESTATE, "%s is being called: %s", m->class->name, what);
}

/* The parameter, after user code has run: still there, and parametrised by the same list (NULL: none) as before? */
static sonde_status find_again(sonde_parameter **out, const sonde_module *m, const char *name, const sonde_module *list)
{
    *out = find(m, name);
    if (*out && (*out)->tensor && !(*out)->is_buffer && list_of(m, name) == list) return SONDE_OK;
    return sonde_fail(SONDE_ESTATE, "'%s' of %s was changed while its parametrisation was tried", name, m->class->name);
}

/* One more at the end of the list. What there is is asked for, not read: m may have another dtype by now. */
static sonde_status append(sonde_module *m, const char *name, sonde_module *parametrization)
{
    sonde_module *list = list_of(m, name);
    sonde_tensor *now, *value;
    sonde_parameter *p = NULL;
    SONDE_TRY(sonde_parametrized_value(&now, m, name));
    sonde_module_retain(list);
    sonde_status status = try_out(name, now, parametrization, &(sonde_values){.n = 1, .t = {now}}, &value);
    sonde_tensor_release(now);
    if (status != SONDE_OK) {
        sonde_module_release(list);
        return status;
    }
    status = find_again(&p, m, name, list);
    if (status == SONDE_OK) status = sonde_module_set_child(list, NULL, parametrization);
    sonde_module_release(list);
    if (status == SONDE_OK) {
        sonde_tensor_release(p->tensor);
        p->tensor = sonde_tensor_retain(value);
    }
    sonde_tensor_release(value);
    return status;
}

sonde_status sonde_parametrize_find(sonde_tensor **out, const sonde_module *m, const char *name)
{
    char known[256] = "";
    const sonde_parameter *p = find(m, name);
    if (p && p->tensor && !p->is_buffer) {
        *out = p->tensor;
        return SONDE_OK;
    }
    for (int i = 0; i < m->n_parameters; i++) {
        const sonde_parameter *other = &m->parameters[i];
        const size_t used = strlen(known);
        if (other->tensor && !other->is_buffer)
            snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", other->name);
    }
    return sonde_fail(SONDE_EARG, "%s has no parameter '%s'; there %s%s", m->class->name, name,
                      known[0] ? "are: " : "are none", known);
}

sonde_status sonde_parametrize(sonde_module *m, const char *name, sonde_module *parametrization, int n,
                               sonde_tensor *const *originals)
{
    sonde_tensor *tensor;
    SONDE_TRY(sonde_parametrize_find(&tensor, m, name));
    const bool more = sonde_is_parametrized(m, name);
    if (sonde_module_child(m, "parametrizations") || find(m, "parametrizations"))
        return sonde_fail(SONDE_EARG, "%s has a 'parametrizations' of its own", m->class->name);
    if (n > SONDE_MAX_VALUES || (n > 0) == more)
        return sonde_fail(SONDE_EARG, "parametrisation %s of '%s': expected %s originals, got %d",
                          parametrization->class->name, name, more ? "no" : "1 to 8", n);
    SONDE_TRY(refuse_while_called(m, "it cannot be parametrised now"));
    SONDE_TRY(sonde_module_train(parametrization, m->training));
    if (more) return append(m, name, parametrization);
    sonde_values given = {.n = n};
    for (int i = 0; i < n; i++) given.t[i] = originals[i];
    sonde_tensor *value;
    sonde_parameter *p = NULL;
    sonde_tensor_retain(tensor);
    sonde_status status = try_out(name, tensor, parametrization, &given, &value);
    sonde_tensor_release(tensor);
    SONDE_TRY(status);
    status = find_again(&p, m, name, NULL);
    if (status == SONDE_OK) status = place(m, p, parametrization, &given, value);
    sonde_tensor_release(value);
    return status;
}

/* ---- taking away ------------------------------------------------------------------------------------------- */

/* What the parameter will be: the one original's tensor, if it fits, with `value`; else a new leaf. */
static sonde_status make_parameter(sonde_tensor **out, const sonde_module *list, sonde_tensor *value)
{
    SONDE_TRY(check_original(&list->parameters[0]));
    sonde_tensor *original = list->parameters[0].tensor;
    if (list->n_parameters == 1 && sonde_tensor_same_shape(original, value) && original->dtype == value->dtype) {
        SONDE_TRY(sonde_tensor_copy_(original, value));
        *out = sonde_tensor_retain(original);
        return SONDE_OK;
    }
    sonde_tensor *copy;
    SONDE_TRY(sonde_tensor_clone(&copy, value));
    sonde_status status = sonde_requires_grad_(copy, original->requires_grad);
    if (status == SONDE_OK)
        *out = copy;
    else
        sonde_tensor_release(copy);
    return status;
}

sonde_status sonde_remove_parametrizations(sonde_module *m, const char *name, bool leave_parametrized)
{
    sonde_module *list = list_of(m, name);
    if (!list) return sonde_fail(SONDE_EARG, "%s has no parametrised '%s'", m->class->name, name);
    SONDE_TRY(refuse_while_called(m, "its parametrisation cannot be removed now"));
    sonde_tensor *value, *parameter = NULL;
    if (leave_parametrized) {
        const bool recording = sonde_grad_enable(false);
        sonde_status made = sonde_parametrized_value(&value, m, name);
        sonde_grad_enable(recording);
        SONDE_TRY(made);
    } else if (list->n_parameters == 1) {
        SONDE_TRY(check_original(&list->parameters[0]));
        value = sonde_tensor_retain(list->parameters[0].tensor);
    } else {
        return sonde_fail(SONDE_EARG, "'%s' of %s is made of %d originals: only its present value can be left", name,
                          m->class->name, list->n_parameters);
    }
    sonde_status status = make_parameter(&parameter, list, value);
    sonde_tensor_release(value);
    SONDE_TRY(status);
    sonde_parameter *p = find(m, name);
    sonde_tensor_release(p->tensor);
    p->tensor = parameter;
    p->is_computed = false;
    sonde_module_remove_child(m->parametrizations, name);
    drop_empty_dict(m);
    return SONDE_OK;
}
