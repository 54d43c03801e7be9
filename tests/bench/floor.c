/*
 * floor failure FOLDER UNIT: the least that a whole handler of sysalert is asked for: lock, the event in a durable commit, one look
 *   at what the journal has about its run (MONITOR_INVOCATION_ID), one question to the service manager, a second durable commit.
 * floor sensors FOLDER: the least that a look at all sensors is asked for: their files, the journal for two writers, the
 *   service manager's three counts, one durable commit.
 *
 * No policy, no settings, no text: what sysalert takes beyond it is its own. Linked with the SQLite that sysalert brings, and
 * with libsystemd. What cannot be read here ends it, so that less is never taken for fast.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "sqlite3.h"

#define LINES 50

static void need(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "floor: %s\n", what);
        exit(1);
    }
}

/* -- the record */

static int lock(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/lock", folder);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    need(file >= 0 && !flock(file, LOCK_EX), path);
    return file;
}

static sqlite3 *database(const char *folder)
{
    char path[4096];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/floor.db", folder);
    need(sqlite3_open(path, &db) == SQLITE_OK, path);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
    need(sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", NULL, NULL, NULL) == SQLITE_OK, "pragma");
    return db;
}

static void commit(sqlite3 *db, const char *who, double what)
{
    sqlite3_stmt *row;
    need(sqlite3_exec(db, "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS events(who TEXT, what REAL, at INTEGER)", NULL, NULL, NULL) == SQLITE_OK &&
         sqlite3_prepare_v2(db, "INSERT INTO events VALUES (?1, ?2, unixepoch())", -1, &row, NULL) == SQLITE_OK &&
         sqlite3_bind_text(row, 1, who, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_bind_double(row, 2, what) == SQLITE_OK &&
         sqlite3_step(row) == SQLITE_DONE && sqlite3_finalize(row) == SQLITE_OK &&
         sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, sqlite3_errmsg(db));
}

/* -- the journal and the service manager */

/* Its active file alone, as sysalert does. */
static sd_journal *journal(void)
{
    char id[64] = "", path[128];
    const char *paths[] = {path, NULL};
    sd_journal *found;
    FILE *file = fopen("/etc/machine-id", "re");
    need(file && fscanf(file, "%63s", id) == 1, "/etc/machine-id");
    fclose(file);
    snprintf(path, sizeof path, "/var/log/journal/%s/system.journal", id);
    need(sd_journal_open_files(&found, paths, 0) >= 0, path);
    return found;
}

static double lines_of(sd_journal *from)
{
    const void *text;
    size_t length;
    double found = 0;
    for (int line = 0; line < LINES && sd_journal_previous(from) > 0; line++)
        if (sd_journal_get_data(from, "MESSAGE", &text, &length) >= 0)
            found += length;
    return found;
}

static sd_bus *bus(void)
{
    sd_bus *made;
    need(sd_bus_open_system(&made) >= 0, "the bus does not answer");
    return made;
}

#define MANAGER "org.freedesktop.systemd1"

/* All that the service manager tells of a unit, in one message. */
static void ask(sd_bus *bus, const char *unit)
{
    sd_bus_message *answer;
    char *path;
    need(sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path) >= 0 &&
         sd_bus_call_method(bus, MANAGER, path, "org.freedesktop.DBus.Properties", "GetAll", NULL, &answer, "s", MANAGER ".Unit") >= 0 &&
         sd_bus_message_skip(answer, "a{sv}") >= 0, "the service manager does not answer");
    sd_bus_message_unref(answer);
    free(path);
}

static double count(sd_bus *bus, const char *what)
{
    uint32_t found;
    need(sd_bus_get_property_trivial(bus, MANAGER, "/org/freedesktop/systemd1", MANAGER ".Manager", what, NULL, 'u', &found) >= 0, what);
    return found;
}

static void failure(const char *folder, const char *unit, const char *invocation)
{
    char run[128], of[300];
    need(!!invocation, "MONITOR_INVOCATION_ID");
    int held = lock(folder);
    sqlite3 *db = database(folder);
    commit(db, unit, 0);
    close(held);
    sd_journal *lines = journal();
    snprintf(run, sizeof run, "INVOCATION_ID=%s", invocation);
    snprintf(of, sizeof of, "UNIT=%s", unit);
    sd_journal_add_match(lines, run, 0);
    sd_journal_add_match(lines, of, 0);
    need(sd_journal_seek_tail(lines) >= 0, "the end of the journal");
    double found = lines_of(lines);
    sd_journal_close(lines);
    need(found > 0, "the journal has nothing about this run");
    sd_bus *manager = bus();
    ask(manager, unit);
    sd_bus_flush_close_unref(manager);
    held = lock(folder);
    commit(db, unit, found);
    close(held);
    sqlite3_close(db);
}

/* -- the sensors */

static char text[1 << 20];

static void slurp(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : read(file, text, sizeof text - 1), more;
    while (got > 0 && (more = read(file, text + got, sizeof text - 1 - got)) > 0)
        got += more;
    need(got >= 0, path);
    text[got] = 0;
    close(file);
}

static double spaces(void)
{
    double free = 0;
    slurp("/proc/self/mountinfo");
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        char place[4096];
        struct statvfs about;
        *end = 0;
        if (sscanf(line, "%*s %*s %*s %*s %4095s", place) == 1 && !statvfs(place, &about))
            free += about.f_bavail;
    }
    return free;
}

