/* Declaring: groups, axes, coordinates, variables; and freezing, which lays out the blocks. */
#include "record/history.h"

#include <string.h>

static bool name_is_utf8(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    while (*s) {
        int more = *s < 0x80 ? 0 : (*s & 0xe0) == 0xc0 ? 1 : (*s & 0xf0) == 0xe0 ? 2 : (*s & 0xf8) == 0xf0 ? 3 : -1;
        if (more < 0) return false;
        for (s++; more > 0; more--, s++)
            if ((*s & 0xc0) != 0x80) return false;
    }
    return true;
}

static sonde_status check_name(const char *what, const char *name)
{
    if (!name || !*name) return sonde_fail(SONDE_EARG, "%s needs a name", what);
    if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return sonde_fail(SONDE_EARG, "%s '%s': a name cannot hold '/' or be '.' or '..'", what, name);
    if (!name_is_utf8(name)) return sonde_fail(SONDE_EARG, "%s: its name is not UTF-8", what);
    return SONDE_OK;
}

/* Room for one more element at the end of an array of n; NULL (and the old array untouched) when out of memory. */
static void *grown(void *array, int n, size_t size)
{
    size_t bytes;
    if (!sonde_size_mul((size_t)n + 1, size, &bytes)) return NULL;
    return sonde_realloc(array, bytes);
}

sonde_status sonde_history_group(sonde_history *h, sonde_group **out, const char *name, sonde_group_kind kind)
{
    SONDE_TRY(check_name("a group", name));
    if (h->frozen) return sonde_fail(SONDE_ESTATE, "group '%s': the history's structure is fixed already", name);
    if (sonde_history_find(h, name)) return sonde_fail(SONDE_EARG, "group '%s' exists already", name);
    sonde_group **groups = grown(h->groups, h->n_groups, sizeof *groups);
    if (!groups) return SONDE_ENOMEM;
    h->groups = groups;
    sonde_group *g = sonde_alloc_zeroed(sizeof *g);
    if (!g) return SONDE_ENOMEM;
    g->history = h;
    g->kind = kind;
    atomic_init(&g->committed, 0);
    atomic_init(&g->taken, 0);
    if (!(g->name = sonde_strdup(name))) {
        sonde_free(g);
        return SONDE_ENOMEM;
    }
    h->groups[h->n_groups++] = g;
    *out = g;
    return SONDE_OK;
}

static bool name_exists(const sonde_group *g, const char *name)
{
    if (!strcmp(name, "step") || sonde_group_find_variable(g, name) >= 0) return true;
    for (int a = 0; a < g->n_axes; a++)
        for (int c = 0; c < g->axes[a].n_coordinates; c++)
            if (!strcmp(g->axes[a].coordinates[c].name, name)) return true;
    return false;
}

static sonde_status check_new(const sonde_group *g, const char *name)
{
    SONDE_TRY(check_name("a column", name));
    if (g->frozen)
        return sonde_fail(SONDE_ESTATE, "/%s/%s: the group's columns are fixed already", g->name, name);
    if (name_exists(g, name)) return sonde_fail(SONDE_EARG, "/%s/%s exists already", g->name, name);
    return SONDE_OK;
}

/* ---- coordinates --------------------------------------------------------------------------------------- */

static void free_coordinate(sonde_record_coordinate *c, int64_t length)
{
    if (c->type == SONDE_CELL_TEXT && c->values)
        for (int64_t i = 0; i < length; i++) sonde_free(((char **)c->values)[i]);
    sonde_free(c->values);
    sonde_free(c->name);
    sonde_free(c->long_name);
    sonde_free(c->units);
}

