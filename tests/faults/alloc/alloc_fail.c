/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc_fail - LD_PRELOAD: lets the Nth allocation of a program fail, over all processes it becomes
 *
 * All processes of one run share a file (CLM_ALLOC_CONTROL, struct control; control.py knows the same
 * layout): one counter, the number that is to fail, and what came of it. Only programs of the name
 * CLM_ALLOC_PROGRAM take part, from main() on; what they execute under the same name takes part even
 * if it is given another environment. What a process still holds when main() returns is counted by
 * the place that asked for it, so that a block that only a failed run keeps is seen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SITES_MAX  4096   /* places that ask for memory, of one process */
#define BLOCKS_MAX 262144 /* blocks alive at once; a power of two */
#define LEFT_MAX   2048   /* places in the report */
#define STACK_MAX  40
#define TRACE_MAX  400000 /* allocations with a stack */
#define NAME_SIZE  56

struct left {
    char where[NAME_SIZE]; /* "libcjson.so.1+2a4c" */
    uint64_t blocks;
};

struct control {
    uint64_t count;     /* allocations so far */
    uint64_t fail_at;   /* the first that fails; 0: none */
    uint64_t is_sticky; /* all after it fail as well */
    uint64_t is_traced; /* stack of every allocation into trace[] */
    uint64_t failed;    /* how many failed */
    uint64_t crash;     /* signal that ended a process, 0: none */
    uint64_t n_left;
    uint64_t n_stack;                 /* of the failed allocation */
    uint64_t n_crash;                 /* of the crash */
    char stack[STACK_MAX][NAME_SIZE]; /* innermost first */
    char crash_stack[STACK_MAX][NAME_SIZE];
    struct left left[LEFT_MAX];
    uint64_t trace[TRACE_MAX]; /* hash of the stack of allocation i + 1 */
};

struct block {
    const void *at; /* NULL: free; TOMB: was used */
    uint32_t site;
};

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *block);

static struct control *control; /* NULL: this process takes no part */
static int (*real_main)(int, char **, char **);
static bool is_active;
static __thread int inside; /* in this library: allocations pass */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks;
static const void *sites[SITES_MAX];
static uint64_t alive[SITES_MAX];
static size_t n_sites;
static const char tomb;

/* ---- who holds what ---- */

