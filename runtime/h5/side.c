/* Late things in memory: items (datasets and attributes by path) and columns (values by row). The training thread adds,
 * the writer thread takes snapshots; the lock is never held while a file is written. */
#include "h5/room.h"

#include <pthread.h>
#include <string.h>

struct h5_side {
    pthread_mutex_t mutex; /* recursive: hold … release spans several puts */
    h5_item **items;
    h5_column *columns;
    int64_t n_items, item_capacity, n_columns;
    bool changed;
};

h5_side *h5_side_new(void)
{
    h5_side *side = sonde_alloc_zeroed(sizeof *side);
    if (!side) return NULL;
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&side->mutex, &recursive);
    pthread_mutexattr_destroy(&recursive);
    return side;
}

static void release_item(h5_item *item)
{
    if (__atomic_sub_fetch(&item->refs, 1, __ATOMIC_ACQ_REL) > 0) return;
    sonde_free(item->path);
    sonde_free(item->attribute);
    sonde_h5_value_free(&item->value);
    sonde_h5_value_free(&item->axes);
    sonde_free(item);
}

static void free_column(h5_column *c)
{
    sonde_free(c->group);
    sonde_free(c->name);
    sonde_free(c->row);
    sonde_free(c->number);
    sonde_free(c->start);
    sonde_free(c->bytes);
}

void h5_side_free(h5_side *side)
{
    if (!side) return;
    for (int64_t i = 0; i < side->n_items; i++) release_item(side->items[i]);
    for (int64_t i = 0; i < side->n_columns; i++) free_column(&side->columns[i]);
    sonde_free(side->items);
    sonde_free(side->columns);
    pthread_mutex_destroy(&side->mutex);
    sonde_free(side);
}

void h5_side_hold(h5_side *side) { pthread_mutex_lock(&side->mutex); }
void h5_side_release(h5_side *side) { pthread_mutex_unlock(&side->mutex); }

/* The array with room for `need` elements; its capacity doubles. NULL: out of memory, and it is as it was. */
static void *reserve(void *array, int64_t *capacity, int64_t need, size_t size)
{
    if (need <= *capacity) return array;
    int64_t more = *capacity ? *capacity * 2 : 16;
    while (more < need) more *= 2;
    void *grown = sonde_realloc(array, (size_t)more * size);
    if (grown) *capacity = more;
    return grown;
}

/* ---- does it fit the history? -------------------------------------------------------------------------- */

static bool group_has(const sonde_group *group, const char *name)
{
    if (!strcmp(name, "step") || sonde_group_find_variable(group, name) >= 0) return true;
    for (int a = 0; a < sonde_group_n_axes(group); a++) {
        const sonde_record_axis *axis = sonde_group_axis_at(group, a);
        for (int i = 0; i < axis->n_coordinates; i++)
            if (!strcmp(axis->coordinates[i].name, name)) return true;
    }
    return false;
}

static sonde_status check_column(const sonde_history *history, const char *group_name, const char *name)
{
    const sonde_group *group = history ? sonde_history_find(history, group_name) : NULL;
    if (history && !group)
        return sonde_fail(SONDE_EARG, "/%s/%s: there is no group '%s'", group_name, name, group_name);
    if (group && group_has(group, name))
        return sonde_fail(SONDE_EARG, "/%s/%s is a column from the start, no late one", group_name, name);
    return SONDE_OK;
}

static sonde_status check_path(const sonde_history *history, const char *path)
{
    for (int i = 0; history && i < sonde_history_n_groups(history); i++) {
        const char *name = sonde_group_name(sonde_history_at(history, i));
        size_t length = strlen(name);
        if (!strncmp(path + 1, name, length) && (path[length + 1] == '/' || !path[length + 1]))
            return sonde_fail(SONDE_EARG, "'%s': group '%s' holds rows, nothing else can be put there", path, name);
    }
    return SONDE_OK;
}

/* ---- items --------------------------------------------------------------------------------------------- */

static sonde_status new_item(h5_item **out, const char *path, const char *attribute, const sonde_h5_value *value,
                             const char *const *axes)
{
    h5_item *item = sonde_alloc_zeroed(sizeof *item);
    if (!item) return SONDE_ENOMEM;
    item->refs = 1;
    bool ok = (item->path = sonde_strdup(path)) != NULL;
    ok = ok && (!attribute || (item->attribute = sonde_strdup(attribute)) != NULL);
    ok = ok && h5_value_copy(&item->value, value) == SONDE_OK;
    ok = ok && (!axes || value->ndim == 0 || h5_pack_text(&item->axes, value->ndim, axes, false) == SONDE_OK);
    if (!ok) {
        release_item(item);
        return SONDE_ENOMEM;
    }
    *out = item;
    return SONDE_OK;
}

