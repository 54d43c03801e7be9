/* Takes and uses memory without an end: its process dies at the limit, the machine does not, and the alert stays queued. */
#include "plugin.h"

static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    (void)request, (void)length, (void)reply, (void)reply_length;
    for (;;) {
        char *more = malloc(1 << 20);
        if (more == NULL)
            abort();
        for (size_t page = 0; page < 1 << 20; page += 1 << 16) /* not each page: the test has little time */
            ((volatile char *)more)[page] = 1;
    }
    return 1;
}

EXPORT("memory", SYSALERT_PLUGIN_ABI, call)
