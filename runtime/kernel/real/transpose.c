/* Transposition in square blocks that fit the first cache, each in pieces that fit the vector registers. */
#include "kernel/real/kernels.h"
#include "kernel/real/real.h"

#include <string.h>

enum { PIECE = 64 / sizeof(real), BLOCK = 64 };
typedef real vec __attribute__((vector_size(64)));

/* The elements of two vectors in turn: their lower halves, their upper halves. */
#if SONDE_REAL == 32
#define LOWER(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define UPPER(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#else
#define LOWER(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define UPPER(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#endif

/* Interleaving row i with row i + PIECE/2 rotates the bits of every element's place by one; log2(PIECE) rounds exchange
 * row and column. */
static void whole_piece(real *restrict out, const real *restrict in, int64_t rows, int64_t columns)
{
    vec piece[PIECE], next[PIECE];
    for (int i = 0; i < PIECE; i++) memcpy(&piece[i], in + i * columns, sizeof *piece);
    for (int round = 1; round < PIECE; round *= 2) {
        for (int i = 0; i < PIECE / 2; i++) {
            next[2 * i] = LOWER(piece[i], piece[i + PIECE / 2]);
            next[2 * i + 1] = UPPER(piece[i], piece[i + PIECE / 2]);
        }
        memcpy(piece, next, sizeof piece);
    }
    for (int i = 0; i < PIECE; i++) memcpy(out + i * rows, &piece[i], sizeof *piece);
}

static void part_piece(real *restrict out, const real *restrict in, int64_t rows, int64_t columns, int64_t height,
                       int64_t width)
{
    for (int64_t j = 0; j < width; j++)
        for (int64_t i = 0; i < height; i++) out[j * rows + i] = in[i * columns + j];
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void REAL_NAME(sonde_transpose)(real *out, const real *in, int64_t rows, int64_t columns)
{
    for (int64_t I = 0; I < rows; I += BLOCK)
        for (int64_t J = 0; J < columns; J += BLOCK)
            for (int64_t i = I; i < least(I + BLOCK, rows); i += PIECE)
                for (int64_t j = J; j < least(J + BLOCK, columns); j += PIECE) {
                    real *to = out + j * rows + i;
                    const real *from = in + i * columns + j;
                    if (rows - i >= PIECE && columns - j >= PIECE)
                        whole_piece(to, from, rows, columns);
                    else
                        part_piece(to, from, rows, columns, least(PIECE, rows - i), least(PIECE, columns - j));
                }
}
