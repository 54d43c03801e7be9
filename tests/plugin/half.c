/* Replies with the first half of "sent": that is no reply, the alert stays queued. */
#include "plugin.h"

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    char nonce[256];
    if (find_nonce(request, length, nonce, sizeof nonce) != 0 || reply_sent(nonce, reply, reply_length) != 0)
        return 1;
    *reply_length /= 2;
    return 0;
}

EXPORT("half", SYSALERT_PLUGIN_ABI, call)
