/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/formats/nginx_conf.h"

#include <limits.h>
#include <string.h>

#include "agent/base/buf.h"

#define ARGS_MAX  65535u /* of one directive: a long server_name list has some thousands */
#define TOKEN_MAX ((size_t)1024 * 1024) /* bytes of one token */

/* One file being read. */
struct reader {
    struct clm_conf_tree *tree;
    const char *conf_dir; /* what includes are relative to */
    const char *name;
    const char *p;
    const char *end;
    int line;
    struct clm_conf_node *block; /* directives go here */
    struct clm_conf_node *top;   /* the block in which this file was included */
    struct clm_strs args;
    int start_line; /* of the directive being read */
    struct clm_buf token;
};

static enum clm_code load_file(struct clm_conf_tree *tree, const char *conf_dir, const char *path,
                               const struct reader *from, struct clm_err *err);

static enum clm_code bad(const struct reader *r, struct clm_err *err, const char *why)
{
    return clm_err_set(err, CLM_E_PARSE, "%s:%d: %s", r->name, r->line, why);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Skips white space and comments; counts lines. */
static void skip_blank(struct reader *r)
{
    while (r->p < r->end) {
        if (*r->p == '#') {
            while (r->p < r->end && *r->p != '\n') {
                r->p++;
            }
        } else if (is_space(*r->p)) {
            r->line += *r->p == '\n';
            r->p++;
        } else {
            return;
        }
    }
}

/* Adds the token between from and to, with nginx's escapes resolved. */
static enum clm_code add_token(struct reader *r, const char *from, const char *to,
                               struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    clm_buf_reset(&r->token);
    while (from < to && code == CLM_OK) {
        char c = *from++;

        if (c == '\\' && from < to) {
            static const char plain[] = "\"'\\";
            static const char letters[] = "trn";
            static const char meant[] = "\t\r\n";
            const char *hit = strchr(letters, *from);

            if (strchr(plain, *from) != NULL) {
                c = *from++;
            } else if (hit != NULL) {
                c = meant[hit - letters];
                from++;
            }
        }
        code = clm_buf_add(&r->token, &c, 1, err);
    }
    if (code == CLM_OK && r->args.n >= ARGS_MAX) {
        return bad(r, err, "a directive has too many arguments");
    }
    if (code == CLM_OK) {
        code = clm_strs_add(&r->args, clm_buf_str(&r->token), err);
    }
    return code;
}

/* Steps from a backslash to what it makes stand for itself; false if there is none. */
static bool skip_backslash(struct reader *r)
{
    if (*r->p != '\\' || r->p + 1 >= r->end) {
        return false;
    }
    r->p++;
    r->line += *r->p == '\n';
    return true;
}

static enum clm_code read_quoted(struct reader *r, struct clm_err *err)
{
    char quote = *r->p++;
    const char *from = r->p;
    int first = r->line;
    enum clm_code code;

    while (r->p < r->end && *r->p != quote) {
        r->line += !skip_backslash(r) && *r->p == '\n';
        r->p++;
    }
    if (r->p >= r->end) {
        return clm_err_set(err, CLM_E_PARSE, "%s:%d: the quote that begins here is not closed",
                           r->name, first);
    }
    code = add_token(r, from, r->p, err);
    if (code != CLM_OK) {
        return code;
    }
    r->p++;
    if (r->p < r->end && !is_space(*r->p) && strchr(";{)", *r->p) == NULL) {
        return bad(r, err, "a quoted argument is not followed by a space, ';' or '{'");
    }
    if (r->p < r->end && *r->p == ')') {
        r->p++; /* nginx takes it for a space */
    }
    return CLM_OK;
}

static enum clm_code read_plain(struct reader *r, struct clm_err *err)
{
    const char *from = r->p;

