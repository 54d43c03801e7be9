/* Ends the process with status 0 and without a reply: an exit status is no success, the alert stays queued. */
#include "plugin.h"

#include <unistd.h>

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    (void)request, (void)length, (void)reply, (void)reply_length;
    _exit(0);
}

EXPORT("exit0", SYSALERT_PLUGIN_ABI, call)
