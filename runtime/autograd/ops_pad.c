#include "autograd/autograd.h"

/* Which element of 0..n-1 stands at place i, counted from the first of those there are. */
static int64_t source(int64_t i, int64_t n, sonde_pad_mode mode)
{
    switch (mode) {
    case SONDE_PAD_REFLECT:
        return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
    case SONDE_PAD_CIRCULAR:
        return i < 0 ? i + n : i >= n ? i - n : i;
    default:
        return i < 0 ? 0 : i >= n ? n - 1 : i;
    }
}

sonde_status sonde_pad(sonde_tensor **out, sonde_tensor *x, int axis, int64_t before, int64_t after,
                       sonde_pad_mode mode)
{
    static const char *const names[] = {"zeros", "reflect", "replicate", "circular"};
    SONDE_TRY(sonde_axis(&axis, axis, x->ndim));
    const int64_t n = x->shape[axis], more = before > after ? before : after;
    const int64_t most = mode == SONDE_PAD_REFLECT ? n - 1 : mode == SONDE_PAD_CIRCULAR ? n : n > 0 ? INT32_MAX : 0;
    if (mode == SONDE_PAD_ZEROS || before < 0 || after < 0 || more > most)
        return sonde_fail(SONDE_ESHAPE, "pad: %s cannot add %lld and %lld to the %lld elements of axis %d", names[mode],
                          (long long)before, (long long)after, (long long)n, axis + 1);
    int64_t length;
    if (__builtin_add_overflow(n, before, &length) || __builtin_add_overflow(length, after, &length))
        return sonde_fail(SONDE_ENOMEM, "pad: the result would be too large");
    sonde_tensor *index;
    SONDE_TRY(sonde_tensor_new(&index, SONDE_INT64, 1, &length));
    int64_t *places = sonde_tensor_data(index);
    for (int64_t i = 0; i < length; i++) places[i] = source(i - before, n, mode) + 1;
    const sonde_status status = sonde_index_select(out, x, axis, index);
    sonde_tensor_release(index);
    return status;
}
