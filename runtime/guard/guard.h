/* guard — what keeps a run safe from the outside: signals.
 *
 * Signals:   while a watch is on, the first SIGINT, SIGTERM or SIGHUP only raises a flag, so that the step at work is
 *            finished and the file closed; the second asks whoever offered to (sonde_signals_on_second) to stop before
 *            that; the third ends the process at once with 128 + its number (the run file stays recoverable). The first
 *            two say on stderr what they do.
 *            Watches nest; the last one to end brings the old handlers back. SIGINT stays ignored where it was (nohup).
 *            SIGXFSZ is ignored meanwhile, so that a file-size limit is a failed write with a message and no death.
 * Threads:   the flag belongs to the process; begin and end come from one thread, on which the signals are handled.
 */
#ifndef SONDE_GUARD_H
#define SONDE_GUARD_H

#include "base/base.h"

sonde_status sonde_signals_begin(void);
void sonde_signals_end(void);    /* nothing if no watch is on */
int sonde_signals_pending(void); /* the signal that came since the outermost watch began; 0: none */
int sonde_signals_count(void);   /* how many have come since */
/* stop(context) is called by the second signal, inside its handler: it may do what such a handler may. NULL: nothing.
 */
void sonde_signals_on_second(void (*stop)(void *context), void *context);

#endif
