/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/formats/apache_conf.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/formats/apache_parts.h"

#define LINE_MAX_BYTES ((size_t)16 * 1024 * 1024) /* httpd: VARBUF_MAX_LEN */
#define ARGS_MAX       65535u
#define NOTES_MAX      100u

/* A section that is open in the file being read. */
struct frame {
    char name[64];
    int line;
    enum clm_apache_cond cond;
    struct clm_conf_node *outer; /* block to go on with behind its end */
};

/* One file being read. */
struct reader {
    struct clm_conf_tree *tree;
    struct clm_apache_state *state;
    const char *name;
    const char *p;
    const char *end;
    int next_line;
    int line; /* of the line being looked at */
    struct clm_conf_node *block;
    struct frame frames[CLM_CONF_BLOCK_MAX];
    size_t n_frames;
    size_t skipping; /* open sections that are false, with all inside them */
    struct clm_buf text;
    struct clm_buf word;
};

static enum clm_code load_file(const struct reader *from, const char *path, struct clm_err *err);

static enum clm_code bad(const struct reader *r, struct clm_err *err, const char *why)
{
    return clm_err_set(err, CLM_E_PARSE, "%s:%d: %s", r->name, r->line, why);
}

static enum clm_code note(const struct reader *r, struct clm_err *err, const char *what,
                          const char *name)
{
    char text[512];

    if (r->tree->notes.n >= NOTES_MAX) {
        return CLM_OK;
    }
    (void)snprintf(text, sizeof(text), "%s:%d: %s '%.128s' is not followed", r->name, r->line, what,
                   name);
    return clm_strs_add_once(&r->tree->notes, text, err);
}

/* The next line without its end, continued lines joined, blanks around it removed. */
static enum clm_code read_line(struct reader *r, struct clm_err *err)
{
    enum clm_code code = CLM_OK;
    bool more = true;

    clm_buf_reset(&r->text);
    r->line = r->next_line;
    while (more && r->p < r->end && code == CLM_OK) {
        const char *newline = memchr(r->p, '\n', (size_t)(r->end - r->p));
        size_t len = (size_t)((newline == NULL ? r->end : newline) - r->p);
        const char *from = r->p;

        r->p += len + (newline != NULL);
        r->next_line++;
        len -= len > 0 && from[len - 1] == '\r';
        more = len > 0 && from[len - 1] == '\\';
        len -= more;
        code = clm_buf_add(&r->text, from, len, err);
    }
    while (r->text.len > 0 && isspace(r->text.data[r->text.len - 1])) {
        r->text.data[--r->text.len] = '\0';
    }
    return code;
}

static void to_lower(char *text)
{
    for (; *text != '\0'; text++) {
        *text = (char)tolower((unsigned char)*text);
    }
}

/* All words of text. */
static enum clm_code split(struct reader *r, const char *text, struct clm_strs *out,
                           struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    while (*text != '\0' && code == CLM_OK) {
        if (out->n >= ARGS_MAX) {
            return bad(r, err, "a directive has too many arguments");
        }
        code = clm_apache_word(r->state, &text, &r->word, err);
        if (code == CLM_OK) {
            code = clm_strs_add(out, clm_buf_str(&r->word), err);
        }
    }
    return code;
}

static enum clm_code include_path(const struct reader *r, const char *path, size_t depth,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs entries = {0};
    const struct clm_io *io = r->state->io;
    struct clm_stat st = {0};
    enum clm_code code = io->stat(io->ctx, path, true, &st, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "%s:%d: Include", r->name, r->line);
    }
    if (st.kind != CLM_FILE_DIRECTORY) {
        return load_file(r, path, err);
    }
    if (depth >= CLM_CONF_DEPTH_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "%s:%d: directories are nested deeper than %d",
                           r->name, r->line, CLM_CONF_DEPTH_MAX);
    }
    code = clm_conf_list(io, path, &entries, err);
    for (size_t i = 0; i < entries.n && code == CLM_OK; i++) {
        code = include_path(r, entries.v[i], depth + 1, err);
    }
    return code;
}

static enum clm_code include(struct reader *r, const char *pattern, bool optional,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs paths = {0};
    struct clm_stat st = {0};
    char path[PATH_MAX];
    enum clm_code code;

    code = clm_conf_path(r->state->server_root, pattern, path, sizeof(path), err);
    if (code == CLM_OK) {
        code = clm_conf_glob(r->state->io, path, &paths, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "%s:%d: Include", r->name, r->line);
    }
    if (paths.n == 0 && !optional) {
        return clm_err_set(err, CLM_E_CONFIG, "%s:%d: Include: nothing matches '%s'", r->name,
                           r->line, path);
    }
    for (size_t i = 0; i < paths.n && code == CLM_OK; i++) {
        if (optional &&
            r->state->io->stat(r->state->io->ctx, paths.v[i], true, &st, NULL) == CLM_E_NOTFOUND) {
            continue;
        }
        code = include_path(r, paths.v[i], 0, err);
    }
    return code;
}

