/* The end of a run: a copy of FILE.part is completed and takes the name FILE. Creating objects in FILE.part itself
 * could lose it in a kill; a torn copy costs nothing. */
#include "h5/room.h"

#include <unistd.h>

static sonde_status set_end(hid_t file, const sonde_h5_end *end)
{
    scoped hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
    sonde_h5_value n_steps = sonde_h5_integer(&end->n_steps), seconds = sonde_h5_number(&end->wall_seconds);
    SONDE_TRY(h5_set_text(root, "status", end->status));
    SONDE_TRY(h5_set_text(root, "error", end->error ? end->error : ""));
    SONDE_TRY(h5_set_attribute(root, "n_steps", &n_steps));
    return h5_set_attribute(root, "wall_seconds", &seconds);
}

static sonde_status complete(const h5_place *place, const char *side, const sonde_h5_end *end)
{
    scoped hid_t access = h5_file_access(H5F_LIBVER_V110);
    hid_t file = H5Fopen(place->tmp, H5F_ACC_RDWR, access);
    if (file < 0) return h5_fail(SONDE_EIO, "'%s' cannot be opened", place->tmp);
    sonde_status status = side ? h5_side_merge(file, side) : SONDE_OK;
    if (status == SONDE_OK) status = set_end(file, end);
    if (H5Fclose(file) < 0 && status == SONDE_OK) status = h5_fail(SONDE_EIO, "closing '%s' failed", place->tmp);
    return status;
}

sonde_status h5_complete(const h5_place *place, const char *side, const sonde_h5_end *end)
{
    h5_enter();
    sonde_status status = complete(place, side, end);
    h5_leave();
    return status;
}

sonde_status h5_finish(const h5_place *place, const sonde_h5_end *end)
{
    sonde_status status = h5_place_copy(place);
    bool has_side = access(place->side, F_OK) == 0;
    if (status == SONDE_OK) status = h5_complete(place, has_side ? place->side : NULL, end);
    if (status == SONDE_OK) status = h5_place_publish(place);
    if (status == SONDE_OK) return SONDE_OK;
    unlink(place->tmp);
    sonde_fail_within("'%s' could not be finished, every row is in '%s' (`sonde recover %s` tries again): ",
                      place->file, place->part, place->part);
    return status;
}
