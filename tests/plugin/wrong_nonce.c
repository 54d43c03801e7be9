/* Says "sent" with another request's nonce: that is no answer to this request, the alert stays queued. */
#include "plugin.h"

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    (void)request, (void)length;
    return reply_sent("00000000000000000000000000000000", reply, reply_length);
}

EXPORT("wrong_nonce", SYSALERT_PLUGIN_ABI, call)
