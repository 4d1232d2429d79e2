/* CSV files into cells. The text is cut up where it lies: a cell ends with a NUL written over its separator, quotes are
 * taken out in place (a cell never grows by that). */
#include "data/source.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

/* ---- the whole file as text ------------------------------------------------------------------------------- */

/* *text gets *length bytes and a NUL. */
static sonde_status read_text(source *s, char **text, size_t *length)
{
    size_t room = (size_t)s->file_bytes + 4096;
    *length = 0;
    *text = sonde_alloc(room);
    if (*text == NULL) return SONDE_ENOMEM;
    for (;;) {
        size_t got;
        SONDE_TRY(sonde_source_read(s, *text + *length, room - *length - 1, &got));
        *length += got;
        if (*length < room - 1) break;
        if (!sonde_size_mul(room, 2, &room)) return sonde_fail(SONDE_ENOMEM, "'%s' is too large", s->path);
        char *larger = sonde_realloc(*text, room);
        if (larger == NULL) return SONDE_ENOMEM;
        *text = larger;
    }
    (*text)[*length] = '\0';
    if (memchr(*text, '\0', *length) != NULL) {
        return sonde_fail(SONDE_EFORMAT, "'%s' is no CSV file: it contains NUL bytes", s->path);
    }
    return SONDE_OK;
}

/* ---- cutting ---------------------------------------------------------------------------------------------- */

typedef struct cutter {
    sonde_csv *csv;
    char *at; /* where we are in the text */
    char separator;
    int64_t line; /* from 1 */
    int64_t n_cells, cell_room, line_room;
} cutter;

static sonde_status grow(void **array, int64_t *room, size_t item)
{
    int64_t larger = *room == 0 ? 1024 : *room * 2;
    void *moved = sonde_realloc(*array, (size_t)larger * item);
    if (moved == NULL) return SONDE_ENOMEM;
    *array = moved;
    *room = larger;
    return SONDE_OK;
}

static bool is_end(const cutter *c)
{
    return *c->at == c->separator || *c->at == '\n' || *c->at == '\0';
}
static bool is_blank(const cutter *c, char ch)
{
    return ch != c->separator && (ch == ' ' || ch == '\t' || ch == '\r');
}

/* "…" from its opening quote on; leaves `at` at the cell's end. */
static sonde_status cut_quoted(cutter *c, char **cell)
{
    int64_t first_line = c->line;
    char *to = ++c->at;
    *cell = to;
    for (;; c->at++) {
        if (*c->at == '\0') {
            return sonde_fail(SONDE_EFORMAT, "'%s' line %lld: a quote is opened and never closed", c->csv->path,
                              (long long)first_line);
        }
        if (*c->at == '"' && *++c->at != '"') break; /* of a doubled quote the second is kept */
        if (*c->at == '\n') c->line++;
        *to++ = *c->at;
    }
    while (is_blank(c, *c->at)) c->at++;
    if (!is_end(c)) {
        return sonde_fail(SONDE_EFORMAT, "'%s' line %lld: text after a closing quote", c->csv->path,
                          (long long)c->line);
    }
    *to = '\0'; /* the closing quote's place at the latest */
    return SONDE_OK;
}

/* One cell, blanks round it left out; *last tells whether it ends its line. */
static sonde_status cut_cell(cutter *c, char **cell, bool *last)
{
    char *to = NULL; /* where to end the cell; a quoted one has its end */
    while (is_blank(c, *c->at)) c->at++;
    if (*c->at == '"') {
        SONDE_TRY(cut_quoted(c, cell));
    } else {
        *cell = c->at;
        while (!is_end(c)) c->at++;
        to = c->at;
        while (to > *cell && is_blank(c, to[-1])) to--;
    }
    char end = *c->at;
    if (to != NULL) *to = '\0';
    if (end == '\n') c->line++;
    if (end != '\0') c->at++;
    *last = end != c->separator;
    return SONDE_OK;
}

/* Empty lines: blanks and a line end, or blanks and the end of the text. */
static void skip_empty_lines(cutter *c)
{
    for (;;) {
        char *p = c->at;
        while (is_blank(c, *p)) p++;
        if (*p != '\n') {
            if (*p == '\0') c->at = p;
            return;
        }
        c->line++;
        c->at = p + 1;
    }
}

