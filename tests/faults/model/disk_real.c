/* SPDX-License-Identifier: Apache-2.0 */
/* From a real directory into the model, and back. */
#include "tests/faults/model/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define XATTRS_MAX 4096
#define ACL        "system.posix_acl_access"

static void must(bool is_good, const char *path)
{
    if (!is_good) {
        (void)fprintf(stderr, "model: '%s': %s\n", path, strerror(errno));
        abort();
    }
}

static void below(char *dst, const char *dir, const char *name)
{
    must(snprintf(dst, PATH_MAX, "%s/%s", dir, name) < PATH_MAX, dir);
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* ---- from a directory ---- */

struct scan {
    struct disk *disk;
    struct disk_arena *arena;
    disk_seen_fn seen;
    void *arg;
};

static void read_file(const struct scan *scan, const char *path, struct disk_node *node)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    uint8_t *data = disk_alloc(scan->arena, node->len);
    ssize_t n = read(fd, data, node->len);

    must(fd >= 0 && n >= 0 && (size_t)n == node->len && close(fd) == 0, path);
    node->data = data;
}

static void read_target(const struct scan *scan, const char *path, struct disk_node *node)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target));
    uint8_t *data;

    must(n > 0 && (size_t)n < sizeof(target), path);
    data = disk_alloc(scan->arena, (size_t)n);
    memcpy(data, target, (size_t)n);
    node->data = data;
    node->len = (size_t)n;
}

static void read_xattrs(const struct scan *scan, const char *path, uint32_t number)
{
    char names[XATTRS_MAX];
    char value[XATTRS_MAX];
    ssize_t all = llistxattr(path, names, sizeof(names));

    must(all >= 0 || errno == ENOTSUP, path);
    for (const char *name = names; name < names + all; name += strlen(name) + 1) {
        ssize_t n = lgetxattr(path, name, value, sizeof(value));
        struct disk_xattr xattr = {.name = disk_name(name), .len = (size_t)n};
        uint8_t *data;

        must(n >= 0, path);
        data = disk_alloc(scan->arena, (size_t)n);
        memcpy(data, value, (size_t)n);
        xattr.data = data;
        disk_set_xattr(scan->disk, scan->arena, number, &xattr);
    }
}

static void scan_dir(const struct scan *scan, uint32_t number, const char *path);

static void scan_entry(const struct scan *scan, uint32_t dir, const char *parent, const char *name)
{
    struct disk_node node = {0};
    char path[PATH_MAX];
    struct stat st;
    uint32_t number;

    below(path, parent, name);
    must(lstat(path, &st) == 0, path);
    node.mode = st.st_mode & 07777;
    node.uid = st.st_uid;
    node.gid = st.st_gid;
    node.kind = S_ISDIR(st.st_mode) ? DISK_DIR : S_ISLNK(st.st_mode) ? DISK_LINK : DISK_FILE;
    if (S_ISREG(st.st_mode)) {
        node.len = (size_t)st.st_size;
        read_file(scan, path, &node);
    } else if (S_ISLNK(st.st_mode)) {
        read_target(scan, path, &node);
    }
    number = disk_add(scan->disk, &node);
    disk_set(scan->disk, dir, disk_name(name), number);
    scan->seen(scan->arg, st.st_ino, number);
    if (!S_ISLNK(st.st_mode)) {
        read_xattrs(scan, path, number);
    }
    if (S_ISREG(st.st_mode)) {
        scan->disk->nodes[number].mtime_s = st.st_mtim.tv_sec;
    } else if (S_ISDIR(st.st_mode)) {
        scan_dir(scan, number, path);
    }
}

static void scan_dir(const struct scan *scan, uint32_t number, const char *path)
{
    struct dirent *entry;
    DIR *d = opendir(path);

    must(d != NULL, path);
    while ((entry = readdir(d)) != NULL) {
        if (!is_dot(entry->d_name)) {
            scan_entry(scan, number, path, entry->d_name);
        }
    }
    (void)closedir(d);
}

void disk_scan(struct disk *disk, struct disk_arena *arena, const char *root,
               const char *const *dirs, disk_seen_fn seen, void *arg)
{
    const struct scan scan = {.disk = disk, .arena = arena, .seen = seen, .arg = arg};

    disk->n_nodes = 0;
    disk->n_entries = 0;
    (void)disk_add(disk, &(struct disk_node){.kind = DISK_DIR, .mode = 0755});
    for (size_t i = 0; dirs[i] != NULL; i++) {
        scan_entry(&scan, DISK_ROOT, root, dirs[i]);
    }
}

/* ---- into a directory ---- */

static void wipe(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    if (d == NULL) {
        return;
    }
    while ((entry = readdir(d)) != NULL) {
        char path[PATH_MAX];

        if (is_dot(entry->d_name)) {
            continue;
        }
        below(path, dir, entry->d_name);
        if (entry->d_type == DT_DIR) {
            wipe(path);
            must(rmdir(path) == 0, path);
        } else {
            must(unlink(path) == 0, path);
        }
    }
    (void)closedir(d);
}

/* In place of what it took from its directory. */
static void set_xattrs(const struct disk_node *node, int fd, const char *path)
{
    must(fremovexattr(fd, ACL) == 0 || errno == ENODATA || errno == ENOTSUP, path);
    for (const struct disk_xattr *x = node->xattrs; x != NULL; x = x->next) {
        must(fsetxattr(fd, x->name, x->data, x->len, 0) == 0, path);
    }
}

static void make_dir(const struct disk_node *node, const char *path)
{
    int fd;

    must(mkdir(path, 0700) == 0 || errno == EEXIST, path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(fd >= 0 && fchmod(fd, node->mode) == 0, path);
    set_xattrs(node, fd, path);
    must(close(fd) == 0, path);
}

static void make_file(const struct disk_node *node, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    must(fd >= 0 && write(fd, node->data, node->len) == (ssize_t)node->len, path);
    must(fchmod(fd, node->mode) == 0, path);
    must((node->uid == geteuid() && node->gid == getegid()) ||
             fchown(fd, node->uid, node->gid) == 0,
         path);
    set_xattrs(node, fd, path);
    if (node->mtime_s != 0) {
        const struct timespec times[2] = {{.tv_sec = node->mtime_s}, {.tv_sec = node->mtime_s}};

        must(futimens(fd, times) == 0, path);
    }
    must(close(fd) == 0, path);
}

static void make_link(const struct disk_node *node, const char *path)
{
    char target[PATH_MAX];

    memcpy(target, node->data, node->len);
    target[node->len] = '\0';
    must(symlink(target, path) == 0, path);
}

static void make_entries(const struct disk *disk, uint32_t dir, const char *parent)
{
    for (size_t i = 0; i < disk->n_entries; i++) {
        const struct disk_entry *entry = &disk->entries[i];
        const struct disk_node *node = &disk->nodes[entry->child];
        char path[PATH_MAX];

        if (entry->dir != dir) {
            continue;
        }
        below(path, parent, entry->name);
        switch (node->kind) {
        case DISK_DIR:
            make_dir(node, path);
            make_entries(disk, entry->child, path);
            break;
        case DISK_LINK:
            make_link(node, path);
            break;
        case DISK_FILE:
            make_file(node, path);
            break;
        }
    }
}

void disk_make(const struct disk *disk, const char *root)
{
    for (size_t i = 0; i < disk->n_entries; i++) {
        char path[PATH_MAX];

        if (disk->entries[i].dir == DISK_ROOT) {
            below(path, root, disk->entries[i].name);
            wipe(path);
        }
    }
    make_entries(disk, DISK_ROOT, root);
}
