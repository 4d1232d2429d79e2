/* What tostring(t) shows: PyTorch's rules (torch/_tensor_str.py): 4 decimals, 80 columns, more than 1000 elements
 * summarised by the first and last three along every axis, one number format for all elements shown.
 */
#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EDGE = 3, SUMMARISE_FROM = 1000, LINE_WIDTH = 80, NUMBER = 64 };

typedef enum style { INTEGER, WHOLE, FIXED, SCIENTIFIC } style; /* WHOLE: floats that are all integers, "2." */

typedef struct printer {
    char *text; /* NULL after a failed growth */
    size_t length, room;
    const sonde_tensor *t;
    bool summarise;
    style style;
    int width;
    /* while the format is being chosen */
    bool any, whole;
    double least, most; /* of |x| over finite non-zero elements */
} printer;

static void put(printer *p, const char *s)
{
    size_t n = strlen(s);
    if (!p->text) return;
    if (p->length + n + 1 > p->room) {
        size_t room = 2 * (p->length + n + 1);
        char *grown = sonde_realloc(p->text, room);
        if (!grown) {
            sonde_free(p->text);
            p->text = NULL;
            return;
        }
        p->text = grown;
        p->room = room;
    }
    memcpy(p->text + p->length, s, n + 1);
    p->length += n;
}

static void put_times(printer *p, const char *s, int n)
{
    for (int i = 0; i < n; i++) put(p, s);
}

static void number_text(char out[static NUMBER], const printer *p, const int64_t *index)
{
    if (p->t->dtype == SONDE_INT64) {
        snprintf(out, NUMBER, "%lld", (long long)sonde_tensor_get_int(p->t, index));
        return;
    }
    double x = sonde_tensor_get(p->t, index);
    if (isnan(x)) snprintf(out, NUMBER, "nan");
    else if (isinf(x)) snprintf(out, NUMBER, x < 0 ? "-inf" : "inf");
    else if (p->style == SCIENTIFIC) snprintf(out, NUMBER, "%.4e", x);
    else if (p->style == FIXED) snprintf(out, NUMBER, "%.4f", x);
    else snprintf(out, NUMBER, "%.0f.", x);
}

typedef void (*visitor)(printer *p, const int64_t *index);

/* The element shown after position i: the middle of a long axis is left out. */
static int64_t next_shown(const printer *p, int64_t i, int64_t n)
{
    return p->summarise && n > 2 * EDGE && i + 1 == EDGE ? n - EDGE : i + 1;
}

static void each_shown(printer *p, visitor visit, int64_t *index, int d)
{
    if (d == p->t->ndim) {
        visit(p, index);
        return;
    }
    for (index[d] = 0; index[d] < p->t->shape[d]; index[d] = next_shown(p, index[d], p->t->shape[d]))
        each_shown(p, visit, index, d + 1);
}

static void look(printer *p, const int64_t *index)
{
    double x = sonde_tensor_get(p->t, index), size = fabs(x);
    if (!isfinite(x) || x == 0) return;
    if (!p->any || size < p->least) p->least = size;
    if (!p->any || size > p->most) p->most = size;
    if (x != floor(x)) p->whole = false;
    p->any = true;
}

/* As PyTorch: finite non-zero numbers set the width. */
static void measure(printer *p, const int64_t *index)
{
    char text[NUMBER];
    if (p->t->dtype != SONDE_INT64) {
        const double x = sonde_tensor_get(p->t, index);
        if (x == 0 || !isfinite(x)) return;
    }
    number_text(text, p, index);
    int n = (int)strlen(text);
    if (n > p->width) p->width = n;
}

static void choose_format(printer *p)
{
    int64_t index[SONDE_MAX_DIMS] = {0};
    p->style = INTEGER;
    if (p->t->dtype != SONDE_INT64) {
        p->whole = true;
        each_shown(p, look, index, 0);
        p->style = !p->any ? WHOLE
                   : p->most / p->least > 1000 || p->most > 1e8 || (!p->whole && p->least < 1e-4) ? SCIENTIFIC
                   : p->whole ? WHOLE
                              : FIXED;
    }
    each_shown(p, measure, index, 0);
}