static sonde_status copy_coordinate(sonde_record_coordinate *c, const char *name, int64_t length, sonde_cell type,
                                    const void *values, const char *long_name, const char *units)
{
    size_t bytes;
    if (!sonde_size_mul((size_t)length, sonde_cell_size(type), &bytes))
        return sonde_fail(SONDE_ENOMEM, "coordinate '%s' is too long", name);
    *c = (sonde_record_coordinate){ .type = type };
    c->values = sonde_alloc_zeroed(bytes);
    c->name = sonde_strdup(name);
    c->long_name = sonde_strdup(long_name ? long_name : "");
    c->units = sonde_strdup(units ? units : "");
    bool ok = c->values && c->name && c->long_name && c->units;
    if (ok && type != SONDE_CELL_TEXT) memcpy(c->values, values, bytes);
    if (type == SONDE_CELL_TEXT)
        for (int64_t i = 0; ok && i < length; i++) {
            const char *text = ((const char *const *)values)[i];
            ok = (((char **)c->values)[i] = sonde_strdup(text ? text : "")) != NULL;
        }
    if (ok) return SONDE_OK;
    free_coordinate(c, length);
    return SONDE_ENOMEM;
}

static sonde_status add_coordinate(sonde_record_axis *axis, const char *name, sonde_cell type, const void *values,
                                   const char *long_name, const char *units)
{
    sonde_record_coordinate *list = grown(axis->coordinates, axis->n_coordinates, sizeof *list);
    if (!list) return SONDE_ENOMEM;
    axis->coordinates = list;
    SONDE_TRY(copy_coordinate(&list[axis->n_coordinates], name, axis->length, type, values, long_name, units));
    axis->n_coordinates++;
    return SONDE_OK;
}

sonde_status sonde_group_axis(sonde_group *g, int *out, const char *name, int64_t length, sonde_cell type,
                              const void *values)
{
    SONDE_TRY(check_new(g, name));
    if (length < 1) return sonde_fail(SONDE_EARG, "/%s/%s: an axis needs a length of at least 1", g->name, name);
    sonde_record_axis *axes = grown(g->axes, g->n_axes, sizeof *axes);
    if (!axes) return SONDE_ENOMEM;
    g->axes = axes;
    axes[g->n_axes] = (sonde_record_axis){ .length = length };
    sonde_status status = add_coordinate(&axes[g->n_axes], name, type, values, NULL, NULL);
    if (status != SONDE_OK) {
        sonde_free(axes[g->n_axes].coordinates);
        return status;
    }
    *out = g->n_axes++;
    return SONDE_OK;
}

sonde_status sonde_group_growing_axis(sonde_group *g, int *out, const char *name, int64_t length)
{
    int64_t first = 1;
    SONDE_TRY(sonde_group_axis(g, out, name, 1, SONDE_CELL_I64, &first));
    g->axes[*out].grows = true;
    return sonde_group_grow(g, *out, length);
}

static sonde_status make_room(sonde_record_axis *axis, int64_t length)
{
    size_t bytes;
    if (!sonde_size_mul((size_t)length, sizeof(int64_t), &bytes)) return SONDE_ENOMEM;
    for (int c = 0; c < axis->n_coordinates; c++) {
        void *values = sonde_realloc(axis->coordinates[c].values, bytes);
        if (!values) return SONDE_ENOMEM;
        axis->coordinates[c].values = values;
    }
    return SONDE_OK;
}

/* There is room. */
static void number(sonde_record_axis *axis, int64_t length)
{
    int64_t *up = axis->coordinates[0].values, *down = axis->n_coordinates > 1 ? axis->coordinates[1].values : NULL;
    for (int64_t i = 0; i < length; i++) up[i] = i + 1;
    for (int64_t i = 0; down && i < length; i++) down[i] = length - 1 - i;
    axis->length = length;
}

sonde_status sonde_group_countdown(sonde_group *g, int axis, const char *name, const char *long_name)
{
    SONDE_TRY(check_new(g, name));
    if (axis < 0 || axis >= g->n_axes || !g->axes[axis].grows || g->axes[axis].n_coordinates > 1)
        return sonde_fail(SONDE_EARG, "/%s/%s: there is no axis %d that grows and has room for it", g->name, name, axis);
    sonde_record_axis *this = &g->axes[axis];
    SONDE_TRY(add_coordinate(this, name, SONDE_CELL_I64, this->coordinates[0].values, long_name, "1"));
    number(this, this->length);
    return SONDE_OK;
}

