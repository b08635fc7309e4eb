/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/formats/conf_files.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void clm_conf_files_done(struct clm_conf_files *files)
{
    clm_strs_done(&files->seen);
    files->depth = 0;
}

/* The name as kept in seen, added if it is new. */
static enum clm_code intern(struct clm_conf_files *files, const char *path, const char **out_name,
                            struct clm_err *err)
{
    enum clm_code code;

    for (size_t i = 0; i < files->seen.n; i++) {
        if (strcmp(files->seen.v[i], path) == 0) {
            *out_name = files->seen.v[i];
            return CLM_OK;
        }
    }
    if (files->seen.n >= CLM_CONF_FILES_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "the configuration has more than %d files",
                           CLM_CONF_FILES_MAX);
    }
    code = clm_strs_add(&files->seen, path, err);
    if (code == CLM_OK) {
        *out_name = files->seen.v[files->seen.n - 1];
    }
    return code;
}

static enum clm_code check_stack(const struct clm_conf_files *files, const char *path,
                                 struct clm_err *err)
{
    if (files->depth >= CLM_CONF_DEPTH_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "'%s': includes are nested deeper than %d", path,
                           CLM_CONF_DEPTH_MAX);
    }
    for (size_t i = 0; i < files->depth; i++) {
        if (strcmp(files->stack[i], path) == 0) {
            return clm_err_set(err, CLM_E_CONFIG, "'%s' includes itself", path);
        }
    }
    return CLM_OK;
}

static enum clm_code read_within(struct clm_conf_files *files, const char *path,
                                 struct clm_buf *text, struct clm_err *err)
{
    size_t left = CLM_CONF_BYTES_MAX - files->bytes;
    struct clm_stat st = {0};
    enum clm_code code;

    code = files->io->stat(files->io->ctx, path, true, &st, err);
    if (code != CLM_OK) {
        return code;
    }
    if (st.kind != CLM_FILE_REGULAR) {
        return clm_err_set(err, CLM_E_CONFIG, "'%s' is not a regular file", path);
    }
    if (left < CLM_CONF_READ_COST || st.size_bytes > left - CLM_CONF_READ_COST) {
        return clm_err_set(err, CLM_E_LIMIT,
                           "'%s': the configuration is larger than %zu MiB over all its includes",
                           path, CLM_CONF_BYTES_MAX / ((size_t)1024 * 1024));
    }
    text->max = left;
    code = files->io->read_file(files->io->ctx, path, left - CLM_CONF_READ_COST, text, err);
    if (code != CLM_OK) {
        return code;
    }
    files->bytes += text->len + CLM_CONF_READ_COST;
    if (text->len > 0 && memchr(text->data, '\0', text->len) != NULL) {
        return clm_err_set(err, CLM_E_PARSE, "'%s' holds a NUL byte", path);
    }
    return CLM_OK;
}

enum clm_code clm_conf_files_enter(struct clm_conf_files *files, const char *path,
                                   struct clm_buf *text, const char **out_name, struct clm_err *err)
{
    enum clm_code code = check_stack(files, path, err);

    if (code == CLM_OK) {
        code = intern(files, path, out_name, err);
    }
    if (code == CLM_OK) {
        code = read_within(files, path, text, err);
    }
    if (code == CLM_OK) {
        files->stack[files->depth++] = *out_name;
    }
    return code;
}

void clm_conf_files_leave(struct clm_conf_files *files)
{
    files->depth--;
}

enum clm_code clm_conf_files_count(struct clm_conf_files *files, struct clm_err *err)
{
    if (files->directives >= CLM_CONF_DIRECTIVES_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "the configuration has more than %d directives",
                           CLM_CONF_DIRECTIVES_MAX);
    }
    files->directives++;
    return CLM_OK;
}

bool clm_conf_is_glob(const char *path)
{
    return strpbrk(path, "*?[") != NULL;
}

struct listing {
    const char *dir;
    const char *pattern; /* NULL: everything */
    struct clm_strs *out;
};

static enum clm_code add_match(void *arg, const char *name, struct clm_err *err)
{
    struct listing *listing = arg;
    char path[PATH_MAX];
    enum clm_code code;

