/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks directories by descriptor, names sorted, and looks at every file twice: first for private
 * keys, then, knowing them, for all that is to be told.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/keystore/sniff.h"
#include "scanners/cert_files_int.h"

#define ROOM_FIRST 16 /* names */

/* File systems whose content comes over a network, from the kernel or from a program; statfs(2),
 * linux/magic.h. A file there may block for ever, or be made up as it is read. */
static const uint32_t foreign_systems[] =
    {
        0x6969,     0xff534d42, 0xfe534d42, 0x517b,     0x5346414f,
        0x00c36400, 0x01021997, 0x73757245, 0x564c,     0x7461636f,
        0x01161970, 0x47504653, 0x0bd00bd0, 0x65735546, /* nfs ... fuse */
        0x9fa0,     0x62656572, 0x64626720, 0x74726163, 0x27e0eb,
        0x63677270, 0x1cd1,     0xcafe4a11, 0x73636673, 0x19800202,
        0x6e736673, 0x50494446, 0xf97cff8c, 0x42494e4d, 0xde5e81e4, /* proc ... */
};

struct name {
    char *text;
    unsigned char type; /* DT_REG, DT_DIR, DT_LNK */
};

struct names {
    struct name *v;
    size_t n;
    size_t room;
};

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->n; i++) {
        free(names->v[i].text);
    }
    free(names->v);
    *names = (struct names){.v = NULL};
}

static enum clm_code names_add(struct names *names, const char *text, unsigned char type,
                               struct clm_err *err)
{
    char *copy = strdup(text);

    if (copy != NULL && names->n == names->room) {
        size_t room = names->room == 0 ? ROOM_FIRST : names->room * 2;
        struct name *v = realloc(names->v, room * sizeof(*v));

        if (v == NULL) {
            free(copy);
            copy = NULL;
        } else {
            names->v = v;
            names->room = room;
        }
    }
    if (copy == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "names of a directory");
    }
    names->v[names->n++] = (struct name){.text = copy, .type = type};
    return CLM_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* DT_REG, DT_DIR, DT_LNK, or 0 for what is passed over. */
static unsigned char type_of(int dir_fd, const struct dirent *entry)
{
    struct stat st;

    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
        return 0;
    }
    if (entry->d_type == DT_REG || entry->d_type == DT_DIR || entry->d_type == DT_LNK) {
        return entry->d_type;
    }
    if (entry->d_type != DT_UNKNOWN ||
        fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return 0;
    }
    return (unsigned char)(S_ISREG(st.st_mode)   ? DT_REG
                           : S_ISDIR(st.st_mode) ? DT_DIR
                           : S_ISLNK(st.st_mode) ? DT_LNK
                                                 : 0);
}

static enum clm_code read_names(struct clm_files_scan *scan, const struct clm_files_dir *dir,
                                struct names *out, struct clm_err *err)
{
    const struct dirent *entry;
    enum clm_code code = CLM_OK;
    int copy = fcntl(dir->fd, F_DUPFD_CLOEXEC, 0);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);

    if (stream == NULL) {
        int sys = errno;

        if (copy >= 0) {
            (void)close(copy);
        }
        if (sys == ENOMEM) {
            return clm_err_sys(err, sys, "'%s'", dir->path);
        }
        scan->counts->unreadable += scan->is_collecting ? 0 : 1; /* the second walk comes, too */
        return clm_files_remark(scan, err, "'%s/': cannot be read", dir->path);
    }
    while (code == CLM_OK && (entry = readdir(stream)) != NULL) {
        unsigned char type = type_of(dir->fd, entry);

        if (type == 0) {
            continue;
        }
        if (out->n == CLM_FILES_NAMES_MAX) {
            scan->counts->is_cut = true;
            code = clm_files_remark(scan, err, "'%s/': only the first %u names were looked at",
                                    dir->path, CLM_FILES_NAMES_MAX);
            break;
        }
        code = names_add(out, entry->d_name, type, err);
    }
    (void)closedir(stream);
    if (out->n > 0) {
        qsort(out->v, out->n, sizeof(*out->v), by_text);
    }
    return code;
}

