/* watch — what the tape tells the numerics watch. Private to room autograd. */
#ifndef SONDE_AUTOGRAD_WATCH_H
#define SONDE_AUTOGRAD_WATCH_H

#include "autograd/autograd.h"

extern _Thread_local bool sonde_numbers_on;
const void *sonde_numbers_place(void);
/* An operator has run forward; a node has run backward, its gradients not yet released. */
void sonde_numbers_applied(const sonde_call *call, sonde_tensor *const *out);
void sonde_numbers_gave(const sonde_node *node);

#endif