static enum clm_code on_include(struct reader *r, const struct clm_strs *args, struct clm_err *err)
{
    bool optional = strcmp(args->v[0], "includeoptional") == 0;

    if (args->n != 2) {
        return bad(r, err, "Include takes one argument");
    }
    return include(r, args->v[1], optional, err);
}

static enum clm_code on_define(struct reader *r, const struct clm_strs *args, struct clm_err *err)
{
    if (args->n < 2 || args->n > 3) {
        return bad(r, err, "Define takes a name and a value");
    }
    return clm_apache_vars_set(&r->state->defines, args->v[1], args->n > 2 ? args->v[2] : "", err);
}

static enum clm_code on_undefine(struct reader *r, const struct clm_strs *args, struct clm_err *err)
{
    if (args->n != 2) {
        return bad(r, err, "UnDefine takes one name");
    }
    clm_apache_vars_unset(&r->state->defines, args->v[1]);
    return CLM_OK;
}

static enum clm_code on_module(struct reader *r, const struct clm_strs *args, struct clm_err *err)
{
    if (args->n != 3) {
        return bad(r, err, "LoadModule takes a module and a file");
    }
    return clm_apache_add_module(r->state, args->v[1], args->v[2], err);
}

static enum clm_code on_root(struct reader *r, const struct clm_strs *args, struct clm_err *err)
{
    if (args->n != 2 || args->v[1][0] != '/') {
        return bad(r, err, "ServerRoot takes one absolute path");
    }
    return clm_str_copy(r->state->server_root, sizeof(r->state->server_root), args->v[1], err);
}

static enum clm_code on_use(struct reader *r, const struct clm_strs *args, struct clm_err *err)
{
    return note(r, err, "the use of macro", args->n > 1 ? args->v[1] : "");
}

/* Takes effect while the file is read, and is not in the tree. */
static const struct {
    const char *name;
    enum clm_code (*run)(struct reader *r, const struct clm_strs *args, struct clm_err *err);
} on_read[] = {
    {"include", on_include},   {"includeoptional", on_include}, {"define", on_define},
    {"undefine", on_undefine}, {"loadmodule", on_module},       {"serverroot", on_root},
    {"use", on_use},
};

static enum clm_code directive(struct reader *r, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs args = {0};
    struct clm_conf_place place = {.file = r->name, .line = r->line};
    struct clm_conf_node *node = NULL;
    enum clm_code code = split(r, clm_buf_str(&r->text), &args, err);

    if (code != CLM_OK) {
        return code;
    }
    assert(args.n > 0); /* blank lines do not get here */
    to_lower(args.v[0]);
    for (size_t i = 0; i < CLM_ARRAY_LEN(on_read); i++) {
        if (strcmp(args.v[0], on_read[i].name) == 0) {
            return on_read[i].run(r, &args, err);
        }
    }
    return clm_conf_tree_add(r->tree, r->block, &args, &place, &node, err);
}

/* Reads "<Name args>" into args, the name in lower case. */
static enum clm_code section_args(struct reader *r, const char *text, struct clm_strs *args,
                                  struct clm_err *err)
{
    size_t len = strlen(text);
    enum clm_code code;

    if (text[len - 1] != '>') {
        return bad(r, err, "a section's '<' is not closed by '>'");
    }
    r->text.data[--r->text.len] = '\0';
    code = split(r, text + 1, args, err);
    if (code == CLM_OK && (args->n == 0 || args->v[0][0] == '\0')) {
        return bad(r, err, "a section has no name");
    }
    if (code == CLM_OK) {
        to_lower(args->v[0]);
    }
    return code;
}

static enum clm_code open_section(struct reader *r, const char *text, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs args = {0};
    struct frame *frame = &r->frames[r->n_frames];
    enum clm_code code = section_args(r, text, &args, err);
    struct clm_strs rest;

    if (code != CLM_OK) {
        return code;
    }
    assert(args.n > 0);
    if (r->n_frames >= CLM_CONF_BLOCK_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "%s:%d: sections are nested deeper than %d", r->name,
                           r->line, CLM_CONF_BLOCK_MAX);
    }
    rest = (struct clm_strs){.v = args.v + 1, .n = args.n - 1};
    *frame = (struct frame){.line = r->line, .cond = CLM_APACHE_FALSE, .outer = r->block};
    (void)snprintf(frame->name, sizeof(frame->name), "%s", args.v[0]);
    r->n_frames++;
    if (r->skipping == 0) {
        frame->cond = clm_apache_decide(r->state, args.v[0], &rest);
    }
    if (r->skipping == 0 && frame->cond == CLM_APACHE_SKIPPED) {
        code = note(r, err, "section", args.n > 1 ? args.v[1] : args.v[0]);
    }
    if (frame->cond == CLM_APACHE_FALSE || frame->cond == CLM_APACHE_SKIPPED) {
        r->skipping++;
    } else if (frame->cond == CLM_APACHE_PLAIN) {
        struct clm_conf_place place = {.file = r->name, .line = r->line};
        struct clm_conf_node *node = NULL;

        code = clm_conf_tree_add(r->tree, r->block, &args, &place, &node, err);
        if (code == CLM_OK) {
            node->is_block = true;
            r->block = node;
        }
    }
    return code;
}