    while (r->p < r->end && !is_space(*r->p) && *r->p != ';' && *r->p != '{') {
        if (!skip_backslash(r) && *r->p == '$' && r->p + 1 < r->end && r->p[1] == '{') {
            r->p++; /* "${name}": this brace begins no block */
        }
        r->p++;
    }
    return add_token(r, from, r->p, err);
}

/* Behind "[": the number of "=" if this is a Lua long bracket "[==[", else -1. */
static int long_bracket(const struct reader *r, const char *p)
{
    int level = 0;

    while (p < r->end && *p == '=') {
        level++;
        p++;
    }
    return p < r->end && *p == '[' ? level : -1;
}

static void skip_long_bracket(struct reader *r, int level)
{
    r->p += level + 2; /* "[", the "="s, "[" */
    while (r->p < r->end) {
        if (*r->p == ']' && r->end - r->p > level + 1 && r->p[level + 1] == ']' &&
            strspn(r->p + 1, "=") >= (size_t)level) {
            r->p += level + 2;
            return;
        }
        r->line += *r->p == '\n';
        r->p++;
    }
}

static void skip_lua_string(struct reader *r)
{
    char quote = *r->p++;

    while (r->p < r->end && *r->p != quote && *r->p != '\n') {
        (void)skip_backslash(r);
        r->p++;
    }
    if (r->p < r->end && *r->p == quote) {
        r->p++;
    }
}

/* r->p is at a character of Lua: skips it, or the whole string or comment that begins there. */
static void skip_lua_item(struct reader *r)
{
    bool comment = r->end - r->p >= 2 && r->p[0] == '-' && r->p[1] == '-';
    const char *bracket = r->p + (comment ? 2 : 0);
    int level = -1;

    if (bracket < r->end && *bracket == '[') {
        level = long_bracket(r, bracket + 1);
    }
    if (level >= 0) {
        r->p = bracket;
        skip_long_bracket(r, level);
    } else if (comment) {
        while (r->p < r->end && *r->p != '\n') {
            r->p++;
        }
    } else if (*r->p == '"' || *r->p == '\'') {
        skip_lua_string(r);
    } else {
        r->line += *r->p == '\n';
        r->p++;
    }
}

/* From behind the opening brace to behind the one that closes it. */
static enum clm_code skip_lua(struct reader *r, struct clm_err *err)
{
    int first = r->line;
    size_t depth = 1;

    while (r->p < r->end) {
        if (*r->p == '{') {
            depth++;
        } else if (*r->p == '}') {
            depth--;
            if (depth == 0) {
                r->p++;
                return CLM_OK;
            }
        }
        skip_lua_item(r);
    }
    return clm_err_set(err, CLM_E_PARSE, "%s:%d: the Lua block that begins here is not closed",
                       r->name, first);
}

static size_t depth_of(const struct clm_conf_node *node)
{
    size_t depth = 0;

    while (node->parent != NULL) {
        depth++;
        node = node->parent;
    }
    return depth;
}

static enum clm_code open_block(struct reader *r, struct clm_err *err)
{
    bool lua = r->args.n > 0 && clm_str_ends(r->args.v[0], "_by_lua_block");
    struct clm_conf_place place = {.file = r->name, .line = r->start_line};
    struct clm_conf_node *node = NULL;
    enum clm_code code;

    r->p++;
    if (r->args.n == 0) {
        return bad(r, err, "unexpected '{'");
    }
    if (depth_of(r->block) >= CLM_CONF_BLOCK_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "%s:%d: blocks are nested deeper than %d", r->name,
                           r->line, CLM_CONF_BLOCK_MAX);
    }
    code = clm_conf_tree_add(r->tree, r->block, &r->args, &place, &node, err);
    if (code != CLM_OK) {
        return code;
    }
    node->is_block = true;
    clm_strs_done(&r->args);
    if (lua) {
        return skip_lua(r, err);
    }
    r->block = node;
    return CLM_OK;
}

