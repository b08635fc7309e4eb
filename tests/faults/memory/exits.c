/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits DIR PROGRAM ARGUMENT... - runs a program, and keeps what lies in the memory of every process
 * named "clmbot" when it ends
 *
 * Follows children. At the exit of each, when its memory is still there, every writable mapping goes
 * to DIR/N-PID-WORD.mem, WORD being its first argument; what it was started with (arguments and
 * environment) to DIR/N-PID-WORD.start. SIGTERM goes on to the program; its status is ours. A process
 * that is killed leaves nothing: there is nobody left to look into it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASKS_MAX 4096
#define CHUNK     ((size_t)1024 * 1024)
#define OPTIONS                                                                                    \
    (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |         \
     PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL)

static volatile sig_atomic_t program; /* for on_term() */

struct state {
    const char *dir;
    pid_t seen[TASKS_MAX]; /* tasks whose first stop is behind them */
    size_t n_seen;
    unsigned n_files;
};

static void on_term(int signo)
{
    (void)kill((pid_t)program, signo);
}

static void die(const char *what)
{
    (void)fprintf(stderr, "exits: %s: %s\n", what, strerror(errno));
    exit(2);
}

static FILE *open_proc(pid_t pid, const char *name, char path[64])
{
    (void)snprintf(path, 64, "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

static bool is_ours(pid_t pid)
{
    static const char name[] = "/clmbot";
    char path[64];
    char exe[4096];
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    n = readlink(path, exe, sizeof(exe) - 1);
    if (n < (ssize_t)sizeof(name)) {
        return false;
    }
    exe[n] = '\0';
    return strcmp(exe + n - (sizeof(name) - 1), name) == 0;
}

static bool is_leader(pid_t tid)
{
    char path[64];
    char line[128];
    FILE *file = open_proc(tid, "status", path);
    int leader = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "Tgid: %d", &leader) == 1) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return leader == (int)tid;
}

/* The first argument, for the name of a file. */
static void word_of(pid_t pid, char word[32])
{
    char path[64];
    char line[4096] = "";
    FILE *file = open_proc(pid, "cmdline", path);
    size_t n = file == NULL ? 0 : fread(line, 1, sizeof(line) - 1, file);
    size_t at = strlen(line) + 1;

    if (file != NULL) {
        (void)fclose(file);
    }
    (void)snprintf(word, 32, "%.20s", at < n ? line + at : "none");
    for (char *c = word; *c != '\0'; c++) {
        *c = (char)(*c == '/' || *c == '-' ? '.' : *c);
    }
}

/* Its name is final when it is whole: somebody may be waiting for it. */
struct kept {
    FILE *file;
    char name[4096];
    char part[4112];
};

static void create(struct state *s, pid_t pid, const char *kind, struct kept *out)
{
    char word[32];

    word_of(pid, word);
    (void)snprintf(out->name, sizeof(out->name), "%s/%04u-%d-%s.%s", s->dir, s->n_files++, (int)pid,
                   word, kind);
    (void)snprintf(out->part, sizeof(out->part), "%s.part", out->name);
    out->file = fopen(out->part, "we");
    if (out->file == NULL) {
        die(out->part);
    }
}

static void finish(struct kept *kept)
{
    if (fclose(kept->file) != 0 || rename(kept->part, kept->name) != 0) {
        die(kept->name);
    }
}

static void copy_range(int mem, uint64_t from, uint64_t to, FILE *out)
{
    static char chunk[CHUNK];

    while (from < to) {
        size_t want = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
        ssize_t n = pread(mem, chunk, want, (off_t)from);

        if (n <= 0) {
            return; /* a guard page */
        }
        if (fwrite(chunk, 1, (size_t)n, out) != (size_t)n) {
            die("write");
        }
        from += (uint64_t)n;
    }
}

static void keep_memory(struct state *s, pid_t pid)
{
    char path[64];
    char line[4096];
    FILE *maps = open_proc(pid, "maps", path);
    struct kept out;
    int mem;

    create(s, pid, "mem", &out);
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    mem = open(path, O_RDONLY | O_CLOEXEC);
    if (maps == NULL || mem < 0) {
        die(path);
    }
    while (fgets(line, sizeof(line), maps) != NULL) {
        uint64_t from;
        uint64_t to;
        char rights[8];

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &from, &to, rights) == 3 &&
            rights[0] == 'r' && rights[1] == 'w') {
            copy_range(mem, from, to, out.file);
        }
    }
    (void)close(mem);
    (void)fclose(maps);
    finish(&out);
}

static void keep_start(struct state *s, pid_t pid)
{
    static const char *const names[] = {"cmdline", "environ"};
    struct kept out;

    create(s, pid, "start", &out);
    for (size_t i = 0; i < 2; i++) {
        char path[64];
        FILE *file = open_proc(pid, names[i], path);
        int c;

        while (file != NULL && (c = fgetc(file)) != EOF) {
            (void)fputc(c, out.file);
        }
        if (file != NULL) {
            (void)fclose(file);
        }
        (void)fputc('\n', out.file);
    }
    finish(&out);
}

/* A new task begins with a stop of its own, which is no signal of anybody's. */
static bool is_first_stop(struct state *s, pid_t pid)
{
    for (size_t i = 0; i < s->n_seen; i++) {
        if (s->seen[i] == pid) {
            return false;
        }
    }
    if (s->n_seen == TASKS_MAX) {
        (void)fprintf(stderr, "exits: more than %d tasks\n", TASKS_MAX);
        exit(2);
    }
    s->seen[s->n_seen++] = pid;
    return true;
}

static void on_stop(struct state *s, pid_t pid, int status)
{
    int event = status >> 16;
    int signo = 0;

    if (event == PTRACE_EVENT_EXIT) {
        if (is_ours(pid) && is_leader(pid)) {
            keep_memory(s, pid);
        }
    } else if (event == PTRACE_EVENT_EXEC) {
        keep_start(s, pid);
    } else if (event == 0) {
        signo = WSTOPSIG(status);
        if (is_first_stop(s, pid) && signo == SIGSTOP) {
            signo = 0;
        }
    }
    (void)ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)signo);
}

static int follow(struct state *s, pid_t first)
{
    int result = 1;

    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);

        if (pid < 0 && errno == EINTR) {
            continue;
        }
        if (pid < 0) {
            return result;
        }
        if (WIFSTOPPED(status)) {
            on_stop(s, pid, status);
        } else if (pid == first) {
            result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        if (WIFSIGNALED(status) && WCOREDUMP(status)) {
            (void)fprintf(stderr, "exits: process %d left a core\n", (int)pid);
            result = 2;
        }
    }
}

int main(int argc, char **argv)
{
    static struct state s;
    pid_t child;
    int status;

    if (argc < 3) {
        (void)fprintf(stderr, "usage: exits DIR PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    s.dir = argv[1];
    child = fork();
    if (child < 0) {
        die("fork");
    }
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0) {
            die("ptrace");
        }
        (void)execv(argv[2], argv + 2);
        die(argv[2]);
    }
    program = child;
    (void)signal(SIGTERM, on_term);
    (void)signal(SIGINT, on_term);
    if (waitpid(child, &status, __WALL) != child || !WIFSTOPPED(status)) {
        die("ptrace");
    }
    (void)is_first_stop(&s, child);
    if (ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)(intptr_t)OPTIONS) != 0 ||
        ptrace(PTRACE_CONT, child, NULL, NULL) != 0) {
        die("ptrace");
    }
    return follow(&s, child);
}
