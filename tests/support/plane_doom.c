/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plane_doom - LD_PRELOAD for clmbot-controlplane: lets the Nth thing that can fail do so
 *
 * Things are a call of SQLite (prepare, step, exec), an allocation, and a call of the file system or
 * of sockets; each only if the program itself or cJSON makes it. Two ways to say which:
 *
 * - a request with the header "Clm-Doom: WORDS N" fails the Nth thing of its handler, on its thread;
 *   its answer has "Clm-Doomed: yes" then, "Clm-Doomed: unmoved" if the handler took no notice and
 *   all that is left to fail was the COMMIT, which fails, too;
 * - a process with CLM_DOOM="WORDS N" fails the Nth thing of its main thread, and says "doomed" on
 *   its standard error when main() returns.
 *
 * WORDS are letters: d database, m memory, s system calls; b besides: of a request, from its body on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <microhttpd.h>
#include <sqlite3.h>

#define WORDS_SIZE 8
#define RANGES     2 /* the program, and cJSON */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *block, size_t size);

static __thread struct {
    char words[WORDS_SIZE];
    unsigned countdown; /* 0: nothing is to fail */
    bool fell;
    bool committed;
    bool armed;
} doom;

static struct {
    uintptr_t from;
    uintptr_t to;
} ranges[RANGES];

static int (*real_main)(int, char **, char **);

/* ---- which, and when ---- */

static int find_range(struct dl_phdr_info *info, size_t size, void *arg)
{
    size_t *nth = arg;
    size_t slot = *nth == 0 ? 0 : 1;

    (void)size;
    (*nth)++;
    if (slot == 1 && strstr(info->dlpi_name, "libcjson.") == NULL) {
        return 0;
    }
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];

        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0) {
            ranges[slot].from = info->dlpi_addr + part->p_vaddr;
            ranges[slot].to = ranges[slot].from + part->p_memsz;
        }
    }
    return 0;
}

static void arm(const char *how)
{
    unsigned n = 0;

    memset(&doom, 0, sizeof(doom));
    doom.armed = true;
    if (how != NULL && sscanf(how, "%7s %u", doom.words, &n) == 2) {
        doom.countdown = n;
    }
}

/* True if this one, asked for from there, is to fail. */
static bool is_doomed(char word, const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    bool is_ours = false;

    if (doom.countdown == 0 || strchr(doom.words, word) == NULL) {
        return false;
    }
    for (size_t i = 0; i < RANGES; i++) {
        is_ours |= at >= ranges[i].from && at < ranges[i].to;
    }
    if (!is_ours || --doom.countdown > 0) {
        return false;
    }
    doom.fell = true;
    return true;
}

#define CALLER       __builtin_extract_return_addr(__builtin_return_address(0))
#define DOOMED(word) is_doomed(word, CALLER)

/* The function of that name behind this one. */
#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)find_real(#name)

static void (*find_real(const char *name))(void)
{
    void *found = dlsym(RTLD_NEXT, name);
    void (*real)(void) = NULL;

    memcpy(&real, &found, sizeof(real));
    return real;
}

/* ---- memory ---- */

void *malloc(size_t size)
{
    return DOOMED('m') ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return DOOMED('m') ? NULL : __libc_calloc(n, size);
}

void *realloc(void *block, size_t size)
{
    return DOOMED('m') ? NULL : __libc_realloc(block, size);
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = DOOMED('m') ? NULL : __libc_malloc(size);

    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

/* ---- SQLite ---- */

int sqlite3_prepare_v2(sqlite3 *db, const char *sql, int len, sqlite3_stmt **out, const char **rest)
{
    REAL(sqlite3_prepare_v2);
    return DOOMED('d') ? SQLITE_IOERR : real(db, sql, len, out, rest);
}

int sqlite3_step(sqlite3_stmt *stmt)
{
    REAL(sqlite3_step);
    return DOOMED('d') ? SQLITE_IOERR : real(stmt);
}

int sqlite3_exec(sqlite3 *db, const char *sql, int (*visit)(void *, int, char **, char **),
                 void *arg, char **message)
{
    REAL(sqlite3_exec);
    if (strcmp(sql, "ROLLBACK") != 0 && DOOMED('d')) { /* which SQLite does whatever fails */
        return SQLITE_IOERR;
    }
    if (doom.fell && strcmp(sql, "COMMIT") == 0) { /* so that the request can be made again */
        doom.committed = true;
        return SQLITE_IOERR;
    }
    return real(db, sql, visit, arg, message);
}

/* ---- the system ---- */

#define SYSTEM(type, name, error, params, args)                                                    \
    type name params                                                                               \
    {                                                                                              \
        REAL(name);                                                                                \
        if (DOOMED('s')) {                                                                         \
            errno = (error);                                                                       \
            return -1;                                                                             \
        }                                                                                          \
        return real args;                                                                          \
    }

SYSTEM(ssize_t, read, EIO, (int fd, void *data, size_t len), (fd, data, len))
SYSTEM(ssize_t, write, ENOSPC, (int fd, const void *data, size_t len), (fd, data, len))
SYSTEM(int, fsync, EIO, (int fd), (fd))
SYSTEM(int, fchmod, EPERM, (int fd, mode_t mode), (fd, mode))
SYSTEM(int, mkdir, EROFS, (const char *path, mode_t mode), (path, mode))
SYSTEM(int, rename, EIO, (const char *from, const char *to), (from, to))
SYSTEM(int, socket, EMFILE, (int domain, int type, int protocol), (domain, type, protocol))
SYSTEM(int, listen, EADDRINUSE, (int fd, int backlog), (fd, backlog))

int open64(const char *path, int flags, ...)
{
    REAL(open64);
    va_list args;

    va_start(args, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (DOOMED('s')) {
        errno = EMFILE;
        return -1;
    }
    return real(path, flags, mode);
}

/* ---- a request ---- */

/* The first things that are asked for before its body is read, and by its dispatcher. */
const char *MHD_lookup_connection_value(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                        const char *key)
{
    REAL(MHD_lookup_connection_value);
    const char *value = real(connection, kind, key);

    bool is_dispatched = strcmp(key, "Content-Type") == 0;

    if (is_dispatched || strcmp(key, "Content-Length") == 0) {
        const char *how = real(connection, MHD_HEADER_KIND, "Clm-Doom");
        bool is_early = how != NULL && strchr(how, 'b') != NULL;

        if (is_early != is_dispatched) {
            arm(how);
        }
    }
    return value;
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *connection, unsigned int status,
                                   struct MHD_Response *response)
{
    REAL(MHD_queue_response);
    doom.countdown = 0;
    if (doom.armed && doom.fell) {
        (void)MHD_add_response_header(response, "Clm-Doomed", doom.committed ? "unmoved" : "yes");
    }
    doom.armed = false;
    return real(connection, status, response);
}

/* ---- a process ---- */

static int doomed_main(int argc, char **argv, char **env)
{
    arm(getenv("CLM_DOOM"));
    int status = real_main(argc, argv, env);

    doom.countdown = 0;
    if (doom.fell) {
        (void)fputs("doomed\n", stderr);
    }
    return status;
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
    REAL(__libc_start_main);
    size_t nth = 0;

    (void)dl_iterate_phdr(find_range, &nth);
    real_main = main;
    return real(doomed_main, argc, argv, init, fini, rtld_fini, stack_end);
}
