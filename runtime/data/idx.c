/* IDX files. */
#include "data/source.h"

#include <stdio.h>
#include <string.h>

struct sonde_idx {
    sonde_idx_header header;
    size_t bytes; /* of all elements, as stored */
    source source;
};

static size_t type_size(int type) /* 0: no such type */
{
    switch (type) {
    case SONDE_IDX_UINT8:
    case SONDE_IDX_INT8:
        return 1;
    case SONDE_IDX_INT16:
        return 2;
    case SONDE_IDX_INT32:
    case SONDE_IDX_FLOAT32:
        return 4;
    case SONDE_IDX_FLOAT64:
        return 8;
    default:
        return 0;
    }
}

static uint16_t load16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static uint32_t load32(const uint8_t *p)
{
    return (uint32_t)load16(p) << 16 | load16(p + 2);
}
static uint64_t load64(const uint8_t *p)
{
    return (uint64_t)load32(p) << 32 | load32(p + 4);
}

static double load_double(const uint8_t *p, sonde_idx_type type)
{
    if (type == SONDE_IDX_FLOAT32) {
        uint32_t bits = load32(p);
        float value;
        memcpy(&value, &bits, sizeof value);
        return (double)value;
    }
    uint64_t bits = load64(p);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int64_t load_integer(const uint8_t *p, sonde_idx_type type)
{
    switch (type) {
    case SONDE_IDX_UINT8:
        return *p;
    case SONDE_IDX_INT8:
        return (int8_t)*p;
    case SONDE_IDX_INT16:
        return (int16_t)load16(p);
    default:
        return (int32_t)load32(p);
    }
}

/* "60000 x 28 x 28" */
static void describe_sizes(const sonde_idx_header *h, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int d = 0; d < h->ndim && used < size; d++) {
        used += (size_t)snprintf(text + used, size - used, "%s%lld", d == 0 ? "" : " x ", (long long)h->shape[d]);
    }
}

/* The sizes must fit into memory, and the file must be able to hold them: a header of random bytes may promise
 * anything. */
static sonde_status check_sizes(sonde_idx *idx)
{
    sonde_idx_header *h = &idx->header;
    source *s = &idx->source;
    char sizes[128];
    describe_sizes(h, sizes, sizeof sizes);
    size_t numel = 1;
    bool fits = true;
    for (int d = 0; d < h->ndim; d++) {
        if (h->shape[d] == 0)
            return sonde_fail(SONDE_EFORMAT, "'%s' is empty: its header says %s elements", s->path, sizes);
        fits = fits && sonde_size_mul(numel, (size_t)h->shape[d], &numel);
    }
    fits = fits && sonde_size_mul(numel, type_size((int)h->type), &idx->bytes) && idx->bytes <= INT64_MAX / 8;
    size_t header_bytes = 4 + 4 * (size_t)h->ndim;
    size_t room = (size_t)s->file_bytes;
    if (s->packed)
        room = room * 1032 + 1032; /* deflate makes nothing smaller than this */
    else
        room = room < header_bytes ? 0 : room - header_bytes;
    if (!fits || idx->bytes > room) {
        return sonde_fail(SONDE_EFORMAT,
                          "the header of '%s' promises %s elements of %zu byte%s, more than the file holds: "
                          "it is cut off or no IDX file; fetch it again",
                          s->path, sizes, type_size((int)h->type), type_size((int)h->type) == 1 ? "" : "s");
    }
    h->numel = (int64_t)numel;
    return SONDE_OK;
}

static sonde_status read_header(sonde_idx *idx)
{
    sonde_idx_header *h = &idx->header;
    source *s = &idx->source;
    uint8_t magic[4], sizes[4 * SONDE_IDX_MAX_DIMS];
    size_t got;
    SONDE_TRY(sonde_source_read(s, magic, sizeof magic, &got));
    if (got < sizeof magic || magic[0] != 0 || magic[1] != 0 || type_size(magic[2]) == 0 || magic[3] == 0) {
        return sonde_fail(SONDE_EFORMAT,
                          "'%s' is no IDX file: expected it to start with the bytes 0 0, a type (8, 9, 11 to 14) "
                          "and the number of axes%s",
                          s->path, got < sizeof magic ? "; it is too short" : "");
    }
    if (magic[3] > SONDE_IDX_MAX_DIMS) {
        return sonde_fail(SONDE_EFORMAT, "'%s' has %d axes; at most %d can be read", s->path, magic[3],
                          SONDE_IDX_MAX_DIMS);
    }
    h->type = (sonde_idx_type)magic[2];
    h->ndim = magic[3];
    SONDE_TRY(sonde_source_read(s, sizes, 4 * (size_t)h->ndim, &got));
    if (got < 4 * (size_t)h->ndim) {
        return sonde_fail(SONDE_EFORMAT, "'%s' is cut off inside its header; fetch the file again", s->path);
    }
    for (int d = 0; d < h->ndim; d++) h->shape[d] = load32(sizes + 4 * d);
    return check_sizes(idx);
}

