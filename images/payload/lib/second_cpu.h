/* A second processor that does one thing over and over, while the first one goes on. */
#ifndef PAYLOAD_SECOND_CPU_H
#define PAYLOAD_SECOND_CPU_H

#include <stdbool.h>

/* Start it; it idles.  Once is enough.  False when there is none. */
bool second_cpu_start(void);
/* Have it call 'job' without end. */
void second_cpu_do(void (*job)(void));
/* Back to idling, and wait until the last call is over.  False when it is not. */
bool second_cpu_stop(void);

#endif