static sonde_status cut_row(cutter *c)
{
    sonde_csv *csv = c->csv;
    int64_t n = 0, line = c->line;
    bool last = false;
    while (!last) {
        if (c->n_cells == c->cell_room) SONDE_TRY(grow((void **)&csv->cells, &c->cell_room, sizeof *csv->cells));
        SONDE_TRY(cut_cell(c, &csv->cells[c->n_cells], &last));
        c->n_cells++;
        n++;
    }
    if (csv->rows == 0) csv->columns = n;
    if (n != csv->columns) {
        return sonde_fail(SONDE_EFORMAT,
                          "'%s' line %lld has %lld cell%s, line %lld has %lld: every line needs the same number",
                          csv->path, (long long)line, (long long)n, n == 1 ? "" : "s", (long long)csv->lines[0],
                          (long long)csv->columns);
    }
    if (csv->rows == c->line_room) SONDE_TRY(grow((void **)&csv->lines, &c->line_room, sizeof *csv->lines));
    csv->lines[csv->rows++] = line;
    return SONDE_OK;
}

/* ---- the header ------------------------------------------------------------------------------------------- */

bool sonde_csv_parse_number(const char *text, double *value)
{
    char *end;
    *value = strtod_l(text, &end, newlocale(LC_ALL_MASK, "C", (locale_t)0)); /* glibc's own constant: not allocated */
    return end != text && *end == '\0';
}

/* Moves the first row into names. */
static sonde_status take_header(sonde_csv *csv)
{
    size_t columns = (size_t)csv->columns;
    csv->names = sonde_alloc(columns * sizeof *csv->names);
    if (csv->names == NULL) return SONDE_ENOMEM;
    memcpy(csv->names, csv->cells, columns * sizeof *csv->names);
    csv->rows--;
    memmove(csv->cells, csv->cells + columns, columns * (size_t)csv->rows * sizeof *csv->cells);
    memmove(csv->lines, csv->lines + 1, (size_t)csv->rows * sizeof *csv->lines);
    return SONDE_OK;
}

static sonde_status cut_all(sonde_csv *csv, size_t length, char separator, sonde_csv_header header)
{
    cutter c = {.csv = csv, .at = csv->text, .separator = separator, .line = 1};
    if (length >= 3 && memcmp(c.at, "\xef\xbb\xbf", 3) == 0) c.at += 3;
    for (skip_empty_lines(&c); *c.at != '\0'; skip_empty_lines(&c)) SONDE_TRY(cut_row(&c));
    if (csv->rows == 0) return sonde_fail(SONDE_EFORMAT, "'%s' is empty", csv->path);
    if (header == SONDE_CSV_GUESS) {
        header = SONDE_CSV_HEADER;
        double value;
        for (int64_t i = 0; i < csv->columns; i++) {
            if (sonde_csv_parse_number(csv->cells[i], &value)) header = SONDE_CSV_NO_HEADER;
        }
    }
    if (header == SONDE_CSV_HEADER) SONDE_TRY(take_header(csv));
    if (csv->rows == 0) return sonde_fail(SONDE_EFORMAT, "'%s' has a header and no data", csv->path);
    return SONDE_OK;
}

sonde_status sonde_csv_load(sonde_csv **out, const char *path, char separator, sonde_csv_header header)
{
    *out = NULL;
    if (separator == '\0' || separator == '"' || separator == '\n' || separator == '\r') {
        return sonde_fail(SONDE_EARG, "a quote, a line end or nothing cannot separate cells");
    }
    source s;
    SONDE_TRY(sonde_source_open(&s, path));
    sonde_csv *csv = sonde_alloc_zeroed(sizeof *csv);
    size_t length = 0;
    sonde_status status = SONDE_ENOMEM;
    if (csv != NULL && (csv->path = sonde_strdup(path)) != NULL) status = read_text(&s, &csv->text, &length);
    sonde_source_close(&s);
    if (status == SONDE_OK) status = cut_all(csv, length, separator, header);
    if (status != SONDE_OK) {
        sonde_csv_free(csv);
        return status;
    }
    *out = csv;
    return SONDE_OK;
}

void sonde_csv_free(sonde_csv *csv)
{
    if (csv == NULL) return;
    sonde_free(csv->path);
    sonde_free(csv->text);
    sonde_free(csv->names);
    sonde_free(csv->cells);
    sonde_free(csv->lines);
    sonde_free(csv);
}
