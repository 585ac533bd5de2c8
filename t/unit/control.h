
/* A control whose poll answers yes every k-th time; 0 is never. */

#ifndef CONTROL_H_INCLUDED
#define CONTROL_H_INCLUDED


#include "helix_kind.h"


typedef struct {
    helix_control_t   base;
    uint32_t          every;
    uint64_t          polls;
} control_t;


static int
poll_every(const helix_control_t *base)
{
    control_t  *ctl;

    ctl = (control_t *) base;
    ctl->polls++;

    return ctl->every && ctl->polls % ctl->every == 0;
}


static inline void
control_init(control_t *ctl, uint32_t every)
{
    ctl->base.size = sizeof(helix_control_t);
    ctl->base.poll = poll_every;
    ctl->base.stop = poll_every;
    ctl->every = every;
    ctl->polls = 0;
}


#endif /* CONTROL_H_INCLUDED */
