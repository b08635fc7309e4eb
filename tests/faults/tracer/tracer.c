/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults_tracer [-a] [-n NAME] MODE -- COMMAND...: something happens at the Nth system call of a command
 *
 *   count            how many there are
 *   list FILE        a line "N NAME WHAT" for each, to FILE
 *   kill N           SIGKILL to all tasks on entry to call N, which is not made
 *   fail N ERRNO     call N is not made and returns -ERRNO; ERRNO 0: it pretends to have worked;
 *                    close(2) is made all the same, as it is in Linux whatever it returns
 *   fail-from N ERRNO  and so do all later ones of the same name
 *   short N          call N reads or writes half of what it was asked for
 *   signal N SIGNO   the signal goes to the first process on entry to call N, which is made
 *   call N PROGRAM   PROGRAM N NAME is run while call N waits at its entry
 *   each PROGRAM     the same at every call
 *
 * With -n NAME: call N, if it has that name, else the next one that has.
 * One counter over all tasks (strace counts by name and process). Counted is what lies between the
 * marks of tests/faults/subject/subject.h; with -a in front of MODE everything after the first exec.
 * The last line on stderr is "tracer: N calls": all, or up to the one to which something was done.
 * Exit status: the command's, 128 + signal; 137 after a kill; 125 the tracer itself failed; 126 this
 * kernel cannot do it. Needs Linux 5.3 (PTRACE_GET_SYSCALL_INFO).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/subject/mark.h"
#include "tests/faults/tracer/tracer.h"

#define TASKS_MAX 64

static const struct {
    const char *name;
    enum mode mode;
    int n_args;
    bool has_n; /* the first one is N */
} modes[] = {
    {"count", MODE_COUNT, 0, false},        {"list", MODE_LIST, 1, false},
    {"kill", MODE_KILL, 1, true},           {"fail", MODE_FAIL, 2, true},
    {"fail-from", MODE_FAIL_FROM, 2, true}, {"short", MODE_SHORT, 1, true},
    {"signal", MODE_SIGNAL, 2, true},       {"call", MODE_CALL, 2, true},
    {"each", MODE_EACH, 1, false},
};

static void die(int status, const char *what)
{
    (void)fprintf(stderr, "tracer: %s: %s\n", what, strerror(errno));
    exit(status);
}

static void usage(void)
{
    (void)fprintf(stderr,
                  "tracer [-a] [-n NAME] count|list FILE|kill N|fail N ERRNO|fail-from N ERRNO|"
                  "short N|signal N SIGNO|call N PROGRAM|each PROGRAM -- COMMAND...\n");
    exit(125);
}

static struct task *task_of(struct trace *trace, pid_t pid, bool *out_is_new)
{
    *out_is_new = false;
    for (unsigned i = 0; i < trace->n_tasks; i++) {
        if (trace->tasks[i].pid == pid) {
            return &trace->tasks[i];
        }
    }
    if (trace->n_tasks >= TASKS_MAX) {
        errno = E2BIG;
        die(125, "tasks");
    }
    *out_is_new = true;
    trace->tasks[trace->n_tasks] = (struct task){.pid = pid};
    return &trace->tasks[trace->n_tasks++];
}

static void forget(struct trace *trace, pid_t pid)
{
    for (unsigned i = 0; i < trace->n_tasks; i++) {
        if (trace->tasks[i].pid == pid) {
            trace->tasks[i] = trace->tasks[--trace->n_tasks];
            return;
        }
    }
}

static void syscall_stop(struct trace *trace, struct task *task)
{
    struct __ptrace_syscall_info info;
    struct call call;
    void *size = NULL;
    uintptr_t bytes = sizeof(info);

    memcpy(&size, &bytes, sizeof(size));
    if (ptrace(PTRACE_GET_SYSCALL_INFO, task->pid, size, &info) <= 0) {
        if (errno != ESRCH) { /* killed meanwhile: will be reported */
            die(126, "skipped: this kernel has no PTRACE_GET_SYSCALL_INFO (5.3)");
        }
        return;
    }
    if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        act_on_exit(task);
        return;
    }
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) {
        return;
    }
    call.number = info.entry.nr;
    memcpy(call.args, info.entry.args, sizeof(call.args));
    if (call.number == SYS_prctl && call.args[0] == SUBJECT_MARK) {
        trace->is_on = call.args[1] != 0;
    } else if (trace->is_on) {
        act_on_entry(trace, task, &call);
    }
}

