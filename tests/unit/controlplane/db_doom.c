/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controlplane/db_doom.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <sqlite3.h>

static atomic_uint countdown; /* 0: nothing is to fail */
static atomic_uint calls;
static atomic_bool fell;

void db_doom_on(unsigned n)
{
    atomic_store(&fell, false);
    atomic_store(&calls, 0);
    atomic_store(&countdown, n);
}

bool db_doom_off(void)
{
    atomic_store(&countdown, 0);
    return atomic_load(&fell);
}

unsigned db_doom_calls(void)
{
    return atomic_load(&calls);
}

/* Only one thread works at a time in these tests; the other waits for it. */
static bool is_doomed(void)
{
    unsigned left = atomic_load(&countdown);

    (void)atomic_fetch_add(&calls, 1);
    if (left == 0) {
        return false;
    }
    atomic_store(&countdown, left - 1);
    if (left > 1) {
        return false;
    }
    atomic_store(&fell, true);
    return true;
}

#define WRAP(name, failed, params, args)                                                           \
    int __real_##name params;                                                                      \
    int __wrap_##name params;                                                                      \
    int __wrap_##name params                                                                       \
    {                                                                                              \
        return is_doomed() ? (failed) : __real_##name args;                                        \
    }

WRAP(sqlite3_open_v2, SQLITE_CANTOPEN,
     (const char *path, sqlite3 **out, int flags, const char *vfs), (path, out, flags, vfs))
WRAP(sqlite3_prepare_v2, SQLITE_NOMEM,
     (sqlite3 * db, const char *sql, int len, sqlite3_stmt **out, const char **rest),
     (db, sql, len, out, rest))
WRAP(sqlite3_step, SQLITE_IOERR, (sqlite3_stmt * stmt), (stmt))
WRAP(pthread_create, EAGAIN,
     (pthread_t * out, const pthread_attr_t *attr, void *(*run)(void *), void *arg),
     (out, attr, run, arg))

typedef int (*visit_fn)(void *, int, char **, char **);

int __real_sqlite3_exec(sqlite3 *db, const char *sql, visit_fn visit, void *arg, char **message);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, visit_fn visit, void *arg, char **message);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, visit_fn visit, void *arg, char **message)
{
    if (strcmp(sql, "ROLLBACK") != 0 && is_doomed()) { /* which SQLite does whatever fails */
        return SQLITE_FULL;
    }
    return __real_sqlite3_exec(db, sql, visit, arg, message);
}
