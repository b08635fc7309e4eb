/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/cert_files.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "scanners/cert_files_int.h"

void clm_files_counts_done(struct clm_files_counts *counts)
{
    if (counts != NULL) {
        clm_strs_done(&counts->remarks);
    }
}

enum clm_code clm_files_remark(struct clm_files_scan *scan, struct clm_err *err, const char *fmt,
                               ...)
{
    char text[PATH_MAX + 128];
    va_list args;

    if (scan->counts->remarks.n >= CLM_FILES_REMARKS) {
        return CLM_OK;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return clm_strs_add_once(&scan->counts->remarks, text, err);
}

bool clm_files_is_over(struct clm_files_scan *scan)
{
    const struct clm_files_rules *rules = scan->rules;
    struct clm_files_counts *counts = scan->counts;

    if (counts->is_cut) {
        return true;
    }
    if (counts->files >= rules->files_max) {
        counts->is_cut = true;
        clm_ignore(clm_files_remark(scan, NULL, "ended after %llu files: see scan.files.max_files",
                                    (unsigned long long)counts->files));
    } else if (clm_clock_mono_ms() >= scan->end_ms) {
        counts->is_cut = true;
        clm_ignore(clm_files_remark(scan, NULL, "ended after %lld s: see scan.files.max_time",
                                    (long long)(rules->time_max_ms / 1000)));
    }
    return counts->is_cut;
}

bool clm_files_is_excluded(const struct clm_files_scan *scan, const char *path, bool is_dir)
{
    const struct clm_files_rules *rules = scan->rules;
    char with_slash[PATH_MAX + 1];

    if (is_dir) {
        (void)snprintf(with_slash, sizeof(with_slash), "%s/", path);
        if (rules->own_dir != NULL && strcmp(rules->own_dir, path) == 0) {
            return true;
        }
        path = with_slash;
    }
    for (size_t i = 0; rules->exclude != NULL && i < rules->exclude->n; i++) {
        if (clm_str_glob(rules->exclude->v[i], path)) {
            return true;
        }
    }
    return false;
}

/* Real paths, each once, none inside another. */
static enum clm_code resolve_roots(struct clm_files_scan *scan, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < scan->rules->roots->n && code == CLM_OK; i++) {
        const char *root = scan->rules->roots->v[i];
        char real[PATH_MAX];
        bool is_inside = false;

        if (scan->roots.n == CLM_FILES_ROOTS_MAX) {
            return clm_files_remark(scan, err, "'%s/': more than %u roots", root,
                                    CLM_FILES_ROOTS_MAX);
        }
        if (realpath(root, real) == NULL) {
            scan->counts->unreadable += errno != ENOENT && errno != ENOTDIR; /* else not here */
            continue;
        }
        for (size_t k = 0; k < scan->rules->roots->n && !is_inside; k++) {
            char other[PATH_MAX];
            size_t len;

            if (k == i || realpath(scan->rules->roots->v[k], other) == NULL) {
                continue;
            }
            len = strcmp(other, "/") == 0 ? 0 : strlen(other);
            is_inside = strncmp(real, other, len) == 0 &&
                        (real[len] == '/' || (real[len] == '\0' && k < i));
        }
        if (!is_inside) {
            code = clm_strs_add(&scan->roots, real, err);
        }
    }
    return code;
}

/* Files that links or servers point at and that the walk did not come to. */
static enum clm_code tell_rest(struct clm_files_scan *scan, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    clm_links_sort(&scan->hard);
    for (size_t i = 0; i < scan->hard.n && code == CLM_OK; i++) {
        if (!scan->hard.v[i].is_met) {
            code = clm_files_one(scan, scan->hard.v[i].path, false, err);
        }
    }
    for (size_t i = 0; i < scan->links.n && code == CLM_OK; i++) {
        char real[PATH_MAX];

        if (!scan->links.v[i].is_met && !clm_files_is_over(scan) &&
            realpath(scan->links.v[i].path, real) != NULL &&
            !clm_files_is_excluded(scan, real, false)) {
            scan->links.v[i].is_met = true;
            code = clm_files_one(scan, scan->links.v[i].path, false, err);
        }
    }
    for (size_t i = 0; i < scan->used.n && code == CLM_OK; i++) {
        if (!scan->used.v[i].is_met) {
            code = clm_files_one(scan, scan->used.v[i].path, true, err);
        }
    }
    return code;
}

static enum clm_code run(struct clm_files_scan *scan, struct clm_err *err)
{
    enum clm_code code = clm_used_load(scan->rules->inventory, &scan->used, err);

    if (code == CLM_OK && scan->rules->mode == CLM_FILES_ALL) {
        code = resolve_roots(scan, err);
        if (code == CLM_OK) {
            scan->is_collecting = true;
            code = clm_files_walk(scan, err);
            clm_links_sort(&scan->links);
        }
        if (code == CLM_OK) {
            scan->is_collecting = false;
            code = clm_files_walk(scan, err);
        }
    }
    return code == CLM_OK ? tell_rest(scan, err) : code;
}

enum clm_code clm_cert_files_scan(const struct clm_files_rules *rules,
                                  const struct clm_files_visitor *visitor,
                                  struct clm_files_counts *counts, struct clm_err *err)
{
    struct clm_files_scan scan = {
        .rules = rules,
        .visitor = visitor,
        .counts = counts,
        .content = CLM_BUF_SECRET_INIT(CLM_FILES_STORE_MAX + 1),
        .keys = malloc(CLM_FILES_KEYS_MAX * sizeof(struct clm_key_row)),
        .end_ms = clm_clock_mono_ms() + rules->time_max_ms,
    };
    enum clm_code code;

    if (scan.keys == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "search for certificates");
    }
    code = clm_users_read(rules->io, &scan.users, err);
    if (code == CLM_OK) {
        code = run(&scan, err);
    }
    if (code == CLM_OK && scan.is_short) {
        code = clm_err_set(err, CLM_E_NOMEM, "search for certificates");
    }
    clm_strs_done(&scan.roots);
    clm_links_done(&scan.links);
    clm_links_done(&scan.hard);
    clm_used_done(&scan.used);
    clm_users_done(&scan.users);
    clm_buf_done(&scan.content);
    free(scan.keys);
    return code;
}