sonde_status sonde_idx_open(sonde_idx **out, const char *path)
{
    *out = NULL;
    sonde_idx *idx = sonde_alloc_zeroed(sizeof *idx);
    if (idx == NULL) return SONDE_ENOMEM;
    sonde_status status = sonde_source_open(&idx->source, path);
    if (status == SONDE_OK) status = read_header(idx);
    if (status != SONDE_OK) {
        sonde_idx_close(idx);
        return status;
    }
    *out = idx;
    return SONDE_OK;
}

void sonde_idx_close(sonde_idx *idx)
{
    if (idx == NULL) return;
    sonde_source_close(&idx->source);
    sonde_free(idx);
}

const sonde_idx_header *sonde_idx_header_of(const sonde_idx *idx)
{
    return &idx->header;
}

/* Reads exactly `bytes` bytes of elements. */
static sonde_status read_elements(sonde_idx *idx, void *out, size_t bytes, size_t before)
{
    size_t got;
    SONDE_TRY(sonde_source_read(&idx->source, out, bytes, &got));
    if (got == bytes) return SONDE_OK;
    return sonde_fail(SONDE_EFORMAT,
                      "'%s' is cut off: its header promises %zu bytes of data, it has %zu; fetch the file again",
                      idx->source.path, idx->bytes, before + got);
}

/* Nothing may follow; looking for it also makes gzip compare its checksum. */
static sonde_status check_end(sonde_idx *idx)
{
    uint8_t byte;
    size_t got;
    SONDE_TRY(sonde_source_read(&idx->source, &byte, 1, &got));
    if (got == 0) return SONDE_OK;
    return sonde_fail(SONDE_EFORMAT,
                      "'%s' is longer than its header says (%zu bytes of data): it is damaged or no IDX file; "
                      "fetch it again",
                      idx->source.path, idx->bytes);
}

static void convert(sonde_idx_type type, sonde_dtype dtype, void *out, const uint8_t *in, size_t n)
{
    size_t size = type_size((int)type);
    bool is_float = type == SONDE_IDX_FLOAT32 || type == SONDE_IDX_FLOAT64;
    for (size_t i = 0; i < n; i++, in += size) {
        if (dtype == SONDE_INT64)
            ((int64_t *)out)[i] = load_integer(in, type);
        else if (dtype == SONDE_FLOAT64)
            ((double *)out)[i] = is_float ? load_double(in, type) : (double)load_integer(in, type);
        else
            ((float *)out)[i] = is_float ? (float)load_double(in, type) : (float)load_integer(in, type);
    }
}

sonde_status sonde_idx_read(sonde_idx *idx, sonde_dtype dtype, void *out)
{
    const sonde_idx_header *h = &idx->header;
    if (dtype == SONDE_INT64 && (h->type == SONDE_IDX_FLOAT32 || h->type == SONDE_IDX_FLOAT64)) {
        return sonde_fail(SONDE_EDTYPE, "'%s' holds fractions: read it as float32 or float64, not int64",
                          idx->source.path);
    }
    enum { BLOCK = 1 << 14 };
    uint8_t block[BLOCK];
    size_t size = type_size((int)h->type), in_bytes = 0, out_size = sonde_dtype_size(dtype);
    while (in_bytes < idx->bytes) {
        size_t bytes = idx->bytes - in_bytes < BLOCK ? idx->bytes - in_bytes : BLOCK;
        SONDE_TRY(read_elements(idx, block, bytes, in_bytes));
        convert(h->type, dtype, (char *)out + in_bytes / size * out_size, block, bytes / size);
        in_bytes += bytes;
    }
    return check_end(idx);
}

/* ---- pixels ------------------------------------------------------------------------------------------------ */

static sonde_status fill_pixels(sonde_pixels *p, sonde_idx *idx)
{
    const sonde_idx_header *h = &idx->header;
    if (h->type != SONDE_IDX_UINT8) {
        return sonde_fail(SONDE_EFORMAT, "'%s' is not made of unsigned bytes: expected images", idx->source.path);
    }
    p->n = h->shape[0];
    p->size = 1;
    if (h->ndim == 3) p->shape[p->ndim++] = 1; /* the channel */
    for (int d = 1; d < h->ndim; d++) p->size *= p->shape[p->ndim++] = h->shape[d];
    p->bytes = sonde_alloc(idx->bytes);
    if (p->bytes == NULL) return SONDE_ENOMEM;
    SONDE_TRY(read_elements(idx, p->bytes, idx->bytes, 0));
    return check_end(idx);
}

sonde_status sonde_pixels_load(sonde_pixels **out, const char *path, double scale, double mean, double std)
{
    *out = NULL;
    sonde_idx *idx;
    SONDE_TRY(sonde_idx_open(&idx, path));
    sonde_pixels *p = sonde_alloc_zeroed(sizeof *p);
    sonde_status status = p == NULL ? SONDE_ENOMEM : fill_pixels(p, idx);
    sonde_idx_close(idx);
    if (status != SONDE_OK) {
        sonde_pixels_free(p);
        return status;
    }
    for (int b = 0; b < 256; b++) p->value[b] = (b * scale - mean) / std;
    *out = p;
    return SONDE_OK;
}

void sonde_pixels_free(sonde_pixels *pixels)
{
    if (pixels == NULL) return;
    sonde_free(pixels->bytes);
    sonde_free(pixels);
}
