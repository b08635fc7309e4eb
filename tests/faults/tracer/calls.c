/* SPDX-License-Identifier: Apache-2.0 */
/* Names of system calls, and where their path or descriptor stands. */
#define _GNU_SOURCE /* process_vm_readv */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/faults/tracer/tracer.h"

enum about {
    NOTHING,
    FD,
    PATH,
    AT
};

static const struct {
    long number;
    const char *name;
    enum about about;
    bool has_count;
} calls[] = {
#define ONE(name, about, count)                                                                    \
    {                                                                                              \
        SYS_##name, #name, about, count                                                            \
    }
    ONE(read, FD, true),
    ONE(write, FD, true),
    ONE(pread64, FD, true),
    ONE(pwrite64, FD, true),
    ONE(close, FD, false),
    ONE(fstat, FD, false),
    ONE(lseek, FD, false),
    ONE(mmap, NOTHING, false),
    ONE(mprotect, NOTHING, false),
    ONE(munmap, NOTHING, false),
    ONE(mremap, NOTHING, false),
    ONE(madvise, NOTHING, false),
    ONE(brk, NOTHING, false),
    ONE(rt_sigaction, NOTHING, false),
    ONE(rt_sigprocmask, NOTHING, false),
    ONE(fcntl, FD, false),
    ONE(ioctl, FD, false),
    ONE(flock, FD, false),
    ONE(fsync, FD, false),
    ONE(fdatasync, FD, false),
    ONE(ftruncate, FD, false),
    ONE(fallocate, FD, false),
    ONE(getdents64, FD, false),
    ONE(openat, AT, false),
    ONE(newfstatat, AT, false),
    ONE(statx, AT, false),
    ONE(faccessat, AT, false),
    ONE(faccessat2, AT, false),
    ONE(readlinkat, AT, false),
    ONE(mkdirat, AT, false),
    ONE(unlinkat, AT, false),
    ONE(linkat, AT, false),
    ONE(symlinkat, AT, false),
    ONE(renameat2, AT, false),
    ONE(fchownat, AT, false),
    ONE(fchmodat, AT, false),
    ONE(utimensat, AT, false),
    ONE(fchmod, FD, false),
    ONE(fchown, FD, false),
    ONE(fgetxattr, FD, false),
    ONE(fsetxattr, FD, false),
    ONE(flistxattr, FD, false),
    ONE(fremovexattr, FD, false),
    ONE(fstatfs, FD, false),
    ONE(statfs, PATH, false),
    ONE(chdir, PATH, false),
    ONE(execve, PATH, false),
    ONE(clone, NOTHING, false),
    ONE(clone3, NOTHING, false),
    ONE(wait4, NOTHING, false),
    ONE(waitid, NOTHING, false),
    ONE(kill, NOTHING, false),
    ONE(exit, NOTHING, false),
    ONE(exit_group, NOTHING, false),
    ONE(getpid, NOTHING, false),
    ONE(getppid, NOTHING, false),
    ONE(gettid, NOTHING, false),
    ONE(getuid, NOTHING, false),
    ONE(geteuid, NOTHING, false),
    ONE(getegid, NOTHING, false),
    ONE(getgid, NOTHING, false),
    ONE(setpgid, NOTHING, false),
    ONE(umask, NOTHING, false),
    ONE(dup, FD, false),
    ONE(dup3, FD, false),
    ONE(pipe2, NOTHING, false),
    ONE(ppoll, NOTHING, false),
    ONE(prctl, NOTHING, false),
    ONE(prlimit64, NOTHING, false),
    ONE(getrandom, NOTHING, false),
    ONE(set_tid_address, NOTHING, false),
    ONE(set_robust_list, NOTHING, false),
    ONE(sysinfo, NOTHING, false),
    ONE(uname, NOTHING, false),
    ONE(clock_gettime, NOTHING, false),
    ONE(clock_nanosleep, NOTHING, false),
    ONE(socket, NOTHING, false),
    ONE(connect, FD, false),
    ONE(bind, FD, false),
    ONE(accept4, FD, false),
    ONE(sendto, FD, false),
    ONE(recvfrom, FD, false),
    ONE(sendmsg, FD, false),
    ONE(recvmsg, FD, false),
    ONE(epoll_ctl, FD, false),
    ONE(mlock, NOTHING, false),
    ONE(munlock, NOTHING, false),
    ONE(futex, NOTHING, false),
#ifdef SYS_pidfd_open
    ONE(pidfd_open, NOTHING, false),
#endif
#ifdef SYS_close_range
    ONE(close_range, NOTHING, false),
#endif
#ifdef SYS_rseq
    ONE(rseq, NOTHING, false),
#endif
#ifdef SYS_open /* those that newer architectures do without */
    ONE(open, PATH, false),
    ONE(stat, PATH, false),
    ONE(lstat, PATH, false),
    ONE(access, PATH, false),
    ONE(readlink, PATH, false),
    ONE(mkdir, PATH, false),
    ONE(rmdir, PATH, false),
    ONE(unlink, PATH, false),
    ONE(rename, PATH, false),
    ONE(chmod, PATH, false),
    ONE(chown, PATH, false),
    ONE(renameat, AT, false),
    ONE(poll, NOTHING, false),
    ONE(pipe, NOTHING, false),
    ONE(dup2, FD, false),
    ONE(fork, NOTHING, false),
    ONE(vfork, NOTHING, false),
    ONE(arch_prctl, NOTHING, false),
    ONE(getpgrp, NOTHING, false),
#endif
#ifdef __aarch64__
    ONE(renameat, AT, false),
#endif
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

static size_t find(uint64_t number)
{
    size_t i = 0;

    while (i < N_CALLS && (uint64_t)calls[i].number != number) {
        i++;
    }
    return i;
}

const char *call_name(uint64_t number)
{
    static char unknown[32];
    size_t i = find(number);

    if (i < N_CALLS) {
        return calls[i].name;
    }
    (void)snprintf(unknown, sizeof(unknown), "call_%llu", (unsigned long long)number);
    return unknown;
}

bool call_has_count(uint64_t number)
{
    size_t i = find(number);

    return i < N_CALLS && calls[i].has_count;
}

static void read_text(pid_t pid, uint64_t at, char *dst, size_t size)
{
    size_t n = 0;
    bool is_over = false;

    while (!is_over && n + 1 < size) { /* byte by byte: a page behind it may not be there */
        struct iovec to = {.iov_base = dst + n, .iov_len = 1};
        struct iovec from = {.iov_len = 1};
        uint64_t address = at + n;

        memcpy(&from.iov_base, &address, sizeof(from.iov_base));
        is_over = process_vm_readv(pid, &to, 1, &from, 1, 0) != 1 || dst[n] == '\0';
        n += !is_over;
    }
    dst[n] = '\0';
}

static void read_fd(pid_t pid, uint64_t fd, char *dst, size_t size)
{
    char link[64];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, (int)fd);
    n = readlink(link, dst, size - 1);
    dst[n > 0 ? n : 0] = '\0';
}

void call_subject(pid_t pid, const struct call *call, char *dst, size_t size)
{
    size_t i = find(call->number);
    enum about about = i < N_CALLS ? calls[i].about : NOTHING;
    size_t len = 0;

    dst[0] = '\0';
    if (about == FD || (about == AT && (int)call->args[0] != AT_FDCWD)) {
        read_fd(pid, call->args[0], dst, size);
        len = strlen(dst);
    }
    if (about == AT && len + 2 < size) {
        if (len > 0) {
            dst[len++] = '/';
        }
        read_text(pid, call->args[1], dst + len, size - len);
    } else if (about == PATH) {
        read_text(pid, call->args[0], dst, size);
    }
}
