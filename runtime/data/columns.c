/* Columns of a CSV file as numbers and as labels. */
#include "data/source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *cell_at(const sonde_csv *csv, int64_t row, int64_t column)
{
    return csv->cells[row * csv->columns + column];
}

static bool is_missing(const char *cell)
{
    static const char *const marks[] = {"", "na", "n/a", "nan", "null", "?"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (strcasecmp(cell, marks[i]) == 0) return true;
    }
    return false;
}

/* "'f.csv' line 3, column 2 ('age')" as the beginning of a message. */
static sonde_status fail_at(const sonde_csv *csv, int64_t row, int64_t column, const char *what, const char *cell)
{
    const char *name = csv->names != NULL ? csv->names[column] : "";
    return sonde_fail(SONDE_EFORMAT, "'%s' line %lld, column %lld%s%.40s%s: '%.40s' %s", csv->path,
                      (long long)csv->lines[row], (long long)column + 1, *name ? " (" : "", name, *name ? ")" : "",
                      cell, what);
}

sonde_status sonde_csv_numbers(const sonde_csv *csv, int64_t n, const int64_t *columns, sonde_dtype dtype, void *out)
{
    for (int64_t row = 0; row < csv->rows; row++) {
        for (int64_t k = 0; k < n; k++) {
            const char *cell = cell_at(csv, row, columns[k]);
            double value = (double)NAN;
            if (!is_missing(cell) && !sonde_csv_parse_number(cell, &value)) {
                return fail_at(csv, row, columns[k], "is no number; leave the column out or use it as label", cell);
            }
            if (dtype == SONDE_FLOAT64)
                ((double *)out)[row * n + k] = value;
            else
                ((float *)out)[row * n + k] = (float)value;
        }
    }
    return SONDE_OK;
}

/* ---- labels ------------------------------------------------------------------------------------------------- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A column of integers; false (out is then half written) as soon as a cell is none. */
static bool read_integers(const sonde_csv *csv, int64_t column, int64_t *out)
{
    for (int64_t row = 0; row < csv->rows; row++) {
        double value;
        if (!sonde_csv_parse_number(cell_at(csv, row, column), &value)) return false;
        if (value != floor(value) || fabs(value) > 9007199254740992.0) return false;
        out[row] = (int64_t)value;
    }
    return true;
}

static sonde_status number_texts(const sonde_csv *csv, int64_t column, int64_t *out, char ***classes,
                                 int64_t *n_classes)
{
    size_t rows = (size_t)csv->rows;
    char **texts = sonde_alloc(rows * sizeof *texts);
    if (texts == NULL) return SONDE_ENOMEM;
    for (size_t row = 0; row < rows; row++) texts[row] = csv->cells[row * (size_t)csv->columns + (size_t)column];
    qsort(texts, rows, sizeof *texts, compare_texts);
    size_t n = 1;
    for (size_t i = 1; i < rows; i++) {
        if (strcmp(texts[i], texts[n - 1]) != 0) texts[n++] = texts[i];
    }
    for (size_t row = 0; row < rows; row++) {
        char **found =
            bsearch(&csv->cells[row * (size_t)csv->columns + (size_t)column], texts, n, sizeof *texts, compare_texts);
        out[row] = found - texts + 1;
    }
    *classes = texts;
    *n_classes = (int64_t)n;
    return SONDE_OK;
}

sonde_status sonde_csv_labels(const sonde_csv *csv, int64_t column, int64_t labels_from, int64_t *out, char ***classes,
                              int64_t *n_classes)
{
    *classes = NULL;
    *n_classes = 0;
    bool all_numbers = true;
    for (int64_t row = 0; row < csv->rows; row++) {
        const char *cell = cell_at(csv, row, column);
        double value;
        if (is_missing(cell)) return fail_at(csv, row, column, "is no label: every row needs one", cell);
        all_numbers = all_numbers && sonde_csv_parse_number(cell, &value);
    }
    if (read_integers(csv, column, out)) {
        sonde_status status = sonde_labels_shift(out, out, csv->rows, labels_from);
        if (status != SONDE_OK) sonde_fail_within("column %lld of '%s': ", (long long)column + 1, csv->path);
        return status;
    }
    if (!all_numbers) return number_texts(csv, column, out, classes, n_classes);
    return sonde_fail(SONDE_EFORMAT, "column %lld of '%s' holds fractions: they are no labels; use it as target",
                      (long long)column + 1, csv->path);
}