    if (listing->pattern != NULL && fnmatch(listing->pattern, name, FNM_PERIOD) != 0) {
        return CLM_OK;
    }
    if (listing->out->n >= CLM_CONF_FILES_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "'%s' has more than %d entries that are included",
                           listing->dir, CLM_CONF_FILES_MAX);
    }
    code = clm_conf_path(listing->dir, name, path, sizeof(path), err);
    if (code == CLM_OK) {
        code = clm_strs_add(listing->out, path, err);
    }
    return code;
}

static int compare(const void *a, const void *b)
{
    char *const *x = a;
    char *const *y = b;

    return strcmp(*x, *y);
}

static void sort_from(struct clm_strs *list, size_t first)
{
    if (list->n > first + 1) {
        qsort(list->v + first, list->n - first, sizeof(*list->v), compare);
    }
}

/* One more component, wildcards or not, for each directory found so far. */
static enum clm_code expand(const struct clm_io *io, const struct clm_strs *dirs,
                            const char *component, struct clm_strs *out, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < dirs->n && code == CLM_OK; i++) {
        struct listing listing = {.dir = dirs->v[i], .pattern = component, .out = out};
        struct clm_err ignored = {0};

        if (!clm_conf_is_glob(component)) {
            listing.pattern = NULL;
            code = add_match(&listing, component, err);
            continue;
        }
        code = io->list_dir(io->ctx, dirs->v[i], add_match, &listing, &ignored);
        if (code == CLM_E_LIMIT || code == CLM_E_NOMEM) {
            return clm_err_set(err, code, "%s", ignored.msg);
        }
        code = CLM_OK; /* no directory, or not readable: matches nothing */
    }
    return code;
}

/* Keeps those that exist: a literal component behind a wildcard need not. */
static enum clm_code keep_existing(const struct clm_io *io, const struct clm_strs *from,
                                   struct clm_strs *out, struct clm_err *err)
{
    for (size_t i = 0; i < from->n; i++) {
        struct clm_stat st = {0};
        enum clm_code code;

        if (io->stat(io->ctx, from->v[i], false, &st, NULL) != CLM_OK) {
            continue;
        }
        code = clm_strs_add(out, from->v[i], err);
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

enum clm_code clm_conf_glob(const struct clm_io *io, const char *pattern, struct clm_strs *out,
                            struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs dirs = {0};
    size_t first = out->n;
    enum clm_code code;

    if (!clm_conf_is_glob(pattern)) {
        return clm_strs_add(out, pattern, err);
    }
    code = clm_strs_add(&dirs, "/", err);
    while (code == CLM_OK && *pattern != '\0') {
        struct clm_strs next = {0};
        char component[NAME_MAX + 1];
        size_t len;

        pattern += strspn(pattern, "/");
        len = strcspn(pattern, "/");
        if (len == 0) {
            break;
        }
        if (len >= sizeof(component)) {
            return CLM_OK; /* no file has such a name */
        }
        memcpy(component, pattern, len);
        component[len] = '\0';
        pattern += len;
        code = expand(io, &dirs, component, &next, err);
        clm_strs_done(&dirs);
        dirs = next;
    }
    if (code == CLM_OK) {
        code = keep_existing(io, &dirs, out, err);
    }
    sort_from(out, first);
    return code;
}

enum clm_code clm_conf_list(const struct clm_io *io, const char *dir, struct clm_strs *out,
                            struct clm_err *err)
{
    struct listing listing = {.dir = dir, .out = out};
    size_t first = out->n;
    enum clm_code code = io->list_dir(io->ctx, dir, add_match, &listing, err);

    sort_from(out, first);
    return code;
}

enum clm_code clm_conf_path(const char *dir, const char *path, char *dst, size_t size,
                            struct clm_err *err)
{
    if (path[0] == '/') {
        return clm_str_copy(dst, size, path, err);
    }
    return clm_str_fmt(dst, size, err, "%s%s%s", dir, clm_str_ends(dir, "/") ? "" : "/", path);
}

enum clm_code clm_conf_dirname(const char *path, char *dst, size_t size, struct clm_err *err)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL || slash == path) {
        return clm_str_copy(dst, size, "/", err);
    }
    return clm_str_fmt(dst, size, err, "%.*s", (int)(slash - path), path);
}
