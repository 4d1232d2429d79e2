/* Modules as text, laid out as PyTorch's repr. */
#include "nn/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *sonde_nn_number(char text[static 32], double value)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    if (!strpbrk(text, ".en")) strcat(text, ".0"); /* e: an exponent; n: nan, inf */
    return text;
}

static sonde_status print(FILE *file, const sonde_module *m, int depth)
{
    if (depth > SONDE_MAX_NESTING)
        return sonde_fail(SONDE_ESTATE, "modules are nested more than %d deep", SONDE_MAX_NESTING);
    char text[512] = "";
    if (m->class->describe) m->class->describe(m, text, sizeof text);
    fprintf(file, "%s(", m->class->name);
    if (m->n_children == 0 && !m->parametrizations) {
        fprintf(file, "%s)", text);
        return SONDE_OK;
    }
    if (text[0]) fprintf(file, "\n%*s%s", 2 * depth, "", text);
    for (int i = 0; i < m->n_children; i++) {
        fprintf(file, "\n%*s(%s): ", 2 * depth, "", m->children[i].name);
        SONDE_TRY(print(file, m->children[i].module, depth + 1));
    }
    if (m->parametrizations) {
        fprintf(file, "\n%*s(parametrizations): ", 2 * depth, "");
        SONDE_TRY(print(file, m->parametrizations, depth + 1));
    }
    fprintf(file, "\n%*s)", 2 * (depth - 1), "");
    return SONDE_OK;
}

sonde_status sonde_module_format(char **out, const sonde_module *root)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) return sonde_fail(SONDE_ENOMEM, "no memory to print a module");
    sonde_status status = print(file, root, 1);
    bool written = !ferror(file);
    written = fclose(file) == 0 && written;
    if (status == SONDE_OK && !written) status = sonde_fail(SONDE_ENOMEM, "no memory to print a module");
    if (status == SONDE_OK) {
        *out = sonde_strdup(text);
        if (!*out) status = SONDE_ENOMEM;
    }
    free(text);
    return status;
}
