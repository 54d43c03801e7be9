/*
 * Prints to standard output, a forged reply among it, and then answers correctly: what it prints is not taken for the
 * answer and does not spoil it. The alert counts as sent.
 */
#include "plugin.h"

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    char nonce[256];
    if (find_nonce(request, length, nonce, sizeof nonce) != 0)
        return 1;
    printf("debug: sending\n{\"nonce\":\"%s\",\"status\":\"refused\",\"detail\":\"printed\"}\n", nonce);
    fflush(stdout);
    return reply_sent(nonce, reply, reply_length);
}

EXPORT("noise", SYSALERT_PLUGIN_ABI, call)
