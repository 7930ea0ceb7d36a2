/* prctl(2), as far as a forked child needs it. */
#include "internal.h"

#include <sys/prctl.h>

int uipc_prctl(int option, uint64_t argument) {
    return uipc_result(prctl(option, (unsigned long)argument, 0UL, 0UL, 0UL));
}

int uipc_prctl_get(int option, int *value) { return uipc_result(prctl(option, value, 0UL, 0UL, 0UL)); }
