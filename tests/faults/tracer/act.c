/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the chosen call. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/tracer/tracer.h"

/* ---- registers: all that depends on the processor ---- */

#if defined(__x86_64__)
#    define RESULT(regs) ((regs)->rax)
#    define ARG0(regs)   ((regs)->rdi)
#    define ARG2(regs)   ((regs)->rdx)
#    define IS_ARG0_KEPT true
#elif defined(__aarch64__)
#    define RESULT(regs) ((regs)->regs[0])
#    define ARG0(regs)   ((regs)->regs[0])
#    define ARG2(regs)   ((regs)->regs[2])
#    define IS_ARG0_KEPT false /* the result stands there */
#endif

static void *plus(int type)
{
    void *p = NULL;
    uintptr_t number = (uintptr_t)type; /* ptrace takes it as an address */

    memcpy(&p, &number, sizeof(p));
    return p;
}

static bool get_regs(pid_t pid, struct user_regs_struct *regs)
{
    struct iovec io = {.iov_base = regs, .iov_len = sizeof(*regs)};

    return ptrace(PTRACE_GETREGSET, pid, plus(NT_PRSTATUS), &io) == 0;
}

static bool set_regs(pid_t pid, struct user_regs_struct *regs)
{
    struct iovec io = {.iov_base = regs, .iov_len = sizeof(*regs)};

    return ptrace(PTRACE_SETREGSET, pid, plus(NT_PRSTATUS), &io) == 0;
}

/* The call becomes number -1, which does nothing. */
static bool skip_call(pid_t pid)
{
#if defined(__x86_64__)
    struct user_regs_struct regs;

    if (!get_regs(pid, &regs)) {
        return false;
    }
    regs.orig_rax = (unsigned long long)-1;
    return set_regs(pid, &regs);
#else
    int none = -1;
    struct iovec io = {.iov_base = &none, .iov_len = sizeof(none)};

    return ptrace(PTRACE_SETREGSET, pid, plus(NT_ARM_SYSTEM_CALL), &io) == 0;
#endif
}

static bool change_arg(pid_t pid, enum change change, uint64_t value)
{
    struct user_regs_struct regs;

    if (!get_regs(pid, &regs)) {
        return false;
    }
    if (change == HALVED) {
        ARG2(&regs) = value;
    } else {
        ARG0(&regs) = value;
    }
    return set_regs(pid, &regs);
}

static void must(bool is_good, const char *what)
{
    if (!is_good) {
        (void)fprintf(stderr, "tracer: %s: %s\n", what, strerror(errno));
        exit(125); /* what is traced dies with us */
    }
}

/* ---- ends ---- */

void act_kill_all(struct trace *trace)
{
    int status;
    pid_t pid;

    for (unsigned i = 0; i < trace->n_tasks; i++) {
        (void)kill(trace->tasks[i].pid, SIGKILL);
    }
    while ((pid = waitpid(-1, &status, __WALL)) > 0) {
        if (WIFSTOPPED(status)) { /* was being born */
            (void)kill(pid, SIGKILL);
            (void)ptrace(PTRACE_CONT, pid, NULL, NULL);
        }
    }
}

static void run_program(const struct trace *trace, const struct call *call)
{
    char number[32];
    pid_t pid = fork();
    int status = 0;

    (void)snprintf(number, sizeof(number), "%lu", trace->count);
    if (pid == 0) {
        (void)execlp(trace->program, trace->program, number, call_name(call->number), (char *)NULL);
        _exit(127);
    }
    must(pid > 0 && waitpid(pid, &status, 0) == pid, trace->program);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)fprintf(stderr, "tracer: '%s' failed at %lu\n", trace->program, trace->count);
        exit(125);
    }
}

/* ---- the chosen call ---- */

static void fail_call(struct task *task, const struct call *call, int error)
{
    if (call->number == SYS_brk) {
        must(change_arg(task->pid, NO_BREAK, 0), "change a call");
        task->change = NO_BREAK;
        task->arg = call->args[0];
        return;
    }
    must(call->number == SYS_close || skip_call(task->pid), "skip a call");
    task->change = FAILED;
    task->error = error;
}

static void halve(struct task *task, const struct call *call)
{
    if (!call_has_count(call->number) || call->args[2] < 2) {
        (void)fprintf(stderr, "tracer: cannot be short\n");
        return;
    }
    must(change_arg(task->pid, HALVED, call->args[2] / 2), "change a call");
    task->change = HALVED;
    task->arg = call->args[2];
}

static void tell(const struct trace *trace, const struct task *task, const struct call *call)
{
    char subject[512];

    call_subject(task->pid, call, subject, sizeof(subject));
    (void)fprintf(trace->mode == MODE_LIST ? trace->out : stderr, "%s%lu %s %s\n",
                  trace->mode == MODE_LIST ? "" : "tracer: at ", trace->count,
                  call_name(call->number), subject);
}

static void act_once(struct trace *trace, struct task *task, const struct call *call)
{
    tell(trace, task, call);
    trace->is_done = trace->mode != MODE_FAIL_FROM;
    switch (trace->mode) {
    case MODE_KILL:
        act_kill_all(trace);
        exit(128 + SIGKILL);
    case MODE_FAIL_FROM:
        trace->failing = call->number;
        fail_call(task, call, trace->value);
        break;
    case MODE_FAIL:
        fail_call(task, call, trace->value);
        break;
    case MODE_SHORT:
        halve(task, call);
        break;
    case MODE_SIGNAL:
        (void)kill(trace->main_pid, trace->value);
        break;
    case MODE_CALL:
        run_program(trace, call);
        break;
    case MODE_COUNT:
    case MODE_LIST:
    case MODE_EACH:
        break;
    }
}

/* Runs differ by a call or two: children are fast or slow. A name finds the one that is meant. */
static bool is_chosen(const struct trace *trace, const struct call *call)
{
    if (trace->n == 0 || trace->is_done || trace->failing != UINT64_MAX) {
        return false;
    }
    return trace->name == NULL
               ? trace->count == trace->n
               : trace->count >= trace->n && strcmp(trace->name, call_name(call->number)) == 0;
}

void act_on_entry(struct trace *trace, struct task *task, const struct call *call)
{
    trace->count++;
    if (trace->mode == MODE_LIST) {
        tell(trace, task, call);
    } else if (trace->mode == MODE_EACH) {
        run_program(trace, call);
    } else if (is_chosen(trace, call)) {
        act_once(trace, task, call);
    } else if (trace->failing == call->number) {
        fail_call(task, call, trace->value);
    }
}

void act_on_exit(struct task *task)
{
    struct user_regs_struct regs;
    enum change change = task->change;

    if (change == UNCHANGED) {
        return;
    }
    task->change = UNCHANGED;
    must(get_regs(task->pid, &regs), "read registers");
    if (change == FAILED) {
        RESULT(&regs) = (unsigned long long)-(long long)task->error;
    } else if (change == HALVED) {
        ARG2(&regs) = task->arg;
    } else if (IS_ARG0_KEPT) {
        ARG0(&regs) = task->arg;
    }
    must(set_regs(task->pid, &regs), "write registers");
}
