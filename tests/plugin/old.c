/* Was built for another interface (abi 2) and would answer correctly: it is not called at all. */
#include "plugin.h"

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    char nonce[256];
    return find_nonce(request, length, nonce, sizeof nonce) != 0 ? 1 : reply_sent(nonce, reply, reply_length);
}

EXPORT("old", 2u, call)
