/* Dies of a segmentation fault while it sends: the alert stays queued, and sysalert goes on. */
#include "plugin.h"

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    (void)request, (void)length, (void)reply, (void)reply_length;
    volatile int *nowhere = NULL;
    *nowhere = 1;
    return 1;
}

EXPORT("crash", SYSALERT_PLUGIN_ABI, call)