sonde_status sonde_group_coordinate(sonde_group *g, int axis, const char *name, sonde_cell type, const void *values,
                                    const char *long_name, const char *units)
{
    SONDE_TRY(check_new(g, name));
    if (axis < 0 || axis >= g->n_axes)
        return sonde_fail(SONDE_EARG, "/%s/%s: the group has %d axes, no axis %d", g->name, name, g->n_axes, axis);
    if (g->axes[axis].grows)
        return sonde_fail(SONDE_EARG, "/%s/%s: an axis that grows has no labels", g->name, name);
    return add_coordinate(&g->axes[axis], name, type, values, long_name, units);
}

/* ---- variables ----------------------------------------------------------------------------------------- */

static sonde_status count_cells(const sonde_group *g, sonde_record_variable *v)
{
    size_t cells = 1;
    for (int i = 0; i < v->n_axes; i++) {
        int axis = v->axes[i];
        if (axis < 0 || axis >= g->n_axes)
            return sonde_fail(SONDE_EARG, "the group has %d axes, no axis %d", g->n_axes, axis);
        if (!sonde_size_mul(cells, (size_t)g->axes[axis].length, &cells) || cells > (size_t)1 << 40)
            return sonde_fail(SONDE_ENOMEM, "a row would have more than 2^40 cells");
    }
    v->cells = (int64_t)cells;
    return SONDE_OK;
}

sonde_status sonde_group_set_length(sonde_group *g, int axis, int64_t length)
{
    sonde_record_axis *this = &g->axes[axis];
    const int64_t before = this->length;
    sonde_status status = length > before ? make_room(this, length) : SONDE_OK;
    if (status == SONDE_OK) number(this, length);
    for (int i = 0; i < g->n_variables && status == SONDE_OK; i++) status = count_cells(g, &g->variables[i]);
    if (status == SONDE_OK) return SONDE_OK;
    number(this, before);
    for (int i = 0; i < g->n_variables; i++) count_cells(g, &g->variables[i]);
    return status;
}

static void free_variable(sonde_record_variable *v)
{
    sonde_free(v->name);
    sonde_free(v->long_name);
    sonde_free(v->units);
}

static sonde_status add_variable(sonde_group *g, int *out, const char *name, const sonde_record_variable *shape,
                                 const char *long_name, const char *units)
{
    SONDE_TRY(check_new(g, name));
    if (shape->type == SONDE_CELL_TEXT)
        return sonde_fail(SONDE_EARG, "/%s/%s: a variable cannot hold text", g->name, name);
    sonde_record_variable v = *shape;
    sonde_status status = count_cells(g, &v);
    if (status != SONDE_OK) {
        sonde_fail_within("/%s/%s: ", g->name, name);
        return status;
    }
    sonde_record_variable *list = grown(g->variables, g->n_variables, sizeof *list);
    if (!list) return SONDE_ENOMEM;
    g->variables = list;
    v.name = sonde_strdup(name);
    v.long_name = sonde_strdup(long_name ? long_name : "");
    v.units = sonde_strdup(units ? units : "");
    if (!v.name || !v.long_name || !v.units) {
        free_variable(&v);
        return SONDE_ENOMEM;
    }
    list[g->n_variables] = v;
    *out = g->n_variables++;
    return SONDE_OK;
}

sonde_status sonde_group_variable(sonde_group *g, int *out, const char *name, sonde_cell type, int n_axes,
                                  const int *axes, const char *long_name, const char *units)
{
    sonde_record_variable shape = { .type = type, .n_axes = n_axes };
    if (n_axes < 0 || n_axes > SONDE_RECORD_AXES)
        return sonde_fail(SONDE_EARG, "/%s/%s: at most %d axes", g->name, name, SONDE_RECORD_AXES);
    for (int i = 0; i < n_axes; i++) shape.axes[i] = axes[i];
    return add_variable(g, out, name, &shape, long_name, units);
}

sonde_status sonde_group_time_column(sonde_group *g, int *out, const char *name, sonde_cell type,
                                     const char *long_name, const char *units)
{
    sonde_record_variable shape = { .type = type, .is_coordinate = true };
    return add_variable(g, out, name, &shape, long_name, units);
}

