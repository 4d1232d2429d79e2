/* Private to data/: a file read from its beginning, unpacked on the way if it is gzip. */
#ifndef SONDE_DATA_SOURCE_H
#define SONDE_DATA_SOURCE_H

#include "data/data.h"

typedef struct source {
    void *gz;           /* gzFile */
    char *path;
    int64_t file_bytes; /* as stored */
    bool packed;
} source;

/* EIO: not there, not readable, not an ordinary file. On failure there is nothing to close. */
sonde_status sonde_source_open(source *s, const char *path);
/* Less than asked for means the end of the file. EFORMAT: damaged or cut off (gzip notices by itself). */
sonde_status sonde_source_read(source *s, void *out, size_t bytes, size_t *got);
void sonde_source_close(source *s);

/* The whole text as a number, whatever the locale. */
bool sonde_csv_parse_number(const char *text, double *value);

#endif
