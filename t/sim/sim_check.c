
#include "sim.h"


int
sim_check(void)
{
    return 0;
}
