/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/support/host_tree.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/root_io.h"

static void copy_file(const char *from, const char *root, const char *path)
{
    static char data[1 << 20];
    FILE *file = fopen(from, "re");
    size_t len;

    if (file == NULL) {
        perror(from);
        abort();
    }
    len = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    root_io_write(root, path, data, len);
}

static void copy_dir(const char *base, const char *root, const char *path)
{
    char full[PATH_MAX];
    struct dirent *entry;
    DIR *dir;

    (void)snprintf(full, sizeof(full), "%s%s", base, path);
    dir = opendir(full);
    if (dir == NULL) {
        perror(full);
        abort();
    }
    while ((entry = readdir(dir)) != NULL) {
        char sub[PATH_MAX];
        char to[PATH_MAX];
        struct stat st;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(sub, sizeof(sub), "%.2000s/%s", path, entry->d_name);
        (void)snprintf(full, sizeof(full), "%.2000s%.2000s", base, sub);
        if (lstat(full, &st) != 0) {
            abort();
        }
        if (S_ISDIR(st.st_mode)) {
            copy_dir(base, root, sub);
        } else if (S_ISLNK(st.st_mode)) {
            ssize_t n = readlink(full, to, sizeof(to) - 1);

            to[n < 0 ? 0 : n] = '\0';
            root_io_link(root, sub, to);
        } else {
            copy_file(full, root, sub);
        }
    }
    (void)closedir(dir);
}

void host_tree_copy(const char *from, const char *root)
{
    if (from != NULL) {
        copy_dir(from, root, "");
    }
}

static void put(const char *root, int pid, const char *name, const char *text)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    root_io_text(root, path, text);
}

static void put_link(const char *root, int pid, const char *name, const char *to)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    root_io_link(root, path, to);
}

static void put_cmdline(const char *root, const struct host_process *p)
{
    char path[64];
    char text[4096];
    size_t len = strlen(p->cmdline);

    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", p->pid);
    (void)snprintf(text, sizeof(text), "%s", p->cmdline);
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)(text[i] == '|' ? '\0' : text[i]);
    }
    root_io_write(root, path, text, len + 1);
}

void host_tree_process(const char *root, const struct host_process *p)
{
    char text[512];
    char self[PATH_MAX];

    (void)snprintf(text, sizeof(text),
                   "%d (%s) S %d 1 1 0 -1 %u 1 2 3 4 5 6 7 8 20 0 1 0 %u 1000 2 3\n", p->pid,
                   p->comm, p->parent, p->exe == NULL ? 0x00200040u : 0x00400040u, p->start);
    put(root, p->pid, "stat", text);
    (void)snprintf(self, sizeof(self), "%s/proc/self", root);
    if (access(self, F_OK) != 0) {
        root_io_link(root, "/proc/self/ns/mnt", "mnt:[1]");
    }
    if (p->exe == NULL) {
        return;
    }
    put_cmdline(root, p);
    (void)snprintf(text, sizeof(text), "Name:\t%s\nUid:\t%u\t%u\t%u\t%u\n", p->comm, p->uid, p->uid,
                   p->uid, p->uid);
    put(root, p->pid, "status", text);
    (void)snprintf(text, sizeof(text), "0::/system.slice%s%s\n", p->unit == NULL ? "" : "/",
                   p->unit == NULL ? "" : p->unit);
    put(root, p->pid, "cgroup", text);
    put_link(root, p->pid, "exe", p->exe);
    put_link(root, p->pid, "ns/net", p->net == NULL ? "net:[1]" : p->net);
    put_link(root, p->pid, "ns/mnt", p->mounts == NULL ? "mnt:[1]" : p->mounts);
    put_link(root, p->pid, "fd/0", "/dev/null");
    for (size_t i = 0; i < 8 && p->sockets[i] != 0; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "fd/%zu", i + 3);
        (void)snprintf(text, sizeof(text), "socket:[%u]", p->sockets[i]);
        put_link(root, p->pid, name, text);
    }
}

void host_tree_sockets(const char *root, int pid, const struct host_socket *sockets, size_t n)
{
    static const char head[] = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
                               "retrnsmt   uid  timeout inode\n";
    char v4[8192];
    char v6[8192];

    (void)snprintf(v4, sizeof(v4), "%s", head);
    (void)snprintf(v6, sizeof(v6), "%s", head);
    for (size_t i = 0; i < n; i++) {
        bool six = strlen(sockets[i].addr) == 32;
        char *text = six ? v6 : v4;
        size_t len = strlen(text);

        (void)snprintf(text + len, sizeof(v4) - len,
                       "%4zu: %s:%04X %.*s:0000 %02X 00000000:00000000 00:00000000 00000000     0 "
                       "       0 %u 1 0000000000000000 100 0 0 10 0\n",
                       i, sockets[i].addr, sockets[i].port, six ? 32 : 8,
                       "00000000000000000000000000000000",
                       sockets[i].state == 0 ? 0x0Au : sockets[i].state, sockets[i].inode);
    }
    put(root, pid, "net/tcp", v4);
    put(root, pid, "net/tcp6", v6);
}