static bool same_place(const h5_item *a, const h5_item *b)
{
    if (strcmp(a->path, b->path) || !a->attribute != !b->attribute) return false;
    return !a->attribute || !strcmp(a->attribute, b->attribute);
}

sonde_status h5_side_put(h5_side *side, const sonde_history *history, const char *path, const char *attribute,
                         const sonde_h5_value *value, const char *const *axes)
{
    SONDE_TRY(h5_check_path(path));
    if (attribute ? !*attribute : !path[1]) return sonde_fail(SONDE_EARG, "'%s': a name is needed", path);
    if (!attribute) SONDE_TRY(check_path(history, path));
    SONDE_TRY(h5_value_check(value, path));
    h5_item *item;
    SONDE_TRY(new_item(&item, path, attribute, value, axes));
    pthread_mutex_lock(&side->mutex);
    int64_t at = 0;
    while (at < side->n_items && !same_place(side->items[at], item)) at++;
    h5_item **items = reserve(side->items, &side->item_capacity, at + 1, sizeof *items);
    if (items) {
        side->items = items;
        if (at < side->n_items)
            release_item(items[at]);
        else
            side->n_items++;
        items[at] = item;
        side->changed = true;
    }
    pthread_mutex_unlock(&side->mutex);
    if (!items) release_item(item);
    return items ? SONDE_OK : SONDE_ENOMEM;
}

/* Is `path` at or below `top`? */
static bool is_within(const char *path, const char *top)
{
    size_t length = strlen(top);
    if (length == 1) return true;
    return !strncmp(path, top, length) && (path[length] == '\0' || path[length] == '/');
}

void h5_side_clear(h5_side *side, const char *path)
{
    pthread_mutex_lock(&side->mutex);
    int64_t kept = 0;
    for (int64_t i = 0; i < side->n_items; i++) {
        if (is_within(side->items[i]->path, path))
            release_item(side->items[i]);
        else
            side->items[kept++] = side->items[i];
    }
    side->changed = side->changed || kept < side->n_items;
    side->n_items = kept;
    pthread_mutex_unlock(&side->mutex);
}

/* ---- columns ------------------------------------------------------------------------------------------- */

static h5_column *find_column(h5_side *side, const char *group, const char *name)
{
    for (int64_t i = 0; i < side->n_columns; i++)
        if (!strcmp(side->columns[i].group, group) && !strcmp(side->columns[i].name, name)) return &side->columns[i];
    return NULL;
}

static h5_column *add_column(h5_side *side, const char *group, const char *name, bool is_text)
{
    h5_column *columns = sonde_realloc(side->columns, (size_t)(side->n_columns + 1) * sizeof *columns);
    if (!columns) return NULL;
    side->columns = columns;
    h5_column *c = &columns[side->n_columns];
    *c = (h5_column){ .is_text = is_text, .group = sonde_strdup(group), .name = sonde_strdup(name) };
    if (!c->group || !c->name) {
        free_column(c);
        return NULL;
    }
    side->n_columns++;
    return c;
}

/* The arrays that a column of this kind uses, with room for one value more. */
static bool reserve_value(h5_column *c, size_t text_bytes)
{
    int64_t capacity = c->capacity, bytes = c->byte_capacity;
    int64_t *row = reserve(c->row, &capacity, c->n + 1, sizeof *row);
    if (!row) return false;
    c->row = row;
    capacity = c->capacity;
    if (c->is_text) {
        size_t *start = reserve(c->start, &capacity, c->n + 1, sizeof *start);
        if (start) c->start = start;
        char *text = reserve(c->bytes, &bytes, c->n_bytes + (int64_t)text_bytes, 1);
        if (text) c->bytes = text, c->byte_capacity = bytes;
        if (!start || !text) return false;
    } else {
        double *number = reserve(c->number, &capacity, c->n + 1, sizeof *number);
        if (!number) return false;
        c->number = number;
    }
    c->capacity = capacity;
    return true;
}

static bool append_value(h5_column *c, int64_t row, double number, const char *text)
{
    size_t length = text ? strlen(text) + 1 : 0;
    if (!reserve_value(c, length)) return false;
    if (c->is_text) {
        memcpy(c->bytes + c->n_bytes, text, length);
        c->start[c->n] = (size_t)c->n_bytes;
        c->n_bytes += (int64_t)length;
    } else {
        c->number[c->n] = number;
    }
    c->row[c->n++] = row;
    return true;
}

