/*
 * stamps PATH...: says what is done with these files and in these folders, until it is ended: "ready", and then for each
 *
 *   at_us what path
 *
 * at_us is by the clock of the service manager's stamps (CLOCK_MONOTONIC); what is "open" (a start of a program is one, too), "write",
 * "close", "create", "delete" or "moved". Others make the stamps: what is measured runs as it is installed.
 */
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

static const struct {
    unsigned bit;
    const char *word;
} WORDS[] = {{IN_OPEN, "open"}, {IN_MODIFY, "write"}, {IN_CLOSE, "close"}, {IN_CREATE, "create"}, {IN_DELETE, "delete"}, {IN_MOVED_TO, "moved"}};
enum { ALL = sizeof WORDS / sizeof *WORDS };

int main(int argc, char **argv)
{
    char events[1 << 16] __attribute__((aligned(8)));
    int watch = inotify_init1(IN_CLOEXEC);
    unsigned mask = 0;
    for (int word = 0; word < ALL; word++)
        mask |= WORDS[word].bit;
    for (int path = 1; path < argc; path++)
        if (inotify_add_watch(watch, argv[path], mask) != path) {
            perror(argv[path]);
            return 1;
        }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    for (ssize_t length; (length = read(watch, events, sizeof events)) > 0;) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        for (char *place = events; place < events + length; place += sizeof(struct inotify_event) + ((struct inotify_event *)place)->len) {
            struct inotify_event *event = (struct inotify_event *)place;
            for (int word = 0; word < ALL; word++)
                if (event->mask & WORDS[word].bit)
                    printf("%ld %s %s%s%s\n", now.tv_sec * 1000000L + now.tv_nsec / 1000, WORDS[word].word, argv[event->wd], event->len ? "/" : "",
                           event->len ? event->name : "");
        }
    }
    perror("inotify");
    return 1;
}