/* ---- links: the first walk ---- */

static bool is_below(const char *path, const char *root)
{
    size_t len = strlen(root);

    if (strcmp(root, "/") == 0) {
        return true;
    }
    return strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A link to a directory elsewhere makes that directory a root of its own. */
static enum clm_code add_root(struct clm_files_scan *scan, const char *link, struct clm_err *err)
{
    char real[PATH_MAX];

    if (realpath(link, real) == NULL) {
        scan->counts->unreadable++;
        return CLM_OK;
    }
    if (clm_files_is_excluded(scan, real, true)) {
        return CLM_OK;
    }
    for (size_t i = 0; i < scan->roots.n; i++) {
        if (is_below(real, scan->roots.v[i])) {
            return CLM_OK;
        }
        if (is_below(scan->roots.v[i], real)) {
            return clm_files_remark(scan, err, "'%s' leads above the roots and was not followed",
                                    link);
        }
    }
    if (scan->roots.n == CLM_FILES_ROOTS_MAX) {
        return clm_files_remark(scan, err, "'%s' was not followed: too many links to directories",
                                link);
    }
    return clm_strs_add(&scan->roots, real, err);
}

static enum clm_code note_link(struct clm_files_scan *scan, const struct clm_files_dir *dir,
                               const char *name, struct clm_err *err)
{
    char path[PATH_MAX];
    struct stat st;

    if (clm_str_fmt(path, sizeof(path), NULL, "%s/%s", dir->path, name) != CLM_OK ||
        clm_files_is_excluded(scan, path, false)) {
        return CLM_OK;
    }
    if (fstatat(dir->fd, name, &st, 0) != 0) { /* most lead to nowhere, or around in a circle */
        scan->counts->unreadable += errno != ENOENT && errno != ENOTDIR && errno != ELOOP;
        return CLM_OK;
    }
    if (S_ISDIR(st.st_mode)) {
        return add_root(scan, path, err);
    }
    if (!S_ISREG(st.st_mode)) {
        return CLM_OK;
    }
    if (scan->links.n == CLM_FILES_LINKS_MAX) {
        return clm_files_remark(scan, err,
                                "more than %u links: of the others only the files are told",
                                CLM_FILES_LINKS_MAX);
    }
    return clm_links_add(&scan->links, st.st_dev, st.st_ino, path, err);
}

/* ---- files: the second walk ---- */

/* Files with several names are kept until all names are known. *out_later: this is one of them. */
static enum clm_code note_hard_link(struct clm_files_scan *scan, const struct clm_files_file *file,
                                    bool *out_later, struct clm_err *err)
{
    *out_later = file->st.st_nlink > 1 && scan->hard.n < CLM_FILES_LINKS_MAX;
    return *out_later
               ? clm_links_add(&scan->hard, file->st.st_dev, file->st.st_ino, file->path, err)
               : CLM_OK;
}

static enum clm_code tell(struct clm_files_scan *scan, const struct clm_files_file *file,
                          struct clm_err *err)
{
    struct clm_found found = {.path = ""};
    struct clm_files_content content;
    enum clm_code code = clm_files_parse(scan, &found, &content, err);

    if (code == CLM_OK && (found.n_entries > 0 || found.is_locked)) {
        code = clm_files_judge(scan, file, &content, &found, err);
        if (code == CLM_OK) {
            scan->counts->found++;
            scan->counts->entries += found.n_entries + found.n_more;
            code = scan->visitor->found(scan->visitor->arg, &found, err);
        }
    }
    clm_found_done(&found);
    return code;
}

/* True if the name may be something; keys are noted. Other names are dropped. */
static bool look(struct clm_files_scan *scan, const struct clm_files_dir *dir, const char *name)
{
    struct clm_files_file file;
    uint8_t spki[CLM_SHA256_SIZE];

    if (clm_str_fmt(file.path, sizeof(file.path), NULL, "%s/%s", dir->path, name) != CLM_OK ||
        clm_files_is_excluded(scan, file.path, false)) {
        return false;
    }
    scan->counts->files++;
    if (!clm_files_read(scan, dir, name, &file)) {
        return false;
    }
    if (scan->n_keys < CLM_FILES_KEYS_MAX && clm_files_key(scan, spki)) {
        struct clm_key_row *row = &scan->keys[scan->n_keys++];

        memcpy(row->spki, spki, sizeof(spki));
        row->stem = clm_files_stem(name);
    }
    return true;
}

static enum clm_code walk_files(struct clm_files_scan *scan, const struct clm_files_dir *dir,
                                struct names *names, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    scan->n_keys = 0;
    for (size_t i = 0; i < names->n && !clm_files_is_over(scan); i++) {
        if (names->v[i].type == DT_REG && !look(scan, dir, names->v[i].text)) {
            names->v[i].type = DT_UNKNOWN;
        }
    }
    for (size_t i = 0; i < names->n && code == CLM_OK; i++) {
        struct clm_files_file file;
        bool is_later = false;

        if (names->v[i].type != DT_REG || !clm_files_read(scan, dir, names->v[i].text, &file)) {
            continue;
        }
        code = note_hard_link(scan, &file, &is_later, err);
        if (code == CLM_OK && !is_later) {
            code = tell(scan, &file, err);
        }
    }
    if (code == CLM_OK && scan->visitor->progress != NULL) {
        scan->visitor->progress(scan->visitor->arg, scan->counts);
    }
    return code;
}

/* ---- directories ---- */

static bool is_foreign(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) != 0) {
        return true;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(foreign_systems); i++) {
        if ((uint32_t)fs.f_type == foreign_systems[i]) {
            return true;
        }
    }
    return false;
}