static sonde_status late(h5_side *side, const sonde_history *history, const char *group, const char *column,
                         int64_t row, double number, const char *text)
{
    h5_column *c = find_column(side, group, column);
    if (!c) {
        SONDE_TRY(check_column(history, group, column));
        if (!(c = add_column(side, group, column, text != NULL))) return SONDE_ENOMEM;
    }
    if (c->is_text != (text != NULL))
        return sonde_fail(SONDE_EARG, "/%s/%s holds %s", group, column, c->is_text ? "text" : "numbers");
    if (!append_value(c, row, number, text)) return SONDE_ENOMEM;
    side->changed = true;
    return SONDE_OK;
}

sonde_status h5_side_late(h5_side *side, const sonde_history *history, const char *group, const char *column,
                          int64_t row, double number, const char *text)
{
    if (!*column || strchr(column, '/')) return sonde_fail(SONDE_EARG, "'%s' cannot be the name of a column", column);
    if (row < 0) return sonde_fail(SONDE_EARG, "/%s/%s: there is no row %lld", group, column, (long long)row);
    pthread_mutex_lock(&side->mutex);
    sonde_status status = late(side, history, group, column, row, number, text);
    pthread_mutex_unlock(&side->mutex);
    return status;
}

/* ---- checking all, and snapshots ------------------------------------------------------------------------ */

sonde_status h5_side_check(h5_side *side, const sonde_history *history)
{
    pthread_mutex_lock(&side->mutex);
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; i < side->n_columns && status == SONDE_OK; i++)
        status = check_column(history, side->columns[i].group, side->columns[i].name);
    for (int64_t i = 0; i < side->n_items && status == SONDE_OK; i++)
        if (!side->items[i]->attribute) status = check_path(history, side->items[i]->path);
    pthread_mutex_unlock(&side->mutex);
    return status;
}

bool h5_side_changed(h5_side *side)
{
    pthread_mutex_lock(&side->mutex);
    bool changed = side->changed;
    pthread_mutex_unlock(&side->mutex);
    return changed;
}

static void *copy_bytes(const void *from, size_t bytes, bool *ok)
{
    void *to = sonde_alloc(bytes ? bytes : 1);
    if (!to) *ok = false;
    if (to && bytes) memcpy(to, from, bytes);
    return to;
}

static bool copy_column(h5_column *to, const h5_column *from)
{
    bool ok = true;
    size_t bytes = (size_t)from->n * 8;
    *to = (h5_column){ .is_text = from->is_text, .n = from->n, .n_bytes = from->n_bytes };
    to->group = sonde_strdup(from->group);
    to->name = sonde_strdup(from->name);
    to->row = copy_bytes(from->row, bytes, &ok);
    if (from->is_text) {
        to->start = copy_bytes(from->start, bytes, &ok);
        to->bytes = copy_bytes(from->bytes, (size_t)from->n_bytes, &ok);
    } else {
        to->number = copy_bytes(from->number, bytes, &ok);
    }
    return ok && to->group && to->name;
}

sonde_status h5_side_snapshot(h5_side *side, bool take, h5_snapshot *out)
{
    h5_snapshot s = { 0 };
    pthread_mutex_lock(&side->mutex);
    s.items = sonde_alloc((size_t)side->n_items * sizeof *s.items + 1);
    s.columns = sonde_alloc_zeroed((size_t)side->n_columns * sizeof *s.columns + 1);
    bool ok = s.items && s.columns;
    for (int64_t i = 0; ok && i < side->n_columns; i++) {
        ok = copy_column(&s.columns[i], &side->columns[i]);
        s.n_columns++;
    }
    for (int64_t i = 0; ok && i < side->n_items; i++) {
        s.items[s.n_items++] = side->items[i];
        if (!take) __atomic_add_fetch(&side->items[i]->refs, 1, __ATOMIC_RELAXED);
    }
    if (ok && take) side->n_items = 0;
    if (ok) side->changed = take && side->n_columns > 0;
    pthread_mutex_unlock(&side->mutex);
    if (!ok) {
        h5_snapshot_free(&s);
        return SONDE_ENOMEM;
    }
    *out = s;
    return SONDE_OK;
}

void h5_snapshot_free(h5_snapshot *snapshot)
{
    for (int64_t i = 0; i < snapshot->n_items; i++) release_item(snapshot->items[i]);
    for (int64_t i = 0; i < snapshot->n_columns; i++) free_column(&snapshot->columns[i]);
    sonde_free(snapshot->items);
    sonde_free(snapshot->columns);
}