/* ---- freezing ------------------------------------------------------------------------------------------ */

static int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

/* Rows of a block of about half a MiB; of wide rows of statistics 16 all the same, of histograms as few as one. */
static int64_t choose_block_rows(const sonde_group *g, size_t row_bytes)
{
    bool plain = g->kind == SONDE_GROUP_PLAIN;
    return clamp((int64_t)((512 << 10) / row_bytes), plain ? 16 : 1, plain ? 1024 : 64);
}

static void free_layout(record_layout *layout)
{
    sonde_free(layout->lengths);
    sonde_free(layout->cells);
    sonde_free(layout->offset);
    sonde_free(layout);
}

sonde_status sonde_group_lay_out(sonde_group *g)
{
    size_t n_axes = (size_t)g->n_axes, n = (size_t)g->n_variables;
    record_layout *layout = sonde_alloc_zeroed(sizeof *layout);
    if (!layout) return SONDE_ENOMEM;
    layout->lengths = sonde_alloc((n_axes + 1) * sizeof *layout->lengths);
    layout->cells = sonde_alloc((n + 1) * sizeof *layout->cells);
    layout->offset = sonde_alloc((n + 1) * sizeof *layout->offset);
    if (!layout->lengths || !layout->cells || !layout->offset) {
        free_layout(layout);
        return SONDE_ENOMEM;
    }
    for (int a = 0; a < g->n_axes; a++) layout->lengths[a] = g->axes[a].length;
    size_t at = sizeof(int64_t) * (size_t)g->block_rows;
    for (int i = 0; i < g->n_variables; i++) {
        at = (at + 63) & ~(size_t)63; /* a column starts on its own cache line */
        layout->offset[i] = at;
        layout->cells[i] = g->variables[i].cells;
        at += (size_t)(g->variables[i].cells * g->block_rows) * sonde_cell_size(g->variables[i].type);
    }
    layout->bytes = at;
    layout->older = g->layout;
    g->layout = layout;
    return SONDE_OK;
}

void sonde_group_drop_layout(sonde_group *g, record_layout *keep)
{
    while (g->layout != keep) {
        record_layout *newest = g->layout;
        g->layout = newest->older;
        free_layout(newest);
    }
}

sonde_status sonde_group_freeze(sonde_group *g)
{
    if (g->frozen) return SONDE_OK;
    size_t row_bytes = sizeof(int64_t);
    for (int i = 0; i < g->n_variables; i++)
        row_bytes += (size_t)g->variables[i].cells * sonde_cell_size(g->variables[i].type);
    g->block_rows = choose_block_rows(g, row_bytes);
    record_slot *slots = sonde_alloc_zeroed(sizeof *slots * SONDE_RECORD_BLOCKS);
    if (!slots) return SONDE_ENOMEM;
    sonde_status status = sonde_group_lay_out(g);
    if (status != SONDE_OK) {
        sonde_free(slots);
        return status;
    }
    g->slots = slots;
    g->n_slots = SONDE_RECORD_BLOCKS;
    g->frozen = true;
    return SONDE_OK;
}

void sonde_record_block_free(record_block *block)
{
    while (block) {
        record_block *replaced = block->replaced;
        sonde_free(block);
        block = replaced;
    }
}

void sonde_group_free(sonde_group *g)
{
    for (int a = 0; a < g->n_axes; a++) {
        sonde_record_axis *axis = &g->axes[a];
        for (int c = 0; c < axis->n_coordinates; c++) free_coordinate(&axis->coordinates[c], axis->length);
        sonde_free(axis->coordinates);
    }
    for (int i = 0; i < g->n_variables; i++) free_variable(&g->variables[i]);
    for (int64_t i = 0; i < g->n_slots; i++) sonde_record_block_free(g->slots[i]);
    sonde_group_drop_layout(g, NULL);
    sonde_free(g->axes);
    sonde_free(g->variables);
    sonde_free(g->slots);
    sonde_free(g->name);
    sonde_free(g);
}
