#include "kernel/losses.h"

extern const sonde_loss_loops sonde_loss_table_f32, sonde_loss_table_f64;

const sonde_loss_loops *sonde_loss_loops_of(sonde_dtype dtype)
{
    return dtype == SONDE_FLOAT32 ? &sonde_loss_table_f32 : &sonde_loss_table_f64;
}
