/* Loaded before the program (LD_PRELOAD): its wall clock is ahead by SECONDS_LATER. Nobody has to wait for a lease to end. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    const char *later = getenv("SECONDS_LATER");
    int status = (int)syscall(SYS_clock_gettime, clock, time);
    if (status == 0 && clock == CLOCK_REALTIME && later != NULL)
        time->tv_sec += atol(later);
    return status;
}
