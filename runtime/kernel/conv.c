#include "kernel/conv.h"

extern const sonde_conv_loops sonde_conv_table_f32, sonde_conv_table_f64;

const sonde_conv_loops *sonde_conv_loops_of(sonde_dtype dtype)
{
    return dtype == SONDE_FLOAT32 ? &sonde_conv_table_f32 : &sonde_conv_table_f64;
}
