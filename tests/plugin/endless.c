/* Replies with 100 MB: so long no reply is, it is not read to its end, and the alert stays queued. */
#include "plugin.h"

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    char nonce[256];
    static const char begin[] = "{\"nonce\":\"%s\",\"status\":\"sent\",\"detail\":\"";
    const size_t room = 100000000;
    char *json = malloc(room);
    if (json == NULL || find_nonce(request, length, nonce, sizeof nonce) != 0)
        return 1;
    memset(json, 'x', room);
    json[snprintf(json, room, begin, nonce)] = 'x';
    memcpy(json + room - 2, "\"}", 2);
    *reply = (uint8_t *)json;
    *reply_length = room;
    return 0;
}

EXPORT("endless", SYSALERT_PLUGIN_ABI, call)