/* One report. Returns the signal to go on with. */
static int stopped(struct trace *trace, pid_t pid, int status)
{
    bool is_new = false;
    struct task *task = task_of(trace, pid, &is_new);
    int signo = WSTOPSIG(status);

    if (signo == (SIGTRAP | 0x80)) {
        syscall_stop(trace, task);
        return 0;
    }
    if (status >> 16 != 0 || (is_new && signo == SIGSTOP)) {
        return 0; /* an event, or the first stop of a new task */
    }
    return signo;
}

/* Once nothing will be changed any more, calls need not be looked at: that is half of the time. */
static bool is_idle(const struct trace *trace)
{
    for (unsigned i = 0; i < trace->n_tasks; i++) {
        if (trace->tasks[i].change != UNCHANGED) {
            return false;
        }
    }
    return trace->is_done;
}

static int follow(struct trace *trace)
{
    int main_status = 0;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, __WALL)) > 0) {
        void *signo = NULL;
        uintptr_t number;

        if (!WIFSTOPPED(status)) {
            forget(trace, pid);
            main_status = pid == trace->main_pid ? status : main_status;
            continue;
        }
        number = (uintptr_t)stopped(trace, pid, status);
        memcpy(&signo, &number, sizeof(signo));
        /* ESRCH: killed meanwhile */
        (void)ptrace(is_idle(trace) ? PTRACE_CONT : PTRACE_SYSCALL, pid, NULL, signo);
    }
    return WIFEXITED(main_status) ? WEXITSTATUS(main_status) : 128 + WTERMSIG(main_status);
}

static pid_t start(char **argv)
{
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK |
                         PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            die(126, "skipped: ptrace is not permitted");
        }
        (void)raise(SIGSTOP);
        (void)execvp(argv[0], argv);
        die(127, argv[0]);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        die(125, "start");
    }
    if (!WIFSTOPPED(status)) {
        exit(126);
    }
    if (ptrace(PTRACE_SETOPTIONS, pid, NULL, options) != 0) {
        die(126, "skipped: ptrace");
    }
    return pid;
}

/* Returns the index of the command. */
static int parse(struct trace *trace, int argc, char **argv)
{
    int at = 1;
    size_t i = 0;

    if (at < argc && strcmp(argv[at], "-a") == 0) {
        trace->is_on = true;
        at++;
    }
    if (at + 1 < argc && strcmp(argv[at], "-n") == 0) {
        trace->name = argv[at + 1];
        at += 2;
    }
    while (at < argc && i < sizeof(modes) / sizeof(modes[0]) &&
           strcmp(argv[at], modes[i].name) != 0) {
        i++;
    }
    if (at >= argc || i == sizeof(modes) / sizeof(modes[0]) || at + modes[i].n_args + 2 >= argc ||
        strcmp(argv[at + modes[i].n_args + 1], "--") != 0) {
        usage();
    }
    trace->mode = modes[i].mode;
    trace->n = modes[i].has_n ? strtoul(argv[at + 1], NULL, 10) : 0;
    trace->program = modes[i].n_args > 0 ? argv[at + modes[i].n_args] : NULL;
    trace->value = modes[i].n_args == 2 ? atoi(trace->program) : 0;
    if (trace->mode == MODE_LIST) {
        trace->out = fopen(trace->program, "we");
        if (trace->out == NULL) {
            die(125, trace->program);
        }
    }
    return at + modes[i].n_args + 2;
}

int main(int argc, char **argv)
{
    static struct task tasks[TASKS_MAX];
    struct trace trace = {.tasks = tasks, .failing = UINT64_MAX};
    int at = parse(&trace, argc, argv);
    bool is_new;
    int status;

    trace.main_pid = start(argv + at);
    (void)task_of(&trace, trace.main_pid, &is_new);
    if (ptrace(PTRACE_SYSCALL, trace.main_pid, NULL, NULL) != 0) {
        die(125, "go on");
    }
    status = follow(&trace);
    if (trace.out != NULL && fclose(trace.out) != 0) {
        die(125, "list");
    }
    (void)fprintf(stderr, "tracer: %lu calls\n", trace.count);
    return status;
}
