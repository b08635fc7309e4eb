/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives every shape to its parser, each in a process of its own, and measures processor time and how
 * much the memory grew. A line each on standard output:
 *
 *   parser TAB shape TAB bytes TAB microseconds TAB KiB TAB code TAB budget ms TAB budget KiB TAB verdict
 *
 * verdict: ok, slow, large, accepted, refused, died. What is over its budget is tried three times, and
 * the best counts. limits [PARSER [SHAPE]] tries only those.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/faults/limits/limits.h"

#define SHAPE_MAX ((size_t)96 * 1024 * 1024)
#define TRIES     3

struct measured {
    long micros;
    long kib;
    int code; /* of the parser; -1: the process died */
    size_t bytes;
};

/* A number of KiB of /proc/self/status; 0 if it is not there. */
static long status_kib(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    long kib = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kib = strtol(line + strlen(name), NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kib;
}

/* Lets the peak start again at what is in memory now. */
static void reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        if (write(fd, "5", 1) != 1) {
            (void)fprintf(stderr, "limits: the peak of memory cannot be reset\n");
        }
        (void)close(fd);
    }
}

static long now_micros(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void child(const struct limits_row *row, int fd)
{
    const struct rlimit seconds = {30, 30};
    struct measured m = {.code = -1};
    struct clm_buf input = CLM_BUF_INIT(SHAPE_MAX);
    struct clm_err err = {0};
    uint8_t *copy;
    long before_kib;
    long before;

    (void)setrlimit(RLIMIT_CPU, &seconds);
    row->make(&input, row->size);
    copy = malloc(input.len + 1); /* without what the buffer has in reserve */
    if (copy == NULL) {
        _exit(1);
    }
    memcpy(copy, clm_buf_str(&input), input.len + 1);
    m.bytes = input.len;
    clm_buf_done(&input);
    (void)malloc_trim(0);
    reset_peak();
    before_kib = status_kib("VmRSS:");
    before = now_micros();
    m.code = (int)row->parse(copy, m.bytes, &err);
    m.micros = now_micros() - before;
    m.kib = status_kib("VmHWM:") - before_kib;
    if (getenv("LIMITS_SAY") != NULL) {
        (void)fprintf(stderr, "%s, %s: %s\n", row->parser, row->shape, err.msg);
    }
    _exit(write(fd, &m, sizeof(m)) == (ssize_t)sizeof(m) ? 0 : 1);
}

static struct measured measure(const struct limits_row *row)
{
    struct measured m = {.code = -1};
    int ends[2];
    int status = 0;
    pid_t pid;

    if (pipe(ends) != 0) {
        perror("pipe");
        exit(2);
    }
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        child(row, ends[1]);
    }
    (void)close(ends[1]);
    if (read(ends[0], &m, sizeof(m)) != (ssize_t)sizeof(m)) {
        m.code = -1;
    }
    (void)close(ends[0]);
    (void)waitpid(pid, &status, 0);
    return m;
}

static const char *judge(const struct limits_row *row, const struct measured *m, long cpu_ms,
                         long mem_kib)
{
    if (m->code < 0) {
        return "died";
    }
    if (row->verdict == LIMITS_REFUSED && m->code == CLM_OK) {
        return "accepted";
    }
    if (row->verdict == LIMITS_READ && m->code != CLM_OK) {
        return "refused";
    }
    if (m->micros > cpu_ms * 1000) {
        return "slow";
    }
    return m->kib > mem_kib ? "large" : "ok";
}

static void try_row(const struct limits_row *row)
{
    long cpu_ms = LIMIT_SLOWER * (row->cpu_ms > 0 ? (long)row->cpu_ms : LIMIT_CPU_MS);
    long mem_kib = row->mem_kib > 0 ? (long)row->mem_kib : LIMIT_MEM_KIB;
    struct measured best = measure(row);
    const char *verdict = judge(row, &best, cpu_ms, mem_kib);

    for (int i = 1; i < TRIES && strcmp(verdict, "ok") != 0; i++) {
        struct measured m = measure(row);

        if (m.code >= 0 && m.micros < best.micros) {
            best = m;
        }
        verdict = judge(row, &best, cpu_ms, mem_kib);
    }
    (void)printf("%s\t%s\t%zu\t%ld\t%ld\t%s\t%ld\t%ld\t%s\n", row->parser, row->shape, best.bytes,
                 best.micros, best.kib,
                 best.code < 0 ? "-" : clm_code_name((enum clm_code)best.code), cpu_ms, mem_kib,
                 verdict);
}

int main(int argc, char **argv)
{
    static const struct limits_row *const tables[] = {limits_text_rows, limits_conf_rows,
                                                      limits_der_rows, limits_store_rows,
                                                      limits_message_rows};

    for (size_t i = 0; i < CLM_ARRAY_LEN(tables); i++) {
        for (const struct limits_row *row = tables[i]; row->parser != NULL; row++) {
            if ((argc < 2 || strcmp(argv[1], row->parser) == 0) &&
                (argc < 3 || strcmp(argv[2], row->shape) == 0)) {
                try_row(row);
            }
        }
    }
    return fflush(stdout) == 0 ? 0 : 2;
}
