/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/formats/server_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/buf.h"

enum clm_code clm_cmdline_read(const struct clm_io *io, int32_t pid, struct clm_strs *out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_CMDLINE_MAX + 1);
    char path[64];
    enum clm_code code;

    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    code = io->read_file(io->ctx, path, CLM_CMDLINE_MAX, &text, err);
    for (size_t at = 0; at < text.len && code == CLM_OK;) {
        const char *arg = (const char *)text.data + at;

        at += strlen(arg) + 1;
        if (arg[0] != '\0') { /* a rewritten title is followed by many NULs */
            code = clm_strs_add(out, arg, err);
        }
    }
    return code;
}

/* The value of an option: behind its letter, or the next argument; NULL if there is none. */
static const char *option_value(const char *const *argv, size_t n, size_t *io_i, size_t letter)
{
    const char *arg = argv[*io_i];

    if (arg[letter + 1] != '\0') {
        return arg + letter + 1;
    }
    return *io_i + 1 < n ? argv[++*io_i] : NULL;
}

/* The value of -g, which is several words where quoting was lost. */
static enum clm_code join_directives(const char *const *argv, size_t n, size_t *io_i,
                                     const char *first, struct clm_nginx_args *out,
                                     struct clm_err *err)
{
    enum clm_code code = clm_str_copy(out->directives, sizeof(out->directives), first, err);

    while (code == CLM_OK && *io_i + 1 < n && argv[*io_i + 1][0] != '-') {
        size_t len = strlen(out->directives);

        code = clm_str_fmt(out->directives + len, sizeof(out->directives) - len, err, " %s",
                           argv[++*io_i]);
    }
    return code;
}

static enum clm_code nginx_words(const char *const *argv, size_t n, struct clm_nginx_args *out,
                                 struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < n && code == CLM_OK; i++) {
        const char *value;

        if (argv[i][0] != '-' || argv[i][1] == '\0' || strchr("cpge", argv[i][1]) == NULL) {
            continue;
        }
        char letter = argv[i][1];

        value = option_value(argv, n, &i, 1);
        if (value == NULL) {
            continue;
        }
        if (letter == 'c') {
            code = clm_str_copy(out->conf, sizeof(out->conf), value, err);
        } else if (letter == 'p') {
            code = clm_str_copy(out->prefix, sizeof(out->prefix), value, err);
        } else if (letter == 'e') {
            code = clm_str_copy(out->error_log, sizeof(out->error_log), value, err);
        } else {
            code = join_directives(argv, n, &i, value, out, err);
        }
    }
    return code;
}

enum clm_code clm_nginx_args_parse(const struct clm_strs *argv, struct clm_nginx_args *out,
                                   struct clm_err *err)
{
    static const char title[] = "nginx: master process ";
    CLM_CLEANUP(clm_strs_done) struct clm_strs words = {0};
    enum clm_code code = CLM_OK;
    char *copy;
    char *rest;

    *out = (struct clm_nginx_args){.conf = ""};
    if (argv->n != 1 || !clm_str_starts(argv->v[0], title)) {
        return nginx_words((const char *const *)argv->v, argv->n, out, err);
    }
    copy = strdup(argv->v[0] + strlen(title));
    if (copy == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "command line");
    }
    rest = copy;
    while (rest != NULL && code == CLM_OK) {
        char *word = strsep(&rest, " ");

        if (word[0] != '\0') {
            code = clm_strs_add(&words, word, err);
        }
    }
    free(copy);
    return code == CLM_OK ? nginx_words((const char *const *)words.v, words.n, out, err) : code;
}

void clm_apache_args_done(struct clm_apache_args *args)
{
    clm_strs_done(&args->defines);
}

static enum clm_code apache_option(char letter, const char *value, struct clm_apache_args *out,
                                   struct clm_err *err)
{
    switch (letter) {
    case 'f':
        return clm_str_copy(out->conf, sizeof(out->conf), value, err);
    case 'd':
        return clm_str_copy(out->root, sizeof(out->root), value, err);
    case 'D':
        return clm_strs_add_once(&out->defines, value, err);
    case 'c':
    case 'C':
        out->has_directives = true;
        return CLM_OK;
    default:
        return CLM_OK;
    }
}

enum clm_code clm_apache_args_parse(const struct clm_strs *argv, struct clm_apache_args *out,
                                    struct clm_err *err)
{
    static const char with_value[] = "fdDcCkeE";
    const char *const *v = (const char *const *)argv->v;
    enum clm_code code = CLM_OK;

    for (size_t i = 1; i < argv->n && code == CLM_OK; i++) {
        size_t letter = 1;
        const char *value;
        char option;

        if (v[i][0] != '-') {
            continue;
        }
        while (v[i][letter] != '\0' && strchr(with_value, v[i][letter]) == NULL) {
            letter++; /* "-X": options without a value */
        }
        option = v[i][letter];
        if (option == '\0') {
            continue;
        }
        value = option_value(v, argv->n, &i, letter);
        if (value != NULL) {
            code = apache_option(option, value, out, err);
        }
    }
    return code;
}

static enum clm_code check_owner(const char *path, const struct clm_stat *st, struct clm_err *err)
{
    bool group_writes = (st->mode & 0020) != 0 && st->gid != 0;

    if (st->uid == 0 && !group_writes && (st->mode & 0002) == 0) {
        return CLM_OK;
    }
    return clm_err_set(
        err, CLM_E_PERM,
        "'%s' can be changed by others than root (owner %u, group %u, mode %04o), so "
        "it is not run: make root its owner and remove write permission of others",
        path, st->uid, st->gid, st->mode);
}

enum clm_code clm_program_check(const struct clm_io *io, const char *path, struct clm_err *err)
{
    char part[PATH_MAX];
    enum clm_code code = clm_str_copy(part, sizeof(part), path, err);

    if (code == CLM_OK && path[0] != '/') {
        return clm_err_set(err, CLM_E_NOTFOUND, "the server's program is not known");
    }
    while (code == CLM_OK) {
        char *slash = strrchr(part, '/');
        struct clm_stat st = {0};

        code = io->stat(io->ctx, part[0] == '\0' ? "/" : part, true, &st, err);
        if (code == CLM_OK) {
            code = check_owner(part[0] == '\0' ? "/" : part, &st, err);
        }
        if (slash == NULL) {
            break;
        }
        *slash = '\0';
    }
    return code;
}
