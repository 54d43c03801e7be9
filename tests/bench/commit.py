"""commit.py FOLDER NAME: what commit.c does, with Python's standard library."""

import fcntl
import sqlite3
import sys

folder, name = sys.argv[1:]
with open(f"{folder}/lock", "a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    db = sqlite3.connect(f"{folder}/python.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN IMMEDIATE")
    db.execute("CREATE TABLE IF NOT EXISTS events(unit TEXT, result TEXT, code TEXT, status TEXT, invocation TEXT, at INTEGER)")
    db.execute("INSERT INTO events VALUES (?, 'exit-code', 'exited', '3', hex(randomblob(16)), unixepoch())", (name,))
    db.execute("COMMIT")
