/* core.data.csv(path, separator, header) -> Csv; its methods take columns by number, from 1. */
#include "bind/csv.h"

#include "data/data.h"

static void release(void *object)
{
    sonde_csv_free(object);
}
static const sonde_bind_kind kind_csv = {.name = "Csv", .release = release};

/* header: true, false, or nil to tell by the first line. */
int sonde_bind_csv_load(lua_State *L)
{
    size_t length;
    const char *path = luaL_checkstring(L, 1), *separator = luaL_checklstring(L, 2, &length);
    if (length != 1) sonde_bind_raise(L, "a separator is one character, got '%s'", separator);
    sonde_csv_header header = lua_isnoneornil(L, 3) ? SONDE_CSV_GUESS
                              : lua_toboolean(L, 3) ? SONDE_CSV_HEADER
                                                    : SONDE_CSV_NO_HEADER;
    sonde_csv **out = (sonde_csv **)sonde_bind_new(L, &kind_csv);
    sonde_bind_check(L, sonde_csv_load(out, path, *separator, header));
    return sonde_bind_done(L);
}

static const sonde_csv *check_csv(lua_State *L)
{
    return sonde_bind_check_object(L, 1, &kind_csv);
}

static int64_t check_column(lua_State *L, int index, const sonde_csv *csv)
{
    int64_t column = luaL_checkinteger(L, index);
    if (column >= 1 && column <= csv->columns) return column - 1;
    sonde_bind_raise(L, "'%s' has %lld columns, there is no column %lld", csv->path, (long long)csv->columns,
                     (long long)column);
}

/* csv:size() -> rows, columns */
static int size(lua_State *L)
{
    const sonde_csv *csv = check_csv(L);
    lua_pushinteger(L, csv->rows);
    lua_pushinteger(L, csv->columns);
    return 2;
}

/* csv:names() -> list, or nil without a header */
static int names(lua_State *L)
{
    const sonde_csv *csv = check_csv(L);
    if (csv->names == NULL) return 0;
    lua_createtable(L, (int)csv->columns, 0);
    for (int64_t i = 0; i < csv->columns; i++) {
        lua_pushstring(L, csv->names[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* csv:numbers({columns}) -> float32 [rows, #columns] */
static int numbers(lua_State *L)
{
    const sonde_csv *csv = check_csv(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    int64_t n = (int64_t)lua_rawlen(L, 2);
    int64_t *columns = sonde_bind_scratch(L, (size_t)(n + 1) * sizeof *columns);
    for (int64_t i = 0; i < n; i++) {
        lua_rawgeti(L, 2, i + 1);
        columns[i] = check_column(L, -1, csv);
        lua_pop(L, 1);
    }
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, SONDE_FLOAT32, 2, (const int64_t[]){csv->rows, n}));
    sonde_bind_check(L, sonde_csv_numbers(csv, n, columns, SONDE_FLOAT32, sonde_tensor_data(*out)));
    return sonde_bind_done(L);
}

static void release_classes(void *object)
{
    sonde_free(object);
}
static const sonde_bind_kind kind_classes = {.name = "Classes", .release = release_classes};

/* csv:labels(column, labels_from) -> int64 [rows] counted from 1, and the list of classes if the column is text */
static int labels(lua_State *L)
{
    const sonde_csv *csv = check_csv(L);
    int64_t column = check_column(L, 2, csv), labels_from = luaL_checkinteger(L, 3), n = 0;
    char ***classes = (char ***)sonde_bind_new(L, &kind_classes);
    sonde_tensor **out = sonde_bind_new_tensor(L);
    sonde_bind_check(L, sonde_tensor_new(out, SONDE_INT64, 1, &csv->rows));
    sonde_bind_check(L, sonde_csv_labels(csv, column, labels_from, sonde_tensor_data(*out), classes, &n));
    sonde_bind_done(L);
    if (*classes == NULL) return 1;
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushstring(L, (*classes)[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 2;
}

void sonde_bind_csv_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"size", size}, {"names", names}, {"numbers", numbers}, {"labels", labels}, {NULL, NULL}};
    sonde_bind_kind_open(L, &kind_csv, methods, NULL);
    sonde_bind_kind_open(L, &kind_classes, NULL, NULL);
}
