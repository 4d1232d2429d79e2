/* data — the outside world's bytes as rows of numbers: IDX, CIFAR and CSV files (plain or gzip), rows gathered into
 * batches, synthetic sets, tasks that need a memory (tasks.h), images (images.h).
 *
 * Memory:  plain arrays, row-major; the caller owns what it passes in, and frees what a _load or _open gave it.
 * Numbers: positions and labels are 1-based, as users see them; columns are 0-based.
 * Failure: EIO where a file cannot be read, EFORMAT where it is not what it should be. The message names the file, the
 *          place in it and what to do. No file, however broken, makes more than a failure.
 */
#ifndef SONDE_DATA_H
#define SONDE_DATA_H

#include "base/base.h"
#include "data/images.h"
#include "data/tasks.h"

/* ---- IDX files (the format of MNIST: 0 0 type axes, sizes, elements, all big-endian) --------------------- */

#define SONDE_IDX_MAX_DIMS 8

typedef enum sonde_idx_type {
    SONDE_IDX_UINT8 = 0x08, SONDE_IDX_INT8 = 0x09, SONDE_IDX_INT16 = 0x0b, SONDE_IDX_INT32 = 0x0c,
    SONDE_IDX_FLOAT32 = 0x0d, SONDE_IDX_FLOAT64 = 0x0e
} sonde_idx_type;

typedef struct sonde_idx_header {
    sonde_idx_type type;
    int ndim;
    int64_t shape[SONDE_IDX_MAX_DIMS];
    int64_t numel;
} sonde_idx_header;

typedef struct sonde_idx sonde_idx; /* an open file whose header is read and believable */
sonde_status sonde_idx_open(sonde_idx **out, const char *path);
void sonde_idx_close(sonde_idx *idx); /* NULL is fine */
const sonde_idx_header *sonde_idx_header_of(const sonde_idx *idx);
/* All elements, converted, into out [numel]. Once per open file. EDTYPE: fractions into int64. */
sonde_status sonde_idx_read(sonde_idx *idx, sonde_dtype dtype, void *out);

/* Samples of unsigned bytes that become numbers only when gathered: 60,000 images take 47 MB instead of 188. */
typedef struct sonde_pixels {
    int64_t n, size;                   /* samples; bytes of one */
    int ndim;
    int64_t shape[SONDE_IDX_MAX_DIMS]; /* of one sample */
    uint8_t *bytes;
    double value[256];                 /* of each byte */
} sonde_pixels;
/* An IDX file of uint8 with the samples along its first axis. Grey images [n, height, width] get a channel axis: a
 * sample is [1, height, width]. A byte b stands for (b * scale - mean) / std. */
sonde_status sonde_pixels_load(sonde_pixels **out, const char *path, double scale, double mean, double std);
void sonde_pixels_free(sonde_pixels *pixels);

/* ---- CSV files (RFC 4180: quotes, doubled quotes, line ends in quotes; LF or CRLF; a byte order mark) ----- */

typedef enum sonde_csv_header { SONDE_CSV_NO_HEADER, SONDE_CSV_HEADER, SONDE_CSV_GUESS } sonde_csv_header;

typedef struct sonde_csv {
    char *path, *text;     /* cells point into text */
    int64_t rows, columns;
    char **names;          /* of the columns; NULL without a header */
    char **cells;          /* [rows, columns] */
    int64_t *lines;        /* where each row begins, from 1 */
} sonde_csv;
/* GUESS: the first line is a header if none of its cells is a number. Empty lines are passed over; a line with too few
 * or too many cells is EFORMAT. */
sonde_status sonde_csv_load(sonde_csv **out, const char *path, char separator, sonde_csv_header header);
void sonde_csv_free(sonde_csv *csv);
/* out [rows, n] of these columns. An empty cell, NA, NaN, null or ? is missing: NaN. EFORMAT for other text. */
sonde_status sonde_csv_numbers(const sonde_csv *csv, int64_t n, const int64_t *columns, sonde_dtype dtype, void *out);
/* Labels out [rows], 1..C. A column of integers: value - labels_from + 1. A column with text: the distinct texts in
 * sorted order are the classes, and *classes [*n_classes] (sonde_free; NULL for integers) points to them. */
sonde_status sonde_csv_labels(const sonde_csv *csv, int64_t column, int64_t labels_from, int64_t *out, char ***classes,
                              int64_t *n_classes);

/* ---- batches --------------------------------------------------------------------------------------------- */

/* Row k of out is row index[first - 1 + k] of the n there are; without an index row first + k. EARG beyond the ends.
 * n_index: the index's length. */
sonde_status sonde_rows_gather(void *out, const void *rows, int64_t n, size_t row_bytes, const int64_t *index,
                               int64_t n_index, int64_t first, int64_t count);
sonde_status sonde_pixels_gather(const sonde_pixels *pixels, sonde_dtype dtype, void *out, const int64_t *index,
                                 int64_t n_index, int64_t first, int64_t count);
/* out[i] = labels[i] - labels_from + 1; EARG, naming the place, if one is below 1. out may be labels. */
sonde_status sonde_labels_shift(int64_t *out, const int64_t *labels, int64_t n, int64_t labels_from);

/* ---- synthetic sets: sample i is of class i mod classes + 1 ---------------------------------------------- */

/* x [n, 2]: arms of a spiral, one per class: radius t, angle 2π (turns t + class / classes), t uniform in [0, 1), and
 * normal noise of this standard deviation. */
void sonde_spirals(sonde_stream *stream, float *x, int64_t *y, int64_t n, int64_t classes, double turns, double noise);
/* x [n, features]: normal clouds round centres uniform in [-box, box); centres: scratch [classes, features]. */
void sonde_blobs(sonde_stream *stream, float *x, int64_t *y, int64_t n, int64_t classes, int64_t features, double box,
                 double std, double *centres);
/* x [n, bits] of -1 and 1; the class is 1 if the number of ones is even, 2 if odd. */
void sonde_parity(sonde_stream *stream, float *x, int64_t *y, int64_t n, int64_t bits);

#endif