static void put_number(printer *p, const int64_t *index)
{
    char text[NUMBER];
    number_text(text, p, index);
    put_times(p, " ", p->width - (int)strlen(text));
    put(p, text);
}

static void put_row(printer *p, int64_t *index, int d, int indent)
{
    const int64_t n = p->t->shape[d];
    const int in_line = (LINE_WIDTH - indent) / (p->width + 2), per_line = in_line > 1 ? in_line : 1;
    int shown = 0;
    put(p, "[");
    for (index[d] = 0; index[d] < n;) {
        if (shown > 0) put(p, shown % per_line == 0 ? ",\n" : ", ");
        if (shown > 0 && shown % per_line == 0) put_times(p, " ", indent + 1);
        put_number(p, index);
        shown++;
        int64_t next = next_shown(p, index[d], n);
        if (next > index[d] + 1) {
            put(p, shown % per_line == 0 ? ",\n" : ", ");
            if (shown % per_line == 0) put_times(p, " ", indent + 1);
            put(p, " ...");
            shown++;
        }
        index[d] = next;
    }
    put(p, "]");
}

static void put_block(printer *p, int64_t *index, int d, int indent)
{
    const int left = p->t->ndim - d;
    if (left == 0) put_number(p, index);
    else if (left == 1) put_row(p, index, d, indent);
    if (left < 2) return;
    put(p, "[");
    for (index[d] = 0; index[d] < p->t->shape[d];) {
        put_block(p, index, d + 1, indent + 1);
        int64_t next = next_shown(p, index[d], p->t->shape[d]);
        if (next > index[d] + 1) {
            put(p, ",\n");
            put_times(p, " ", indent + 1);
            put(p, "...");
        }
        if (next < p->t->shape[d]) {
            put(p, ",");
            put_times(p, "\n", left - 1);
            put_times(p, " ", indent + 1);
        }
        index[d] = next;
    }
    put(p, "]");
}

/* ", dtype=float64": on a line of its own where the last one is full. */
static void put_suffix(printer *p, const char *name, const char *value)
{
    if (!p->text) return;
    const char *line = strrchr(p->text, '\n');
    const size_t last =
        p->length - (line ? (size_t)(line - p->text) + 1 : 0) + strlen(", ") + 2 + strlen(name) + strlen(value);
    put(p, last > LINE_WIDTH ? ",\n" : ", ");
    if (last > LINE_WIDTH) put_times(p, " ", (int)strlen("tensor("));
    put(p, name);
    put(p, value);
}

sonde_status sonde_tensor_format(char **out, const sonde_tensor *t)
{
    const int64_t n = sonde_tensor_numel(t);
    int64_t index[SONDE_MAX_DIMS] = {0};
    printer p = {.t = t, .room = 256, .width = 1, .summarise = n > SUMMARISE_FROM};
    p.text = sonde_alloc(p.room);
    if (p.text) p.text[0] = '\0';
    put(&p, "tensor(");
    if (n > 0) {
        choose_format(&p);
        put_block(&p, index, 0, (int)strlen("tensor("));
    } else {
        char shape[SONDE_SHAPE_TEXT];
        put(&p, "[]");
        if (t->ndim != 1) put_suffix(&p, "size=", sonde_shape_text(shape, t->ndim, t->shape));
    }
    if (t->dtype == SONDE_FLOAT64 || (n == 0 && t->dtype == SONDE_INT64))
        put_suffix(&p, "dtype=", sonde_dtype_name(t->dtype));
    const char *made_by = t->autograd && t->requires_grad ? sonde_tensor_autograd.op_name(t->autograd) : NULL;
    if (made_by) put_suffix(&p, "grad_fn=", made_by);
    else if (t->requires_grad) put_suffix(&p, "requires_grad=", "true");
    put(&p, ")");
    *out = p.text;
    return p.text ? SONDE_OK : SONDE_ENOMEM;
}
