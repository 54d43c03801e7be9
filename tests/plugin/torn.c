/* Finds the way by which replies go and dies in the middle of one: half a line is no reply, the alert stays queued. */
#include "plugin.h"

#include <unistd.h>

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    (void)reply, (void)reply_length;
    char nonce[256], half[512];
    if (find_nonce(request, length, nonce, sizeof nonce) != 0)
        return 1;
    int end = snprintf(half, sizeof half, "{\"reply\":{\"nonce\":\"%s\",\"status\":\"sent\",\"det", nonce);
    for (int place = 3; place < 64; place++)
        if (write(place, half, (size_t)end) < 0)
            continue; /* nothing is open there for writing */
    _exit(0);
}

EXPORT("torn", SYSALERT_PLUGIN_ABI, call)
