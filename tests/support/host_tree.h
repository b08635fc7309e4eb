/* SPDX-License-Identifier: Apache-2.0 */
/* host_tree - a pretended host: a copy of a fixture tree with processes and sockets in its /proc */
#ifndef CLM_TESTS_SUPPORT_HOST_TREE_H
#define CLM_TESTS_SUPPORT_HOST_TREE_H

#include <stddef.h>
#include <stdint.h>

struct host_process {
    int pid;
    int parent;
    unsigned start; /* ticks */
    const char *comm;
    const char *exe;     /* NULL: a kernel thread */
    const char *cmdline; /* arguments separated by "|" */
    const char *unit;    /* NULL: none */
    unsigned uid;
    unsigned sockets[8]; /* inodes; 0 ends */
    const char *net;     /* network namespace; NULL: "net:[1]" */
    const char *mounts;  /* mount namespace; NULL: "mnt:[1]" */
};

/* Copies a directory tree, symbolic links as they are. from may be NULL: nothing is copied. */
void host_tree_copy(const char *from, const char *root);
/* Writes /proc/PID of one process, and /proc/self once. */
void host_tree_process(const char *root, const struct host_process *process);
/* Writes the listening sockets a process sees: lines "ADDR:PORT INODE" of the kernel's hex form. */
struct host_socket {
    const char *addr; /* "0100007F", or 32 digits for IPv6 */
    unsigned port;
    unsigned inode;
    unsigned state; /* 0: listening */
};
void host_tree_sockets(const char *root, int pid, const struct host_socket *sockets, size_t n);

#endif
