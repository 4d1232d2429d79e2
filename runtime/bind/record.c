/* core.record: histories and their groups. */
#include "bind/history.h"

#include <math.h>
#include <string.h>

typedef struct group_object {
    sonde_group *group;
    sonde_bind_history *owner; /* one reference */
} group_object;

static void release_history(void *object) { sonde_bind_history_release(object); }

static void release_group(void *object)
{
    group_object *g = object;
    sonde_bind_history_release(g->owner);
    sonde_free(g);
}

static const sonde_bind_kind kind_history = {.name = "History", .release = release_history};
static const sonde_bind_kind kind_group = {.name = "Group", .release = release_group};

sonde_bind_history *sonde_bind_check_history(lua_State *L, int index)
{
    return sonde_bind_check_object(L, index, &kind_history);
}

sonde_bind_history *sonde_bind_history_retain(sonde_bind_history *shared)
{
    shared->refs++;
    return shared;
}

void sonde_bind_history_release(sonde_bind_history *shared)
{
    if (--shared->refs > 0) return;
    sonde_history_free(shared->history);
    sonde_free(shared);
}

static const char *const cell_names[] = {"float32", "float64", "uint32", "int64", NULL}; /* order of sonde_cell */

static sonde_cell check_cell(lua_State *L, int index)
{
    const char *name = luaL_checkstring(L, index);
    for (int i = 0; cell_names[i] != NULL; i++) {
        if (strcmp(name, cell_names[i]) == 0) return (sonde_cell)i;
    }
    sonde_bind_raise(L, "unknown column type '%s'; there are: float32, float64, uint32, int64", name);
}

/* ---- history ------------------------------------------------------------------------------------------- */

static int history_new(lua_State *L)
{
    void **out = sonde_bind_new(L, &kind_history);
    sonde_bind_history *shared = sonde_alloc_zeroed(sizeof *shared);
    if (shared == NULL) sonde_bind_check(L, SONDE_ENOMEM);
    shared->refs = 1;
    *out = shared;
    sonde_bind_check(L, sonde_history_new(&shared->history));
    return 1;
}

static int push_group(lua_State *L, sonde_bind_history *shared, sonde_group *group)
{
    void **out = sonde_bind_new(L, &kind_group);
    group_object *g = sonde_alloc(sizeof *g);
    if (g == NULL) sonde_bind_check(L, SONDE_ENOMEM);
    *g = (group_object){group, sonde_bind_history_retain(shared)};
    *out = g;
    return 1;
}

static int history_group(lua_State *L)
{
    sonde_bind_history *shared = sonde_bind_check_history(L, 1);
    sonde_group *group;
    sonde_bind_check(L, sonde_history_group(shared->history, &group, luaL_checkstring(L, 2), SONDE_GROUP_PLAIN));
    return push_group(L, shared, group);
}

static int history_find(lua_State *L)
{
    sonde_bind_history *shared = sonde_bind_check_history(L, 1);
    sonde_group *group = sonde_history_find(shared->history, luaL_checkstring(L, 2));
    if (group == NULL) return 0;
    return push_group(L, shared, group);
}

