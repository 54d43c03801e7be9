/* Prints to standard output and standard error without an end: it is cut at the deadline, and the alert stays queued. */
#include "plugin.h"

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    (void)request, (void)length, (void)reply, (void)reply_length;
    for (;;) {
        puts("and on and on and on and on and on and on and on and on and on and on and on and on and on");
        fputs("and on and on and on and on and on and on and on and on and on and on and on and on\n", stderr);
    }
    return 1;
}

EXPORT("flood", SYSALERT_PLUGIN_ABI, call)
