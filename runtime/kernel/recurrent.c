#include "kernel/recurrent.h"

extern const sonde_recurrent_loops sonde_recurrent_table_f32, sonde_recurrent_table_f64;

const sonde_recurrent_loops *sonde_recurrent_loops_of(sonde_dtype dtype)
{
    return dtype == SONDE_FLOAT32 ? &sonde_recurrent_table_f32 : &sonde_recurrent_table_f64;
}
