/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/formats/apache_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "agent/formats/apache_conf.h"

#define ENVVARS_MAX ((size_t)64 * 1024) /* Debian's file has 2 KiB */
#define NAME_LEN    128u                /* longest name of a variable we keep */

void clm_apache_vars_done(struct clm_apache_vars *vars)
{
    clm_strs_done(&vars->names);
    clm_strs_done(&vars->values);
}

static size_t index_of(const struct clm_apache_vars *vars, const char *name)
{
    size_t i = 0;

    while (i < vars->names.n && strcmp(vars->names.v[i], name) != 0) {
        i++;
    }
    return i;
}

const char *clm_apache_vars_get(const struct clm_apache_vars *vars, const char *name)
{
    size_t i = index_of(vars, name);

    return i < vars->names.n ? vars->values.v[i] : NULL;
}

enum clm_code clm_apache_vars_set(struct clm_apache_vars *vars, const char *name, const char *value,
                                  struct clm_err *err)
{
    size_t i = index_of(vars, name);
    enum clm_code code;
    char *copy;

    if (i < vars->names.n) {
        copy = strdup(value);
        if (copy == NULL) {
            return clm_err_set(err, CLM_E_NOMEM, "variable '%s'", name);
        }
        free(vars->values.v[i]);
        vars->values.v[i] = copy;
        return CLM_OK;
    }
    if (i >= CLM_APACHE_VARS_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "more than %d variables are defined",
                           CLM_APACHE_VARS_MAX);
    }
    code = clm_strs_add(&vars->values, value, err);
    if (code == CLM_OK) {
        code = clm_strs_add(&vars->names, name, err);
    }
    return code;
}

void clm_apache_vars_unset(struct clm_apache_vars *vars, const char *name)
{
    size_t i = index_of(vars, name);

    if (i < vars->names.n) {
        vars->names.v[i][0] = '\0'; /* no lookup asks for an empty name */
    }
}

/* The length of a shell variable's name at text; 0 if there is none. */
static size_t name_len(const char *text)
{
    size_t n = 0;

    if (isdigit((unsigned char)text[0])) {
        return 0;
    }
    while (isalnum((unsigned char)text[n]) || text[n] == '_') {
        n++;
    }
    return n < NAME_LEN ? n : 0;
}

/* "$NAME" or "${NAME}" at *io_text: appends its value. PARSE: an expansion that is not known. */
static enum clm_code shell_variable(const struct clm_apache_vars *vars, const char **io_text,
                                    struct clm_buf *out, struct clm_err *err)
{
    const char *text = *io_text + 1;
    bool brace = *text == '{';
    char name[NAME_LEN];
    const char *value;
    size_t len;

    text += brace;
    len = name_len(text);
    if (len == 0 || (brace && text[len] != '}')) {
        return CLM_E_PARSE;
    }
    memcpy(name, text, len);
    name[len] = '\0';
    *io_text = text + len + brace;
    value = clm_apache_vars_get(vars, name);
    return clm_buf_add_str(out, value == NULL ? "" : value, err);
}

/* The right side of an assignment. PARSE: something only a shell can tell. */
static enum clm_code shell_value(const struct clm_apache_vars *vars, const char *text,
                                 struct clm_buf *out, struct clm_err *err)
{
    enum clm_code code = CLM_OK;
    char quote = '\0';

    clm_buf_reset(out);
    while (*text != '\0' && code == CLM_OK) {
        if (quote == '\0' && (isspace((unsigned char)*text) || *text == ';')) {
            break;
        }
        if (*text == '`' || (*text == '$' && text[1] == '(')) {
            return CLM_E_PARSE;
        }
        if (*text == quote) {
            quote = '\0';
            text++;
        } else if (quote == '\0' && (*text == '"' || *text == '\'')) {
            quote = *text++;
        } else if (*text == '$' && quote != '\'') {
            code = shell_variable(vars, &text, out, err);
        } else {
            text += *text == '\\' && quote != '\'' && text[1] != '\0';
            code = clm_buf_add(out, text++, 1, err);
        }
    }
    return code == CLM_OK && quote != '\0' ? CLM_E_PARSE : code;
}

static bool is_word(const char *line, const char *word)
{
    size_t len = strlen(word);

    return strncmp(line, word, len) == 0 &&
           (line[len] == '\0' || isspace((unsigned char)line[len]) || line[len] == ';');
}

static enum clm_code shell_line(struct clm_apache_vars *vars, const char *line, int *io_depth,
                                struct clm_buf *value, struct clm_err *err)
{
    char name[NAME_LEN];
    enum clm_code code;
    size_t len;

    line += strspn(line, " \t");
    if (is_word(line, "if") || is_word(line, "case")) {
        ++*io_depth;
    } else if (is_word(line, "fi") || is_word(line, "esac")) {
        *io_depth -= *io_depth > 0;
        return CLM_OK;
    }
    if (*io_depth > 0) {
        return CLM_OK;
    }
    if (is_word(line, "export")) {
        line += strlen("export");
        line += strspn(line, " \t");
    }
    len = name_len(line);
    if (len == 0 || line[len] != '=') {
        return CLM_OK;
    }
    memcpy(name, line, len);
    name[len] = '\0';
    code = shell_value(vars, line + len + 1, value, err);
    if (code == CLM_OK) {
        return clm_apache_vars_set(vars, name, clm_buf_str(value), err);
    }
    return code == CLM_E_NOMEM ? code : CLM_OK;
}

static enum clm_code preset(const char *confdir, struct clm_apache_vars *vars, struct clm_err *err)
{
    static const char many[] = "/etc/apache2-";
    const char *suffix = clm_str_starts(confdir, many) ? confdir + strlen(many) - 1 : "";
    enum clm_code code = clm_apache_vars_set(vars, "APACHE_CONFDIR", confdir, err);

    return code == CLM_OK ? clm_apache_vars_set(vars, "SUFFIX", suffix, err) : code;
}

enum clm_code clm_apache_envvars(const struct clm_io *io, const char *path, const char *confdir,
                                 struct clm_apache_vars *vars, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(ENVVARS_MAX + 1);
    CLM_CLEANUP(clm_buf_done) struct clm_buf value = CLM_BUF_INIT(CLM_APACHE_WORD_MAX);
    enum clm_code code = io->read_file(io->ctx, path, ENVVARS_MAX, &text, err);
    int depth = 0;
    char *rest;

    if (code == CLM_E_NOTFOUND) {
        return CLM_OK;
    }
    if (code == CLM_OK) {
        code = preset(confdir, vars, err);
    }
    if (code != CLM_OK || text.len == 0) {
        return code;
    }
    rest = (char *)text.data;
    while (rest != NULL && code == CLM_OK) {
        char *line = strsep(&rest, "\n");

        code = shell_line(vars, line, &depth, &value, err);
    }
    return code;
}
