#include "kernel/real/loop.h"

#define ENTRY(name) .name = REAL_NAME(loop_##name)
const sonde_loops REAL_NAME(sonde_loop_table) = {
    ENTRY(binary), ENTRY(compare), ENTRY(binary_backward), ENTRY(unary), ENTRY(unary_backward), ENTRY(clamp),
    ENTRY(clamp_backward), ENTRY(accumulate), ENTRY(where), ENTRY(reduce), ENTRY(reduce_backward), ENTRY(extremum),
    ENTRY(extremum_backward), ENTRY(cumsum), ENTRY(softmax), ENTRY(softmax_backward), ENTRY(index_add), ENTRY(gather),
    ENTRY(gather_add), ENTRY(cross_entropy), ENTRY(cross_entropy_backward), ENTRY(cross_entropy_soft),
    ENTRY(cross_entropy_soft_backward), ENTRY(mse), ENTRY(mse_backward), ENTRY(bce), ENTRY(bce_backward),
    ENTRY(channel_moments), ENTRY(channel_affine), ENTRY(channel_dots), ENTRY(channel_backward),
};