static enum clm_code close_section(struct reader *r, const char *text, struct clm_err *err)
{
    const struct frame *frame;
    char name[64];

    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(text + 2, " \t>"), text + 2);
    to_lower(name);
    if (strchr(text, '>') == NULL) {
        return bad(r, err, "a section's '</' is not closed by '>'");
    }
    if (r->n_frames == 0) {
        return clm_err_set(err, CLM_E_PARSE, "%s:%d: </%s> without <%s>", r->name, r->line, name,
                           name);
    }
    frame = &r->frames[r->n_frames - 1];
    if (strcmp(frame->name, name) != 0) {
        return clm_err_set(err, CLM_E_PARSE,
                           "%s:%d: </%s> found where </%s> was expected (line %d)", r->name,
                           r->line, name, frame->name, frame->line);
    }
    if (frame->cond == CLM_APACHE_FALSE || frame->cond == CLM_APACHE_SKIPPED) {
        r->skipping--;
    }
    r->block = frame->outer;
    r->n_frames--;
    return CLM_OK;
}

static enum clm_code read_all(struct reader *r, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    while (r->p < r->end && code == CLM_OK) {
        const char *text;

        code = read_line(r, err);
        text = clm_buf_str(&r->text);
        text += strspn(text, " \t\v\f\r");
        if (code != CLM_OK || *text == '\0' || *text == '#') {
            continue;
        }
        if (text[0] == '<' && text[1] == '/') {
            code = close_section(r, text, err);
        } else if (text[0] == '<') {
            code = open_section(r, text, err);
        } else if (r->skipping == 0) {
            code = directive(r, err);
        }
    }
    if (code == CLM_OK && r->n_frames > 0) {
        const struct frame *frame = &r->frames[r->n_frames - 1];

        return clm_err_set(err, CLM_E_PARSE, "%s:%d: <%s> is not closed", r->name, frame->line,
                           frame->name);
    }
    return code;
}

/* In the block of from, the reader whose Include names the file. */
static enum clm_code load_file(const struct reader *from, const char *path, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_CONF_BYTES_MAX);
    struct reader r = {.tree = from->tree,
                       .state = from->state,
                       .next_line = 1,
                       .block = from->block,
                       .text = CLM_BUF_INIT(LINE_MAX_BYTES),
                       .word = CLM_BUF_INIT(CLM_APACHE_WORD_MAX)};
    enum clm_code code = clm_conf_files_enter(&r.tree->files, path, &text, &r.name, err);

    if (code != CLM_OK && from->name != NULL) {
        return clm_err_wrap(err, code, "%s:%d: Include", from->name, from->line);
    }
    if (code != CLM_OK) {
        return code;
    }
    r.p = clm_buf_str(&text);
    r.end = r.p + text.len;
    code = read_all(&r, err);
    clm_conf_files_leave(&r.tree->files);
    clm_buf_done(&r.text);
    clm_buf_done(&r.word);
    return code;
}

static enum clm_code prepare(const struct clm_apache_source *source, struct clm_apache_state *state,
                             struct clm_err *err)
{
    const char *version = source->version[0] == '\0' ? "2.4.62" : source->version;
    char confdir[PATH_MAX];
    enum clm_code code;

    clm_apache_version(version, state->version);
    code = clm_str_copy(state->server_root, sizeof(state->server_root), source->server_root, err);
    if (code == CLM_OK) {
        code = clm_apache_add_static(state, err);
    }
    for (size_t i = 0; source->defines != NULL && i < source->defines->n && code == CLM_OK; i++) {
        code = clm_apache_vars_set(&state->defines, source->defines->v[i], "", err);
    }
    if (code == CLM_OK && source->envvars != NULL) {
        code = clm_conf_dirname(source->envvars, confdir, sizeof(confdir), err);
        if (code == CLM_OK) {
            code = clm_apache_envvars(state->io, source->envvars, confdir, &state->env, err);
        }
    }
    return code;
}

enum clm_code clm_apache_conf_load(const struct clm_io *io, const struct clm_apache_source *source,
                                   struct clm_conf_tree *tree, char *root, struct clm_err *err)
{
    struct clm_apache_state state = {.io = io};
    struct reader top = {.tree = tree, .state = &state, .block = &tree->root};
    enum clm_code code;

    tree->files.io = io;
    code = prepare(source, &state, err);
    if (code == CLM_OK) {
        code = load_file(&top, source->path, err);
    }
    if (code == CLM_OK) {
        code = clm_str_copy(root, PATH_MAX, state.server_root, err);
    }
    clm_apache_vars_done(&state.defines);
    clm_apache_vars_done(&state.env);
    clm_strs_done(&state.modules);
    return code;
}