/* How many processes wait for a disk. */
static double blocked(void)
{
    double waiting = 0;
    DIR *all = opendir("/proc");
    need(!!all, "/proc");
    for (struct dirent *one; (one = readdir(all));) {
        char path[300], line[512], *name_end;
        snprintf(path, sizeof path, "/proc/%s/stat", one->d_name);
        int file = isdigit(one->d_name[0]) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t got = file < 0 ? -1 : read(file, line, sizeof line - 1);
        line[got > 0 ? got : 0] = 0;
        waiting += (name_end = strrchr(line, ')')) && name_end[1] && name_end[2] == 'D';
        if (file >= 0)
            close(file);
    }
    closedir(all);
    return waiting;
}

static double said(const char *const *matches)
{
    sd_journal *from = journal();
    for (; *matches; matches++)
        sd_journal_add_match(from, *matches, 0);
    need(sd_journal_seek_tail(from) >= 0, "the end of the journal");
    double found = lines_of(from);
    sd_journal_close(from);
    return found;
}

static void sensors(const char *folder)
{
    const char *files[] = {"/proc/stat", "/proc/loadavg", "/proc/meminfo", "/proc/vmstat", "/proc/pressure/cpu", "/proc/pressure/memory",
                           "/proc/pressure/io", NULL};
    const char *kernel[] = {"_TRANSPORT=kernel", "SYSLOG_IDENTIFIER=kernel", NULL};
    const char *ssh[] = {"_UID=0", "SYSLOG_IDENTIFIER=sshd", "SYSLOG_IDENTIFIER=sshd-session", NULL};
    double sum = 0;
    for (const char **file = files; *file; file++)
        slurp(*file), sum += strlen(text);
    sum += spaces() + blocked() + said(kernel) + said(ssh);
    sd_bus *manager = bus();
    sum += count(manager, "NFailedUnits") + count(manager, "NNames") + count(manager, "NJobs");
    sd_bus_flush_close_unref(manager);
    int held = lock(folder);
    sqlite3 *db = database(folder);
    commit(db, "sensors", sum);
    close(held);
    sqlite3_close(db);
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "failure"))
        failure(argv[2], argv[3], getenv("MONITOR_INVOCATION_ID"));
    else if (argc == 3 && !strcmp(argv[1], "sensors"))
        sensors(argv[2]);
    else
        return 64;
    return 0;
}
