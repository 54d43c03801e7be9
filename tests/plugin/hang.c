/* Never comes back, and ignores a polite request to end: it is cut at the deadline, and the alert stays queued. */
#include "plugin.h"

#include <signal.h>
#include <unistd.h>

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    (void)request, (void)length, (void)reply, (void)reply_length;
    signal(SIGTERM, SIG_IGN);
    for (;;)
        pause();
    return 1;
}

EXPORT("hang", SYSALERT_PLUGIN_ABI, call)