static int history_names(lua_State *L)
{
    sonde_bind_history *shared = sonde_bind_check_history(L, 1);
    int n = sonde_history_n_groups(shared->history);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushstring(L, sonde_group_name(sonde_history_at(shared->history, i)));
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int history_keep(lua_State *L)
{
    lua_Integer rows = luaL_checkinteger(L, 2);
    if (rows < 0) sonde_bind_raise(L, "keep: expected at least 0 rows, got %lld", (long long)rows);
    sonde_history_keep(sonde_bind_check_history(L, 1)->history, rows);
    return 0;
}

/* count, seconds: how often and how long a row waited for the writer */
static int history_stalls(lua_State *L)
{
    sonde_record_stalls stalls = sonde_history_stalls(sonde_bind_check_history(L, 1)->history);
    lua_pushinteger(L, stalls.count);
    lua_pushnumber(L, stalls.seconds);
    return 2;
}

/* ---- group: declaring and writing ----------------------------------------------------------------------- */

static sonde_group *check_group(lua_State *L, int index)
{
    return ((group_object *)sonde_bind_check_object(L, index, &kind_group))->group;
}

/* The list at `index`, all texts or all integers, as values of a coordinate in a scratch userdata that is pushed. */
static const void *check_values(lua_State *L, int index, lua_Integer *n, sonde_cell *type)
{
    luaL_checktype(L, index, LUA_TTABLE);
    *n = luaL_len(L, index);
    *type = lua_geti(L, index, 1) == LUA_TSTRING ? SONDE_CELL_TEXT : SONDE_CELL_I64;
    lua_pop(L, 1);
    void *values = lua_newuserdatauv(L, (size_t)(*n > 0 ? *n : 1) * sizeof(int64_t), 0);
    for (lua_Integer i = 0; i < *n; i++) {
        int found = lua_geti(L, index, i + 1);
        if (*type == SONDE_CELL_TEXT ? found != LUA_TSTRING : !lua_isinteger(L, -1)) {
            sonde_bind_raise(L, "a coordinate is a list of texts or of integers, got %s at [%lld]",
                             sonde_bind_type_name(L, -1), (long long)i + 1);
        }
        if (*type == SONDE_CELL_TEXT) ((const char **)values)[i] = lua_tostring(L, -1); /* the list keeps it alive */
        else ((int64_t *)values)[i] = lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    return values;
}

/* group:axis(name, { values }): an axis of that length, with its coordinate */
static int group_axis(lua_State *L)
{
    sonde_group *group = check_group(L, 1);
    const char *name = luaL_checkstring(L, 2);
    lua_Integer n;
    sonde_cell type;
    const void *values = check_values(L, 3, &n, &type);
    int index;
    sonde_bind_check(L, sonde_group_axis(group, &index, name, n, type, values));
    return 0;
}

/* The index of an axis by its name. */
static int check_axis(lua_State *L, const sonde_group *group, const char *name)
{
    for (int a = 0; a < sonde_group_n_axes(group); a++) {
        if (strcmp(sonde_group_axis_at(group, a)->coordinates[0].name, name) == 0) return a;
    }
    sonde_bind_raise(L, "group '%s' has no axis '%s'", sonde_group_name(group), name);
}

/* group:coordinate_along(axis, name, { values }, long_name): another label along an axis */
static int group_coordinate_along(lua_State *L)
{
    sonde_group *group = check_group(L, 1);
    int axis = check_axis(L, group, luaL_checkstring(L, 2));
    const char *name = luaL_checkstring(L, 3), *about = luaL_optstring(L, 5, NULL);
    lua_Integer n;
    sonde_cell type;
    const void *values = check_values(L, 4, &n, &type);
    int64_t length = sonde_group_axis_at(group, axis)->length;
    if (n != length) {
        sonde_bind_raise(L, "coordinate '%s': expected %lld values, got %lld", name, (long long)length, (long long)n);
    }
    sonde_bind_check(L, sonde_group_coordinate(group, axis, name, type, values, about, NULL));
    return 0;
}

/* group:variable(name, type, long_name, units, { names of axes }) */
static int group_variable(lua_State *L)
{
    sonde_group *group = check_group(L, 1);
    const char *name = luaL_checkstring(L, 2), *about = luaL_optstring(L, 4, NULL), *units = luaL_optstring(L, 5, NULL);
    sonde_cell type = check_cell(L, 3);
    int index, axes[SONDE_RECORD_AXES], n = lua_isnoneornil(L, 6) ? 0 : (int)luaL_len(L, 6);
    if (n > SONDE_RECORD_AXES) sonde_bind_raise(L, "'%s': at most %d axes besides step", name, SONDE_RECORD_AXES);
    for (int i = 0; i < n; i++) {
        lua_geti(L, 6, i + 1);
        axes[i] = check_axis(L, group, luaL_checkstring(L, -1));
        lua_pop(L, 1);
    }
    sonde_bind_check(L, sonde_group_variable(group, &index, name, type, n, axes, about, units));
    return 0;
}

/* group:time_column(name, type, long_name, units) */
static int group_time_column(lua_State *L)
{
    sonde_group *group = check_group(L, 1);
    const char *name = luaL_checkstring(L, 2), *about = luaL_optstring(L, 4, NULL), *units = luaL_optstring(L, 5, NULL);
    sonde_cell type = check_cell(L, 3);
    int index;
    sonde_bind_check(L, sonde_group_time_column(group, &index, name, type, about, units));
    return 0;
}

/* Cell `i` from the number on top. */
static void set_cell(lua_State *L, void *cells, sonde_cell type, int64_t i)
{
    switch (type) {
    case SONDE_CELL_F32: ((float *)cells)[i] = (float)lua_tonumber(L, -1); break;
    case SONDE_CELL_F64: ((double *)cells)[i] = lua_tonumber(L, -1); break;
    case SONDE_CELL_U32: ((uint32_t *)cells)[i] = (uint32_t)lua_tointeger(L, -1); break;
    default: ((int64_t *)cells)[i] = lua_tointeger(L, -1); break;
    }
}

/* Raises unless the value on top can be a cell. */
static void check_number(lua_State *L, const char *name, sonde_cell type)
{
    bool whole = type == SONDE_CELL_U32 || type == SONDE_CELL_I64;
    if (!(whole ? lua_isinteger(L, -1) : lua_type(L, -1) == LUA_TNUMBER)) {
        sonde_bind_raise(L, "column '%s': expected %s, got %s", name, whole ? "an integer" : "a number",
                         sonde_bind_type_name(L, -1));
    }
    lua_Integer count = lua_tointeger(L, -1);
    if (type == SONDE_CELL_U32 && (count < 0 || count >= UINT32_MAX)) { /* the last one means: not measured */
        sonde_bind_raise(L, "column '%s': expected a count from 0 to %lld, got %lld", name, (long long)UINT32_MAX - 1,
                         (long long)count);
    }
}

/* Raises unless the value on top fits the column of that name: a number, or where it has axes a list of all its cells. */
static void check_column(lua_State *L, const sonde_group *group, const char *name)
{
    int variable = sonde_group_find_variable(group, name);
    if (variable < 0) sonde_bind_raise(L, "group '%s' has no column '%s'", sonde_group_name(group), name);
    const sonde_record_variable *v = sonde_group_variable_at(group, variable);
    if (v->n_axes == 0) {
        check_number(L, name, v->type);
        return;
    }
    if (lua_type(L, -1) != LUA_TTABLE || (int64_t)lua_rawlen(L, -1) != v->cells) {
        sonde_bind_raise(L, "column '%s': expected a list of %lld numbers", name, (long long)v->cells);
    }
    for (int64_t i = 0; i < v->cells; i++) {
        lua_rawgeti(L, -1, i + 1);
        check_number(L, name, v->type);
        lua_pop(L, 1);
    }
}

static void set_column(lua_State *L, sonde_group *group, const char *name)
{
    int variable = sonde_group_find_variable(group, name);
    const sonde_record_variable *v = sonde_group_variable_at(group, variable);
    void *cells = sonde_group_cells(group, variable);
    if (v->n_axes == 0) set_cell(L, cells, v->type, 0);
    for (int64_t i = 0; v->n_axes > 0 && i < v->cells; i++) {
        lua_rawgeti(L, -1, i + 1);
        set_cell(L, cells, v->type, i);
        lua_pop(L, 1);
    }
}

/* group:append(step, { name = number or list in row-major order, … }): one row; what is not named stays "not measured". */
static int group_append(lua_State *L)
{
    sonde_group *group = check_group(L, 1);
    int64_t step = luaL_checkinteger(L, 2);
    luaL_checktype(L, 3, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 3) != 0; lua_pop(L, 1)) { /* everything that can raise, before the row is open */
        check_column(L, group, lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?");
    }
    sonde_bind_check(L, sonde_group_begin(group, step));
    for (lua_pushnil(L); lua_next(L, 3) != 0; lua_pop(L, 1)) set_column(L, group, lua_tostring(L, -2));
    sonde_bind_check(L, sonde_group_commit(group));
    return 0;
}

/* ---- group: reading -------------------------------------------------------------------------------------- */

static int group_rows(lua_State *L)
{
    lua_pushinteger(L, sonde_group_rows(check_group(L, 1)));
    return 1;
}

/* First row (from 1) that is still in memory; beyond :rows() if there is none. */
static int group_first_row(lua_State *L)
{
    lua_pushinteger(L, sonde_group_first_row(check_group(L, 1)) + 1);
    return 1;
}

static int64_t check_row(lua_State *L, const sonde_group *group, int index)
{
    return luaL_optinteger(L, index, sonde_group_rows(group)) - 1;
}

/* group:step([row]): the step of a row (the newest), nil if it is not in memory. */
static int group_step(lua_State *L)
{
    sonde_group *group = check_group(L, 1);
    int64_t row = check_row(L, group, 2);
    if (row < sonde_group_first_row(group) || row >= sonde_group_rows(group)) return 0;
    lua_pushinteger(L, sonde_group_step(group, row));
    return 1;
}

/* Counts that were not measured are NaN in Lua. */
static void push_cell(lua_State *L, sonde_cell type, const void *cells, int64_t i)
{
    switch (type) {
    case SONDE_CELL_F32: sonde_bind_push_number(L, (double)((const float *)cells)[i]); break;
    case SONDE_CELL_F64: sonde_bind_push_number(L, ((const double *)cells)[i]); break;
    case SONDE_CELL_I64: lua_pushinteger(L, ((const int64_t *)cells)[i]); break;
    case SONDE_CELL_U32: {
        uint32_t count = ((const uint32_t *)cells)[i];
        if (count == UINT32_MAX) lua_pushnumber(L, (double)NAN);
        else lua_pushinteger(L, count);
        break;
    }
    case SONDE_CELL_TEXT: lua_pushstring(L, ((char *const *)cells)[i]); break;
    }
}

/* group:read(variable[, row]): a number, or a flat list of the cells in row-major order; nil if there is none. */
static int group_read(lua_State *L)
{
    sonde_group *group = check_group(L, 1);
    int variable = sonde_group_find_variable(group, luaL_checkstring(L, 2));
    int64_t row = check_row(L, group, 3);
    if (variable < 0 || row < sonde_group_first_row(group) || row >= sonde_group_rows(group)) return 0;
    const sonde_record_variable *v = sonde_group_variable_at(group, variable);
    const void *cells = sonde_group_read(group, variable, row);
    if (v->n_axes == 0) {
        push_cell(L, v->type, cells, 0);
        return 1;
    }
    int64_t n = 1;
    for (int d = 0; d < v->n_axes; d++) n *= sonde_group_row_length(group, v->axes[d], row);
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        push_cell(L, v->type, cells, i);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* group:variables(): { { name =, type =, axes = { names } }, … } */
static int group_variables(lua_State *L)
{
    sonde_group *group = check_group(L, 1);
    int n = sonde_group_n_variables(group);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        const sonde_record_variable *v = sonde_group_variable_at(group, i);
        lua_createtable(L, 0, 3);
        lua_pushstring(L, v->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, cell_names[v->type]);
        lua_setfield(L, -2, "type");
        lua_createtable(L, v->n_axes, 0);
        for (int d = 0; d < v->n_axes; d++) {
            lua_pushstring(L, sonde_group_axis_at(group, v->axes[d])->coordinates[0].name);
            lua_rawseti(L, -2, d + 1);
        }
        lua_setfield(L, -2, "axes");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* group:coordinate(name): the values of a coordinate along an axis ("probe", "layer", "binade"), or nil. */
static int group_coordinate(lua_State *L)
{
    sonde_group *group = check_group(L, 1);
    const char *name = luaL_checkstring(L, 2);
    for (int a = 0; a < sonde_group_n_axes(group); a++) {
        const sonde_record_axis *axis = sonde_group_axis_at(group, a);
        for (int c = 0; c < axis->n_coordinates; c++) {
            if (strcmp(axis->coordinates[c].name, name) != 0) continue;
            lua_createtable(L, (int)axis->length, 0);
            for (int64_t i = 0; i < axis->length; i++) {
                push_cell(L, axis->coordinates[c].type, axis->coordinates[c].values, i);
                lua_rawseti(L, -2, i + 1);
            }
            return 1;
        }
    }
    return 0;
}

static const luaL_Reg history_methods[] = {
    {"group", history_group}, {"find", history_find},     {"names", history_names},
    {"keep", history_keep},   {"stalls", history_stalls}, {NULL, NULL},
};
static const luaL_Reg group_methods[] = {
    {"axis", group_axis},           {"coordinate_along", group_coordinate_along},
    {"variable", group_variable},   {"time_column", group_time_column}, {"append", group_append},
    {"rows", group_rows},           {"first_row", group_first_row},     {"step", group_step},
    {"read", group_read},           {"variables", group_variables},     {"coordinate", group_coordinate},
    {NULL, NULL},
};

int sonde_bind_record(lua_State *L)
{
    sonde_bind_kind_open(L, &kind_history, history_methods, NULL);
    sonde_bind_kind_open(L, &kind_group, group_methods, NULL);
    lua_pop(L, 2);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, history_new);
    lua_setfield(L, -2, "history");
    return 1;
}