static size_t slot_of(const void *at)
{
    return ((uintptr_t)at >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 46;
}

static uint32_t site_of(const void *from)
{
    for (size_t i = 0; i < n_sites; i++) {
        if (sites[i] == from) {
            return (uint32_t)i;
        }
    }
    if (n_sites == SITES_MAX) {
        return 0;
    }
    sites[n_sites] = from;
    return (uint32_t)n_sites++;
}

static void hold(const void *at, const void *from)
{
    (void)pthread_mutex_lock(&lock);
    for (size_t i = slot_of(at), n = 0; n < BLOCKS_MAX; i = (i + 1) % BLOCKS_MAX, n++) {
        if (blocks[i].at == NULL || blocks[i].at == &tomb) {
            blocks[i] = (struct block){.at = at, .site = site_of(from)};
            alive[blocks[i].site]++;
            break;
        }
    }
    (void)pthread_mutex_unlock(&lock);
}

static void let_go(const void *at)
{
    (void)pthread_mutex_lock(&lock);
    for (size_t i = slot_of(at), n = 0; n < BLOCKS_MAX && blocks[i].at != NULL;
         i = (i + 1) % BLOCKS_MAX, n++) {
        if (blocks[i].at == at) {
            blocks[i].at = &tomb;
            alive[blocks[i].site]--;
            break;
        }
    }
    (void)pthread_mutex_unlock(&lock);
}

/* ---- where ---- */

/* "module+offset", which addr2line understands. */
static void name_place(const void *at, char dst[NAME_SIZE])
{
    Dl_info info;
    const char *slash;

    if (dladdr(at, &info) == 0 || info.dli_fname == NULL) {
        (void)snprintf(dst, NAME_SIZE, "?+%lx", (unsigned long)(uintptr_t)at);
        return;
    }
    slash = strrchr(info.dli_fname, '/');
    (void)snprintf(dst, NAME_SIZE, "%.36s+%lx", slash == NULL ? info.dli_fname : slash + 1,
                   (unsigned long)((uintptr_t)at - (uintptr_t)info.dli_fbase));
}

static uint64_t name_stack(char names[STACK_MAX][NAME_SIZE])
{
    void *frames[STACK_MAX + 2];
    int n = backtrace(frames, STACK_MAX + 2);

    for (int i = 2; i < n; i++) {
        name_place(frames[i], names[i - 2]);
    }
    return n > 2 ? (uint64_t)n - 2 : 0;
}

static uint64_t hash_stack(void)
{
    void *frames[STACK_MAX];
    int n = backtrace(frames, STACK_MAX);
    uint64_t hash = UINT64_C(14695981039346656037);

    for (int i = 2; i < n; i++) {
        hash = (hash ^ (uintptr_t)frames[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

/* ---- what fails ---- */

/* A coverage build writes what it counted, see tests/coverage/flush.c: no allocation of the program. */
void clm_alloc_rest(bool is_resting);
void clm_alloc_rest(bool is_resting)
{
    inside += is_resting ? 1 : -1;
}

/* Counts one allocation; true if it is to fail. */
static bool is_doomed(void)
{
    uint64_t nth;

    if (!is_active || inside > 0) {
        return false;
    }
    nth = __atomic_add_fetch(&control->count, 1, __ATOMIC_RELAXED);
    if (control->is_traced != 0 && nth <= TRACE_MAX) {
        inside++;
        control->trace[nth - 1] = hash_stack();
        inside--;
    }
    if (control->fail_at == 0 || nth < control->fail_at ||
        (nth > control->fail_at && control->is_sticky == 0)) {
        return false;
    }
    if (nth == control->fail_at) {
        inside++;
        control->n_stack = name_stack(control->stack);
        inside--;
    }
    (void)__atomic_add_fetch(&control->failed, 1, __ATOMIC_RELAXED);
    errno = ENOMEM;
    return true;
}

static void *got(void *block, const void *from)
{
    if (block != NULL && is_active && inside == 0) {
        hold(block, from);
    }
    return block;
}

#define CALLER __builtin_extract_return_addr(__builtin_return_address(0))

void *malloc(size_t size)
{
    return is_doomed() ? NULL : got(__libc_malloc(size), CALLER);
}

void *calloc(size_t n, size_t size)
{
    return is_doomed() ? NULL : got(__libc_calloc(n, size), CALLER);
}

void *realloc(void *block, size_t size)
{
    void *fresh;

    if (is_doomed()) {
        return NULL;
    }
    if (block != NULL && control != NULL) {
        let_go(block);
    }
    fresh = __libc_realloc(block, size);
    if (fresh == NULL && size > 0 && block != NULL && is_active) {
        hold(block, CALLER);
    }
    return got(fresh, CALLER);
}

void *reallocarray(void *block, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    void *block = is_doomed() ? NULL : got(__libc_memalign(align, size), CALLER);

    if (block == NULL) {
        return ENOMEM;
    }
    *out = block;
    return 0;
}

void *aligned_alloc(size_t align, size_t size)
{
    return is_doomed() ? NULL : got(__libc_memalign(align, size), CALLER);
}

void *memalign(size_t align, size_t size)
{
    return is_doomed() ? NULL : got(__libc_memalign(align, size), CALLER);
}

void free(void *block)
{
    if (block != NULL && control != NULL) {
        let_go(block);
    }
    __libc_free(block);
}

/* ---- the program ---- */

static void on_crash(int signo)
{
    inside++;
    control->n_crash = name_stack(control->crash_stack);
    control->crash = (uint64_t)signo;
    inside--;
    (void)signal(signo, SIG_DFL);
    (void)raise(signo);
}

static void report(void)
{
    for (size_t i = 0; i < n_sites; i++) {
        uint64_t at;

        if (alive[i] == 0) {
            continue;
        }
        at = __atomic_fetch_add(&control->n_left, 1, __ATOMIC_RELAXED);
        if (at < LEFT_MAX) {
            name_place(sites[i], control->left[at].where);
            control->left[at].blocks = alive[i];
        }
    }
}

static int counted_main(int argc, char **argv, char **env)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    int status;

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        (void)signal(signals[i], on_crash);
    }
    is_active = true;
    status = real_main(argc, argv, env);
    (void)fflush(stdout);
    is_active = false;
    report();
    return status;
}

static bool takes_part(void)
{
    const char *program = getenv("CLM_ALLOC_PROGRAM");
    char exe[4096] = {0};
    const char *slash;

    if (program == NULL || readlink("/proc/self/exe", exe, sizeof(exe) - 1) <= 0) {
        return false;
    }
    slash = strrchr(exe, '/');
    return slash != NULL && strcmp(slash + 1, program) == 0;
}

static void join_run(void)
{
    const char *path = getenv("CLM_ALLOC_CONTROL");
    void *frames[2];
    void *shared;
    int fd = path == NULL || !takes_part() ? -1 : open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        return;
    }
    shared = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    blocks = mmap(NULL, BLOCKS_MAX * sizeof(*blocks), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)close(fd);
    if (shared == MAP_FAILED || blocks == MAP_FAILED) {
        _exit(126);
    }
    (void)backtrace(frames, 2); /* it loads a library on its first call */
    control = shared;
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
    int (*real)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
                void (*)(void), void *);

    *(void **)&real = dlsym(RTLD_NEXT, "__libc_start_main");
    join_run();
    if (control != NULL) {
        real_main = main;
        main = counted_main;
    }
    return real(main, argc, argv, init, fini, rtld_fini, stack_end);
}

/* ---- what it becomes ---- */

static bool is_ours(const char *text)
{
    return strncmp(text, "LD_PRELOAD=", 11) == 0 || strncmp(text, "CLM_ALLOC_", 10) == 0;
}

/* Between fork and exec: no allocation. */
int execve(const char *path, char *const argv[], char *const env[])
{
    static const char *const names[] = {"LD_PRELOAD", "CLM_ALLOC_CONTROL", "CLM_ALLOC_PROGRAM"};
    static char text[3][4200];
    char *with[256];
    size_t n = 0;
    int (*real)(const char *, char *const[], char *const[]);

    *(void **)&real = dlsym(RTLD_NEXT, "execve");
    if (control == NULL || strcmp(path, "/proc/self/exe") != 0) {
        return real(path, argv, env);
    }
    for (size_t i = 0; env[i] != NULL && n < 250; i++) {
        if (!is_ours(env[i])) {
            with[n++] = env[i];
        }
    }
    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);

        if (value != NULL) {
            (void)snprintf(text[i], sizeof(text[i]), "%s=%s", names[i], value);
            with[n++] = text[i];
        }
    }
    with[n] = NULL;
    return real(path, argv, with);
}
