/* h5, inside: files opened by path (file.c: opening, reading, writing; look.c: what is in them). */
#ifndef SONDE_H5_FILE_H
#define SONDE_H5_FILE_H

#include "h5/room.h"

struct sonde_h5_file {
    hid_t id;
    char path[4096], tmp[4200]; /* tmp: "w" until closed, else "" */
    bool writable, live;
};

const char *h5_name_of(const sonde_h5_file *f, const char *path, char text[static 1024]); /* "'run.h5': /grad/mean" */
/* The object at the path, a group or a dataset (or only one of these); < 0 with the message set if there is none. */
hid_t h5_open_object(sonde_h5_file *f, const char *path);
hid_t h5_open_kind(sonde_h5_file *f, const char *path, H5I_type_t kind);

#endif
