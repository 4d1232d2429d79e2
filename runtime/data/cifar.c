/* CIFAR-10 and CIFAR-100 in their binary form. */
#include "data/source.h"

#include <string.h>

enum { SIDE = 32, CHANNELS = 3, IMAGE = CHANNELS * SIDE * SIDE, LABELS = 2 };

typedef struct reader {
    const sonde_cifar_layout *layout;
    sonde_pixels *pixels;
    int64_t *labels;
    int64_t room; /* records that fit */
} reader;

static sonde_status make_room(reader *r)
{
    if (r->pixels->n < r->room) return SONDE_OK;
    int64_t larger = r->room == 0 ? 10000 : r->room * 2;
    uint8_t *bytes = sonde_realloc(r->pixels->bytes, (size_t)larger * IMAGE);
    if (bytes == NULL) return SONDE_ENOMEM;
    r->pixels->bytes = bytes;
    int64_t *labels = sonde_realloc(r->labels, (size_t)larger * sizeof *labels);
    if (labels == NULL) return SONDE_ENOMEM;
    r->labels = labels;
    r->room = larger;
    return SONDE_OK;
}

/* The record after `before` of this file; *end if there is none. */
static sonde_status read_record(reader *r, source *s, int64_t before, bool *end)
{
    uint8_t label[LABELS];
    size_t n_labels = (size_t)r->layout->label_bytes, got, more = 0;
    SONDE_TRY(make_room(r));
    SONDE_TRY(sonde_source_read(s, label, n_labels, &got));
    *end = got == 0;
    if (*end) return SONDE_OK;
    if (got == n_labels) SONDE_TRY(sonde_source_read(s, r->pixels->bytes + r->pixels->n * IMAGE, IMAGE, &more));
    if (got + more < n_labels + IMAGE) {
        return sonde_fail(SONDE_EFORMAT,
                          "'%s' ends inside record %lld, after %zu of its %zu bytes: it is cut off or no binary CIFAR "
                          "file; fetch it again",
                          s->path, (long long)before + 1, got + more, n_labels + IMAGE);
    }
    if (label[r->layout->label] >= r->layout->classes) {
        return sonde_fail(SONDE_EFORMAT, "'%s' has the label %d in record %lld, expected 0 to %d: it is damaged or no "
                          "such file", s->path, label[r->layout->label], (long long)before + 1,
                          r->layout->classes - 1);
    }
    r->labels[r->pixels->n++] = label[r->layout->label] + 1;
    return SONDE_OK;
}

static sonde_status read_file(reader *r, source *s)
{
    int64_t n = 0, wanted = r->layout->records;
    while (wanted == 0 || n <= wanted) {
        bool end;
        SONDE_TRY(read_record(r, s, n, &end));
        if (end) break;
        n++;
    }
    if (n == 0) return sonde_fail(SONDE_EFORMAT, "'%s' is empty", s->path);
    if (wanted > 0 && n != wanted) {
        return sonde_fail(SONDE_EFORMAT,
                          "'%s' holds %s than %lld images: it is cut off or another file; fetch it again", s->path,
                          n < wanted ? "fewer" : "more", (long long)wanted);
    }
    return SONDE_OK;
}

sonde_status sonde_cifar_load(sonde_pixels **out, int64_t **labels, int n_paths, const char *const *paths,
                              const sonde_cifar_layout *layout)
{
    *out = NULL;
    *labels = NULL;
    if (n_paths < 1 || layout->label_bytes < 1 || layout->label_bytes > LABELS || layout->label < 0 ||
        layout->label >= layout->label_bytes) {
        return sonde_fail(SONDE_EARG, "CIFAR: at least one file, and records with one or two labels");
    }
    reader r = {.layout = layout, .pixels = sonde_alloc_zeroed(sizeof *r.pixels)};
    sonde_status status = r.pixels == NULL ? SONDE_ENOMEM : SONDE_OK;
    for (int i = 0; i < n_paths && status == SONDE_OK; i++) {
        source s;
        status = sonde_source_open(&s, paths[i]);
        if (status != SONDE_OK) break;
        status = read_file(&r, &s);
        sonde_source_close(&s);
    }
    if (status != SONDE_OK) {
        sonde_pixels_free(r.pixels);
        sonde_free(r.labels);
        return status;
    }
    r.pixels->size = IMAGE;
    r.pixels->ndim = 3;
    memcpy(r.pixels->shape, (const int64_t[]){CHANNELS, SIDE, SIDE}, 3 * sizeof *r.pixels->shape);
    for (int b = 0; b < 256; b++) r.pixels->value[b] = b / 255.0;
    *out = r.pixels;
    *labels = r.labels;
    return SONDE_OK;
}
