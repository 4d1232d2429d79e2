/* Images: CIFAR's files, images as sequences, random shifts and flips, statistics of samples: a part of the door
 * data.h. Images are [n, channels, height, width].
 */
#ifndef SONDE_DATA_IMAGES_H
#define SONDE_DATA_IMAGES_H

#include "base/base.h"

struct sonde_pixels;

/* CIFAR's binary files (Krizhevsky 2009): records of `label_bytes` labels and 3 × 32 × 32 bytes, all files together. */
typedef struct sonde_cifar_layout {
    int label_bytes, label; /* labels in front of an image; which of them is taken, from 0 */
    int classes;            /* labels are 0..classes - 1 in the file */
    int64_t records;        /* in each file; 0: as many as it has */
} sonde_cifar_layout;
/* Bytes stand for byte / 255. *labels [n] (sonde_free) are 1..classes. EFORMAT: a file that ends inside a record, is
 * empty, holds another number of records, or has a label beyond the classes. */
sonde_status sonde_cifar_load(struct sonde_pixels **out, int64_t **labels, int n_paths, const char *const *paths,
                              const sonde_cifar_layout *layout);

/* Images [n, channels, height, width] as sequences [n, height · width, channels]: step t shows pixel order[t], counted
 * from 1 (NULL: row after row). A copy; `pixels` stays. ESHAPE if its samples have not three axes. */
sonde_status sonde_pixels_sequence(struct sonde_pixels **out, const struct sonde_pixels *pixels, const int64_t *order);

typedef struct sonde_image_size {
    int64_t channels, height, width;
} sonde_image_size;
/* Each image moved by -shift..shift rows and columns (what was outside is `fill`), and mirrored left to right with
 * probability 1/2 if `flip`. Every image takes three draws, whatever the options. in and out do not overlap;
 * shift <= height, width. */
void sonde_images_augment(sonde_stream *stream, sonde_dtype dtype, void *out, const void *in, int64_t n,
                          sonde_image_size size, int64_t shift, bool flip, double fill);

/* The elements of a sample as [outer, groups, inner]: those with the same middle index share a mean and a deviation. */
typedef struct sonde_sample_groups {
    int64_t outer, groups, inner;
} sonde_sample_groups;
/* sums [groups] += Σ x, or with a centre [groups] Σ (x - centre)², over n samples, in float64. */
void sonde_group_sums(sonde_dtype dtype, const void *x, int64_t n, sonde_sample_groups shape, const double *centre,
                      double *sums);
/* out = (x - mean) / std by group, computed in float64. out may be x. */
void sonde_standardize(sonde_dtype dtype, void *out, const void *x, int64_t n, sonde_sample_groups shape,
                       const double *mean, const double *std);

#endif
