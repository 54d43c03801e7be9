/*
 * spawn [--closes FILE AFTER] COMMAND [ARGUMENT...]: runs a command once, its output thrown away, and prints one line:
 *
 *   wall_us user_us system_us peak_kib status closed_us begun_us
 *
 * closed_us is when FILE was closed for the first time after AFTER was written to ("-": at all), after the begin; the run goes on
 * until then. A handler closes its lock for the first time after a write to the database's log when its first commit is safe.
 * begun_us is the begin by the clock of the service manager's stamps (CLOCK_MONOTONIC).
 * Small on purpose: the kernel counts what a process was before it became another program into that one's peak memory, and
 * an interpreter's would hide ours.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static long of(struct timeval t)
{
    return t.tv_sec * 1000000L + t.tv_usec;
}

static void need(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "spawn: %s: %s\n", what, strerror(errno));
        exit(111);
    }
}

/* When the one was closed, once the other was written to. */
static long wait_for_close(int watch, int closes, int after)
{
    char events[4096] __attribute__((aligned(8)));
    for (;;) {
        struct pollfd one = {watch, POLLIN, 0};
        int found = poll(&one, 1, 30000);
        need(found == 1, found ? "poll" : "the file was not closed");
        long at = now();
        ssize_t length = read(watch, events, sizeof events);
        need(length > 0, "inotify");
        for (char *place = events; place < events + length; place += sizeof(struct inotify_event) + ((struct inotify_event *)place)->len) {
            struct inotify_event *event = (struct inotify_event *)place;
            if (event->wd == after)
                after = -1;
            if (event->wd == closes && after < 0)
                return at;
        }
    }
}

int main(int argc, char **argv)
{
    int watch = -1, first = 1, closes = -1, after = -1;
    if (argc > 4 && !strcmp(argv[1], "--closes")) {
        watch = inotify_init1(IN_CLOEXEC);
        need(watch >= 0 && (closes = inotify_add_watch(watch, argv[2], IN_CLOSE)) >= 0, argv[2]);
        need(!strcmp(argv[3], "-") || (after = inotify_add_watch(watch, argv[3], IN_MODIFY)) >= 0, argv[3]);
        first = 4;
    }
    need(first < argc, "no command");
    long begun = now(), closed = -1;
    pid_t child = fork();
    need(child >= 0, "fork");
    if (!child) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        execvp(argv[first], argv + first);
        _exit(127);
    }
    if (watch >= 0)
        closed = wait_for_close(watch, closes, after) - begun;
    int status;
    struct rusage used;
    need(wait4(child, &status, 0, &used) == child, "wait4");
    long ended = now();
    printf("%ld %ld %ld %ld %d %ld %ld\n", ended - begun, of(used.ru_utime), of(used.ru_stime), used.ru_maxrss,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), closed, begun);
    return 0;
}