static enum clm_code walk_dir(struct clm_files_scan *scan, const struct clm_files_dir *dir,
                              struct clm_err *err);

/* *out_is_ok: out may be walked; its fd is the caller's to close in any case. */
static enum clm_code enter(struct clm_files_scan *scan, const struct clm_files_dir *above,
                           const char *name, const char *path, struct clm_files_dir *out,
                           struct clm_err *err)
{
    struct stat st;

    *out = (struct clm_files_dir){.fd = -1, .path = path, .depth = above->depth + 1};
    if (clm_files_is_excluded(scan, path, true)) {
        return CLM_OK;
    }
    out->fd = openat(above->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (out->fd < 0 || fstat(out->fd, &st) != 0) {
        bool is_gone = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;

        clm_fs_close_p(&out->fd);
        scan->counts->unreadable += is_gone || scan->is_collecting ? 0 : 1;
        return is_gone || scan->is_collecting
                   ? CLM_OK
                   : clm_files_remark(scan, err, "'%s/': %s", path,
                                      errno == EACCES ? "permission denied" : "cannot be opened");
    }
    out->dev = st.st_dev;
    out->is_open = above->is_open && (st.st_mode & S_IXOTH) != 0;
    if (out->dev != above->dev && (!scan->rules->cross_mounts || is_foreign(out->fd))) {
        clm_fs_close_p(&out->fd);
        return scan->is_collecting
                   ? CLM_OK
                   : clm_files_remark(scan, err,
                                      "'%s/' is another file system and was not searched", path);
    }
    return CLM_OK;
}

static enum clm_code walk_below(struct clm_files_scan *scan, const struct clm_files_dir *dir,
                                const char *name, struct clm_err *err)
{
    char *path = NULL;
    struct clm_files_dir below;
    size_t size = strlen(dir->path) + strlen(name) + 2;
    enum clm_code code;

    if (size > PATH_MAX || dir->depth >= scan->rules->depth) {
        return scan->is_collecting
                   ? CLM_OK
                   : clm_files_remark(scan, err, "'%s/%s/' is too deep and was not searched",
                                      dir->path, name);
    }
    path = malloc(size);
    if (path == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "path of a directory");
    }
    memcpy(path, dir->path, strlen(dir->path));
    path[strlen(dir->path)] = '/';
    memcpy(path + strlen(dir->path) + 1, name, strlen(name) + 1);
    code = enter(scan, dir, name, path, &below, err);
    if (code == CLM_OK && below.fd >= 0) {
        code = walk_dir(scan, &below, err);
    }
    clm_fs_close_p(&below.fd);
    free(path);
    return code;
}

