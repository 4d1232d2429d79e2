/* Element types: size and name. */
#include "base/base.h"

#include <string.h>

static const struct {
    size_t size;
    const char *name;
} dtypes[SONDE_DTYPE_COUNT] = {
    [SONDE_FLOAT32] = {4, "float32"},
    [SONDE_FLOAT64] = {8, "float64"},
    [SONDE_INT64] = {8, "int64"},
};

size_t sonde_dtype_size(sonde_dtype dtype) { return dtypes[dtype].size; }

const char *sonde_dtype_name(sonde_dtype dtype)
{
    return (unsigned)dtype < SONDE_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

bool sonde_dtype_parse(const char *name, sonde_dtype *out)
{
    for (int i = 0; i < SONDE_DTYPE_COUNT; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            *out = (sonde_dtype)i;
            return true;
        }
    return false;
}
