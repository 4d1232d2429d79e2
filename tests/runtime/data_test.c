/* The data room without Lua: IDX and CSV files, whole, broken and random; gathering; synthetic sets. */
#include "check.h"
#include "data/data.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/sonde_data_test_XXXXXX";

static void write_file(const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, n, file) != n || fclose(file) != 0) abort();
}

static bool says(const char *words) { return strstr(sonde_message(), words) != NULL; }

/* ---- IDX ---------------------------------------------------------------------------------------------------- */

static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 255, 51, 1, 2, 3};

static void idx_types(void)
{
    static const struct {
        uint8_t bytes[24];
        size_t n;
        double expected;
    } cases[] = {
        {{0, 0, 0x08, 1, 0, 0, 0, 1, 200}, 9, 200},
        {{0, 0, 0x09, 1, 0, 0, 0, 1, 200}, 9, -56},
        {{0, 0, 0x0b, 1, 0, 0, 0, 1, 0xff, 0xfe}, 10, -2},
        {{0, 0, 0x0c, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfd}, 12, -3},
        {{0, 0, 0x0d, 1, 0, 0, 0, 1, 0xbf, 0xc0, 0, 0}, 12, -1.5},
        {{0, 0, 0x0e, 1, 0, 0, 0, 1, 0x40, 0x04, 0, 0, 0, 0, 0, 0}, 16, 2.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(cases[i].bytes, cases[i].n);
        sonde_idx *idx = NULL;
        double wide = 0;
        float narrow = 0;
        CHECK(sonde_idx_open(&idx, path) == SONDE_OK && sonde_idx_read(idx, SONDE_FLOAT64, &wide) == SONDE_OK);
        CHECK(wide == cases[i].expected);
        sonde_idx_close(idx);
        CHECK(sonde_idx_open(&idx, path) == SONDE_OK && sonde_idx_read(idx, SONDE_FLOAT32, &narrow) == SONDE_OK);
        CHECK((double)narrow == cases[i].expected);
        sonde_idx_close(idx);
        int64_t whole = 0;
        bool fraction = cases[i].bytes[2] >= 0x0d;
        CHECK(sonde_idx_open(&idx, path) == SONDE_OK);
        CHECK(sonde_idx_read(idx, SONDE_INT64, &whole) == (fraction ? SONDE_EDTYPE : SONDE_OK));
        CHECK(fraction || (double)whole == cases[i].expected);
        sonde_idx_close(idx);
    }
}

static sonde_status open_and_read(void)
{
    sonde_pixels *pixels = NULL;
    sonde_status status = sonde_pixels_load(&pixels, path, 1 / 255.0, 0, 1);
    CHECK((status == SONDE_OK) == (pixels != NULL));
    sonde_pixels_free(pixels);
    return status;
}

static void idx_broken(void)
{
    uint8_t bytes[sizeof images + 1];
    for (size_t n = 0; n < sizeof images; n++) { /* cut off anywhere */
        write_file(images, n);
        CHECK(open_and_read() == SONDE_EFORMAT && says(path));
    }
    memcpy(bytes, images, sizeof images);
    bytes[sizeof images] = 0;
    write_file(bytes, sizeof bytes); /* one byte too many */
    CHECK(open_and_read() == SONDE_EFORMAT && says("longer"));
    memset(bytes + 4, 0xff, 12); /* sizes beyond any machine */
    write_file(bytes, sizeof images);
    CHECK(open_and_read() == SONDE_EFORMAT && says("4294967295 x 4294967295 x 4294967295"));
    memset(bytes + 4, 0, 4);
    write_file(bytes, sizeof images);
    CHECK(open_and_read() == SONDE_EFORMAT && says("empty"));
    bytes[3] = 9;
    write_file(bytes, sizeof images);
    CHECK(open_and_read() == SONDE_EFORMAT && says("9 axes"));
    CHECK(unlink(path) == 0 && open_and_read() == SONDE_EIO && says("No such file"));
    sonde_pixels *pixels;
    CHECK(sonde_pixels_load(&pixels, "/tmp", 1, 0, 1) == SONDE_EIO && says("a folder"));
}

static void pixels_become_numbers(void)
{
    write_file(images, sizeof images);
    sonde_pixels *pixels = NULL;
    CHECK(sonde_pixels_load(&pixels, path, 1 / 255.0, 0, 1) == SONDE_OK);
    CHECK(pixels->n == 2 && pixels->size == 3 && pixels->ndim == 3);
    CHECK(pixels->shape[0] == 1 && pixels->shape[1] == 1 && pixels->shape[2] == 3);
    for (int b = 0; b < 256; b++) CHECK((float)pixels->value[b] == (float)b / 255.0f);
    float out[6];
    const int64_t index[] = {2, 1, 7};
    CHECK(sonde_pixels_gather(pixels, SONDE_FLOAT32, out, index, 3, 1, 2) == SONDE_OK);
    CHECK(out[0] == 1.0f / 255 && out[3] == 0 && out[4] == 1 && out[5] == 0.2f);
    CHECK(sonde_pixels_gather(pixels, SONDE_FLOAT32, out, index, 3, 3, 1) == SONDE_EARG && says("row 7"));
    CHECK(sonde_pixels_gather(pixels, SONDE_FLOAT32, out, index, 3, 3, 2) == SONDE_EARG && says("index has 3"));
    CHECK(sonde_pixels_gather(pixels, SONDE_FLOAT32, out, NULL, 0, 2, 2) == SONDE_EARG && says("row 3"));
    sonde_pixels_free(pixels);
}

/* ---- CSV ---------------------------------------------------------------------------------------------------- */

static sonde_status load_csv(sonde_csv **csv, const char *text)
{
    write_file(text, strlen(text));
    return sonde_csv_load(csv, path, ',', SONDE_CSV_GUESS);
}

static void csv_cells(void)
{
    sonde_csv *csv = NULL;
    CHECK(load_csv(&csv, "\xef\xbb\xbf a ,\"b,\"\"x\"\"\"\r\n\r\n 1 ,\"two\nlines\" \r\n,\"\"\n") == SONDE_OK);
    CHECK(csv->rows == 2 && csv->columns == 2 && csv->names != NULL);
    CHECK(strcmp(csv->names[0], "a") == 0 && strcmp(csv->names[1], "b,\"x\"") == 0);
    CHECK(strcmp(csv->cells[0], "1") == 0 && strcmp(csv->cells[1], "two\nlines") == 0);
    CHECK(strcmp(csv->cells[2], "") == 0 && strcmp(csv->cells[3], "") == 0);
    CHECK(csv->lines[0] == 3 && csv->lines[1] == 5);
    const int64_t column = 0;
    double out[2];
    CHECK(sonde_csv_numbers(csv, 1, &column, SONDE_FLOAT64, out) == SONDE_OK && out[0] == 1 && isnan(out[1]));
    sonde_csv_free(csv);
    CHECK(load_csv(&csv, "1,2\n3,4") == SONDE_OK && csv->names == NULL && csv->rows == 2);
    sonde_csv_free(csv);
}

static void csv_labels(void)
{
    sonde_csv *csv = NULL;
    CHECK(load_csv(&csv, "x,kind,n,f\n1,b,0,0.5\n2,a,4,1\n3,b,2,2\n") == SONDE_OK);
    int64_t labels[3], n;
    char **classes;
    CHECK(sonde_csv_labels(csv, 1, 1, labels, &classes, &n) == SONDE_OK && n == 2);
    CHECK(labels[0] == 2 && labels[1] == 1 && labels[2] == 2 && strcmp(classes[0], "a") == 0);
    sonde_free(classes);
    CHECK(sonde_csv_labels(csv, 2, 0, labels, &classes, &n) == SONDE_OK && classes == NULL);
    CHECK(labels[0] == 1 && labels[1] == 5 && labels[2] == 3);
    CHECK(sonde_csv_labels(csv, 2, 1, labels, &classes, &n) == SONDE_EARG && says("labels_from = 0"));
    CHECK(sonde_csv_labels(csv, 3, 1, labels, &classes, &n) == SONDE_EFORMAT && says("fractions"));
    const int64_t column = 1;
    float out[3];
    CHECK(sonde_csv_numbers(csv, 1, &column, SONDE_FLOAT32, out) == SONDE_EFORMAT);
    CHECK(says("line 2, column 2 (kind)") && says("'b' is no number"));
    sonde_csv_free(csv);
}

static void csv_broken(void)
{
    sonde_csv *csv;
    CHECK(load_csv(&csv, "a,b\n1,2\n\n3\n") == SONDE_EFORMAT && says("line 4 has 1 cell, line 1 has 2"));
    CHECK(load_csv(&csv, "a,b\n1,\"2\n3,4\n") == SONDE_EFORMAT && says("line 2: a quote"));
    CHECK(load_csv(&csv, "1,\"2\"x\n") == SONDE_EFORMAT && says("after a closing quote"));
    CHECK(load_csv(&csv, " \n\n") == SONDE_EFORMAT && says("is empty"));
    CHECK(load_csv(&csv, "a,b\n") == SONDE_EFORMAT && says("no data"));
    write_file("1,\0,2", 5);
    CHECK(sonde_csv_load(&csv, path, ',', SONDE_CSV_GUESS) == SONDE_EFORMAT && says("NUL"));
    CHECK(sonde_csv_load(&csv, path, '"', SONDE_CSV_GUESS) == SONDE_EARG);
}

/* ---- any bytes at all --------------------------------------------------------------------------------------- */

/* Valid files with some bytes changed, cut or repeated; the parsers may refuse them, nothing else. */
static void fuzz(void)
{
    static const char table[] = "a,b,kind\n1,2,x\n\"3\",4e2,\"y\"\"z\"\n ,NA,x\n5,6,7\n";
    static const char alphabet[] = "\",\n\r 01a.e-\t;";
    sonde_stream stream;
    sonde_stream_init(&stream, 1, "fuzz");
    uint8_t bytes[256];
    for (int round = 0; round < 4000; round++) {
        bool is_csv = round % 2;
        size_t n = is_csv ? sizeof table - 1 : sizeof images;
        memcpy(bytes, is_csv ? (const void *)table : images, n);
        for (int64_t k = sonde_stream_integer(&stream, 0, 4); k > 0; k--) {
            size_t at = (size_t)sonde_stream_integer(&stream, 0, (int64_t)n - 1);
            bytes[at] = is_csv ? (uint8_t)alphabet[sonde_stream_integer(&stream, 0, sizeof alphabet - 2)]
                               : (uint8_t)sonde_stream_u32(&stream);
        }
        if (round % 3 == 0) n = (size_t)sonde_stream_integer(&stream, 0, (int64_t)n);
        write_file(bytes, n);
        sonde_pixels *pixels = NULL;
        sonde_csv *csv = NULL;
        if (!is_csv) {
            sonde_status status = sonde_pixels_load(&pixels, path, 1, 0, 1);
            if (!CHECK(status == SONDE_OK || (status == SONDE_EFORMAT && says(path)))) return;
        } else if (sonde_csv_load(&csv, path, ',', SONDE_CSV_GUESS) == SONDE_OK) {
            double values[64];
            int64_t labels[64], n_classes;
            char **classes;
            if (!CHECK(csv->rows <= 64)) return;
            for (int64_t c = 0; c < csv->columns; c++) {
                (void)sonde_csv_numbers(csv, 1, &c, SONDE_FLOAT64, values);
                if (sonde_csv_labels(csv, c, 1, labels, &classes, &n_classes) == SONDE_OK) sonde_free(classes);
            }
        }
        sonde_pixels_free(pixels);
        sonde_csv_free(csv);
    }
}

static void out_of_memory(void)
{
    static const char table[] = "a,kind\n1,x\n2,y\n";
    for (long n = 1; n < 12; n++) {
        sonde_csv *csv = NULL;
        sonde_pixels *pixels = NULL;
        write_file(table, sizeof table - 1);
        sonde_memory_fail_at(n);
        if (sonde_csv_load(&csv, path, ',', SONDE_CSV_GUESS) == SONDE_OK) {
            int64_t labels[2], n_classes;
            char **classes;
            if (sonde_csv_labels(csv, 1, 1, labels, &classes, &n_classes) == SONDE_OK) sonde_free(classes);
        }
        sonde_memory_fail_at(-1);
        sonde_csv_free(csv);
        write_file(images, sizeof images);
        sonde_memory_fail_at(n);
        (void)sonde_pixels_load(&pixels, path, 1, 0, 1);
        sonde_memory_fail_at(-1);
        sonde_pixels_free(pixels);
    }
}

/* ---- synthetic ---------------------------------------------------------------------------------------------- */

static void synthetic(void)
{
    enum { N = 600 };
    static float x[N * 4], again[N * 4];
    static int64_t y[N], y_again[N];
    double centres[3 * 4];
    sonde_stream s, t;
    sonde_stream_init(&s, 7, "set");
    t = s;
    sonde_blobs(&s, x, y, N, 3, 4, 10, 0.5, centres);
    sonde_blobs(&t, again, y_again, N, 3, 4, 10, 0.5, centres);
    CHECK(memcmp(x, again, sizeof x) == 0 && memcmp(y, y_again, sizeof y) == 0);
    double sum = 0;
    for (int i = 0; i < N; i += 3) sum += (double)x[4 * i] - centres[0];
    CHECK_NEAR(sum / (N / 3), 0, 0.2); /* 5.6 standard errors */
    sonde_parity(&s, x, y, N, 4);
    for (int i = 0; i < N; i++) {
        int ones = 0;
        for (int k = 0; k < 4; k++) {
            CHECK(fabsf(x[4 * i + k]) == 1);
            ones += x[4 * i + k] > 0;
        }
        CHECK(y[i] == ones % 2 + 1);
    }
    sonde_spirals(&s, x, y, N, 2, 1, 0);
    for (int i = 0; i < N; i++) { /* without noise a point's angle follows from its radius */
        double t1 = hypot((double)x[2 * i], (double)x[2 * i + 1]), angle = 2 * M_PI * (t1 + (double)(i % 2) / 2);
        CHECK(fabs(t1 * cos(angle) - (double)x[2 * i]) < 1e-5 && y[i] == i % 2 + 1);
    }
}

int main(void)
{
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    CHECK_RUN(idx_types);
    CHECK_RUN(idx_broken);
    CHECK_RUN(pixels_become_numbers);
    CHECK_RUN(csv_cells);
    CHECK_RUN(csv_labels);
    CHECK_RUN(csv_broken);
    CHECK_RUN(fuzz);
    CHECK_RUN(out_of_memory);
    CHECK_RUN(synthetic);
    unlink(path);
    CHECK(sonde_memory().live_blocks == 0);
    CHECK_END();
}