/* Recursion ends at rules->depth, at most 64. */
static enum clm_code walk_dir(struct clm_files_scan *scan, const struct clm_files_dir *dir,
                              struct clm_err *err)
{
    struct names names = {.v = NULL};
    enum clm_code code = CLM_OK;

    if (clm_files_is_over(scan)) {
        return CLM_OK;
    }
    code = read_names(scan, dir, &names, err);
    if (code == CLM_OK && !scan->is_collecting) {
        scan->counts->directories++;
        code = walk_files(scan, dir, &names, err);
    }
    for (size_t i = 0; i < names.n && code == CLM_OK; i++) {
        if (names.v[i].type == DT_LNK && scan->is_collecting) {
            code = note_link(scan, dir, names.v[i].text, err);
        } else if (names.v[i].type == DT_DIR) {
            code = walk_below(scan, dir, names.v[i].text, err);
        }
    }
    names_done(&names);
    return code;
}

/* Others can come to the path: every directory on it lets them in. */
static bool is_reachable(const char *path)
{
    char part[PATH_MAX];
    struct stat st;

    for (size_t i = 1; path[i - 1] != '\0'; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        (void)snprintf(part, sizeof(part), "%.*s", (int)i, path);
        if (stat(part, &st) != 0 || (S_ISDIR(st.st_mode) && (st.st_mode & S_IXOTH) == 0)) {
            return false;
        }
    }
    return true;
}

static enum clm_code walk_root(struct clm_files_scan *scan, const char *root, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    struct clm_files_dir dir = {.path = strcmp(root, "/") == 0 ? "" : root};
    struct stat st;

    if (clm_files_is_excluded(scan, root, true)) {
        return CLM_OK;
    }
    fd = open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR || scan->is_collecting) {
            return CLM_OK;
        }
        scan->counts->unreadable++;
        return clm_files_remark(scan, err, "'%s/': cannot be opened", root);
    }
    if (is_foreign(fd)) {
        return scan->is_collecting
                   ? CLM_OK
                   : clm_files_remark(
                         scan, err, "'%s/' is a network or kernel file system and was not searched",
                         root);
    }
    dir.fd = fd;
    dir.dev = st.st_dev;
    dir.is_open = is_reachable(root);
    return walk_dir(scan, &dir, err);
}

enum clm_code clm_files_walk(struct clm_files_scan *scan, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < scan->roots.n && code == CLM_OK; i++) { /* more may be added meanwhile */
        char root[PATH_MAX];

        clm_ignore(clm_str_copy(root, sizeof(root), scan->roots.v[i], NULL));
        code = walk_root(scan, root, err);
    }
    return code;
}

enum clm_code clm_files_one(struct clm_files_scan *scan, const char *path, bool is_used,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    struct clm_files_dir dir = {.path = ""};
    struct clm_files_file file;
    char real[PATH_MAX];
    char parent[PATH_MAX];
    char *slash;

    if (realpath(path, real) == NULL) {
        scan->counts->unreadable++;
        return CLM_OK;
    }
    slash = strrchr(real, '/');
    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - real), real);
    fd = open(parent[0] == '\0' ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || is_foreign(fd)) {
        return is_used ? clm_files_remark(scan, err,
                                          "'%s' is used by a server, but lies where is not looked: "
                                          "on a network or kernel file system",
                                          real)
                       : CLM_OK;
    }
    dir.fd = fd;
    dir.path = parent;
    dir.is_open = is_reachable(parent[0] == '\0' ? "/" : parent);
    scan->counts->files++;
    scan->n_keys = 0;
    return clm_files_read(scan, &dir, slash + 1, &file) ? tell(scan, &file, err) : CLM_OK;
}
