
#include "sim.h"


void
sim_timing(void)
{
}
