/*
 * commit FOLDER NAME: the least that keeps a failure, as sysalert keeps it: takes the lock, opens the database, commits one
 * row durably and gives the lock back. Linked with the SQLite that sysalert brings, which leaves the sync of a new log's place in
 * the folder to the program.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sqlite3.h"

static int failed(sqlite3 *db, const char *what)
{
    fprintf(stderr, "commit: %s: %s\n", what, db ? sqlite3_errmsg(db) : "no memory");
    return 1;
}

/* The log in this folder; 0: it is missing, or nobody has written to it yet. */
static long long log_size(const char *folder)
{
    char path[4096];
    struct stat about;
    snprintf(path, sizeof path, "%s/commit.db-wal", folder);
    return stat(path, &about) ? 0 : (long long)about.st_size;
}

static int sync_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int synced = folder < 0 ? -1 : fsync(folder);
    if (folder >= 0)
        close(folder);
    return synced;
}

int main(int argc, char **argv)
{
    char path[4096];
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    if (argc != 3)
        return 64;
    snprintf(path, sizeof path, "%s/lock", argv[1]);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (lock < 0 || flock(lock, LOCK_EX)) {
        perror(path);
        return 1;
    }
    int is_new = log_size(argv[1]) == 0;
    snprintf(path, sizeof path, "%s/commit.db", argv[1]);
    if (sqlite3_open(path, &db) != SQLITE_OK)
        return failed(db, path);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
    const char *begin = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE;"
                        "CREATE TABLE IF NOT EXISTS events(unit TEXT, result TEXT, code TEXT, status TEXT, invocation TEXT, at INTEGER)";
    if (sqlite3_exec(db, begin, NULL, NULL, NULL) != SQLITE_OK)
        return failed(db, "begin");
    if (is_new && sync_folder(argv[1])) {
        perror(argv[1]);
        return 1;
    }
    if (sqlite3_prepare_v2(db, "INSERT INTO events VALUES (?1, 'exit-code', 'exited', '3', hex(randomblob(16)), unixepoch())", -1, &row,
                           NULL) != SQLITE_OK ||
        sqlite3_bind_text(row, 1, argv[2], -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(row) != SQLITE_DONE)
        return failed(db, "insert");
    sqlite3_finalize(row);
    if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        return failed(db, "commit");
    sqlite3_close(db);
    close(lock);
    return 0;
}