static enum clm_code include(struct reader *r, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs paths = {0};
    char pattern[PATH_MAX];
    enum clm_code code;

    code = clm_conf_path(r->conf_dir, r->args.v[1], pattern, sizeof(pattern), err);
    if (code == CLM_OK) {
        code = clm_conf_glob(r->tree->files.io, pattern, &paths, err);
    }
    for (size_t i = 0; i < paths.n && code == CLM_OK; i++) {
        code = load_file(r->tree, r->conf_dir, paths.v[i], r, err);
    }
    return code;
}

static enum clm_code end_directive(struct reader *r, struct clm_err *err)
{
    struct clm_conf_place place = {.file = r->name, .line = r->start_line};
    struct clm_conf_node *node = NULL;
    enum clm_code code;

    r->p++;
    if (r->args.n == 0) {
        return bad(r, err, "unexpected ';'");
    }
    if (r->args.n == 2 && strcmp(r->args.v[0], "include") == 0) {
        code = include(r, err);
    } else {
        code = clm_conf_tree_add(r->tree, r->block, &r->args, &place, &node, err);
    }
    clm_strs_done(&r->args);
    return code;
}

static enum clm_code close_block(struct reader *r, struct clm_err *err)
{
    if (r->args.n > 0) {
        return bad(r, err, "unexpected '}': the directive before it is not ended by ';'");
    }
    if (r->block == r->top) {
        return bad(r, err, "unexpected '}'");
    }
    r->block = r->block->parent;
    r->p++;
    return CLM_OK;
}

static enum clm_code read_item(struct reader *r, struct clm_err *err)
{
    switch (*r->p) {
    case ';':
        return end_directive(r, err);
    case '{':
        return open_block(r, err);
    case '}':
        return close_block(r, err);
    default:
        break;
    }
    if (r->args.n == 0) {
        r->start_line = r->line;
    }
    if (*r->p == '"' || *r->p == '\'') {
        return read_quoted(r, err);
    }
    return read_plain(r, err);
}

static enum clm_code read_all(struct reader *r, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    skip_blank(r);
    while (r->p < r->end && code == CLM_OK) {
        code = read_item(r, err);
        if (code == CLM_OK) {
            skip_blank(r);
        }
    }
    if (code != CLM_OK) {
        return code;
    }
    if (r->args.n > 0) {
        return clm_err_set(err, CLM_E_PARSE, "%s:%d: the directive '%s' is not ended by ';'",
                           r->name, r->start_line, r->args.v[0]);
    }
    if (r->block != r->top) {
        return clm_err_set(err, CLM_E_PARSE, "%s:%d: the block '%s' is not closed by '}'", r->name,
                           r->block->line, r->block->args[0]);
    }
    return CLM_OK;
}

/* from: the reader whose include names this file; NULL for the main file. */
static enum clm_code load_file(struct clm_conf_tree *tree, const char *conf_dir, const char *path,
                               const struct reader *from, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_CONF_BYTES_MAX);
    struct reader r = {.tree = tree, .conf_dir = conf_dir, .line = 1};
    enum clm_code code = clm_conf_files_enter(&tree->files, path, &text, &r.name, err);

    if (code != CLM_OK && from != NULL) {
        return clm_err_wrap(err, code, "%s:%d: include", from->name, from->start_line);
    }
    if (code != CLM_OK) {
        return code;
    }
    r.block = from == NULL ? &tree->root : from->block;
    r.top = r.block;
    r.p = clm_buf_str(&text);
    r.end = r.p + text.len;
    r.token.max = TOKEN_MAX;
    code = read_all(&r, err);
    clm_conf_files_leave(&tree->files);
    clm_buf_done(&r.token);
    clm_strs_done(&r.args);
    return code;
}

enum clm_code clm_nginx_conf_load(const struct clm_io *io, const char *path,
                                  struct clm_conf_tree *tree, struct clm_err *err)
{
    char dir[PATH_MAX];
    enum clm_code code = clm_conf_dirname(path, dir, sizeof(dir), err);

    if (code != CLM_OK) {
        return code;
    }
    tree->files.io = io;
    return load_file(tree, dir, path, NULL, err);
}
