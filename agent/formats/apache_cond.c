/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/formats/apache_parts.h"

#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/formats/conf_files.h"

#define MODULES_MAX                                                                                \
    2000 /* names; httpd itself has some 130 modules, each with two or three names */

/* ${NAME} at text: its value and where it ends; NULL if it stays as it is. */
static const char *variable_at(const struct clm_apache_state *state, const char *text,
                               const char *end, const char **out_after)
{
    const char *close = memchr(text, '}', (size_t)(end - text));
    const char *value;
    char name[256];
    size_t len;

    if (end - text < 3 || text[0] != '$' || text[1] != '{' || close == NULL) {
        return NULL;
    }
    len = (size_t)(close - text) - 2;
    if (len == 0 || len >= sizeof(name)) {
        return NULL;
    }
    memcpy(name, text + 2, len);
    name[len] = '\0';
    *out_after = close + 1;
    value = clm_apache_vars_get(&state->defines, name);
    return value != NULL ? value : clm_apache_vars_get(&state->env, name);
}

static enum clm_code expand(const struct clm_apache_state *state, const char *text, size_t len,
                            struct clm_buf *out, struct clm_err *err)
{
    const char *end = text + len;
    enum clm_code code = CLM_OK;

    while (text < end && code == CLM_OK) {
        const char *after = NULL;
        const char *value = variable_at(state, text, end, &after);

        if (value != NULL) {
            code = clm_buf_add_str(out, value, err);
            text = after;
        } else {
            code = clm_buf_add(out, text++, 1, err);
        }
    }
    return code;
}

/* Removes the backslash before a backslash or, inside quotes, before the quote. */
static enum clm_code unescape(const char *from, const char *to, char quote, struct clm_buf *out,
                              struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    while (from < to && code == CLM_OK) {
        if (*from == '\\' && from + 1 < to &&
            (from[1] == '\\' || (quote != '\0' && from[1] == quote))) {
            from++;
        }
        code = clm_buf_add(out, from++, 1, err);
    }
    return code;
}

enum clm_code clm_apache_word(const struct clm_apache_state *state, const char **io_text,
                              struct clm_buf *word, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf raw = CLM_BUF_INIT(word->max);
    const char *p = *io_text + strspn(*io_text, " \t\v\f\r\n");
    const char *from = p;
    char quote = '\0';
    enum clm_code code;

    if (*p == '"' || *p == '\'') {
        quote = *p;
        from = ++p;
    }
    if (quote != '\0') {
        while (*p != '\0' && *p != quote) {
            p += *p == '\\' && (p[1] == quote || p[1] == '\\') ? 2 : 1;
        }
    } else {
        p += strcspn(p, " \t\v\f\r\n");
    }
    clm_buf_reset(word);
    code = unescape(from, p, quote, &raw, err);
    if (code == CLM_OK) {
        code = expand(state, clm_buf_str(&raw), raw.len, word, err);
    }
    p += quote != '\0' && *p == quote; /* a quote that is never closed ends with the line */
    *io_text = p + strspn(p, " \t\v\f\r\n");
    return code;
}

/* Adds prefix, the first len bytes of name, suffix. */
static enum clm_code add_name(struct clm_apache_state *state, const char *prefix, const char *name,
                              int len, const char *suffix, struct clm_err *err)
{
    char text[256];

    if (state->modules.n >= MODULES_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "more than %d modules are loaded", MODULES_MAX / 4);
    }
    (void)snprintf(text, sizeof(text), "%s%.*s%s", prefix, len, name, suffix);
    return clm_strs_add_once(&state->modules, text, err);
}

/* The sources of a module are not named in LoadModule: "mod_ssl.c" is guessed from "mod_ssl.so"
 * and "ssl_module", which holds for all modules of httpd ("prefork.c" and its kin besides). */
enum clm_code clm_apache_add_module(struct clm_apache_state *state, const char *identifier,
                                    const char *file, struct clm_err *err)
{
    const char *slash = strrchr(file, '/');
    const char *base = slash == NULL ? file : slash + 1;
    int base_len = (int)strcspn(base, ".");
    int id_len = (int)strlen(identifier);
    enum clm_code code;

    code = add_name(state, "", identifier, id_len, "", err);
    if (code == CLM_OK && clm_str_ends(identifier, "_module")) {
        code = add_name(state, "mod_", identifier, id_len - (int)strlen("_module"), ".c", err);
    }
    if (code == CLM_OK && base_len > 0) {
        code = add_name(state, "", base, base_len, ".c", err);
    }
    if (code == CLM_OK && clm_str_starts(base, "mod_mpm_")) {
        int skip = (int)strlen("mod_mpm_");

        code = add_name(state, "", base + skip, base_len - skip, ".c", err);
    }
    return code;
}

enum clm_code clm_apache_add_static(struct clm_apache_state *state, struct clm_err *err)
{
    static const char *const names[] = {
        "core.c",           "core_module",       "http_core.c",    "http_module",
        "mod_so.c",         "so_module",         "mod_watchdog.c", "watchdog_module",
        "mod_log_config.c", "log_config_module", "mod_logio.c",    "logio_module",
        "mod_version.c",    "version_module",    "mod_unixd.c",    "unixd_module",
    };
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < CLM_ARRAY_LEN(names) && code == CLM_OK; i++) {
        code = clm_strs_add_once(&state->modules, names[i], err);
    }
    return code;
}

static bool has_file(const struct clm_apache_state *state, const char *name)
{
    struct clm_stat st = {0};
    char path[PATH_MAX];

    return clm_conf_path(state->server_root, name, path, sizeof(path), NULL) == CLM_OK &&
           state->io->stat(state->io->ctx, path, true, &st, NULL) == CLM_OK;
}

static bool matches(const struct clm_apache_state *state, const char *pattern)
{
    char version[64];
    char text[256];
    regex_t regex;
    size_t len;
    bool hit;

    (void)snprintf(version, sizeof(version), "%d.%d.%d", state->version[0], state->version[1],
                   state->version[2]);
    (void)snprintf(text, sizeof(text), "%s", pattern[0] == '/' ? pattern + 1 : pattern);
    len = strlen(text);
    if (pattern[0] == '/' && len > 0 && text[len - 1] == '/') {
        text[len - 1] = '\0';
    }
    if (regcomp(&regex, text, REG_EXTENDED | REG_NOSUB) != 0) {
        return false;
    }
    hit = regexec(&regex, version, 0, NULL, 0) == 0;
    regfree(&regex);
    return hit;
}

void clm_apache_version(const char *text, int out[3])
{
    for (size_t i = 0; i < 3; i++) {
        char *end = NULL;
        long part = strtol(text, &end, 10);

        out[i] = part < 0 || part > 9999 ? 0 : (int)part;
        text = *end == '.' ? end + 1 : "";
    }
}

/* state's version against "2.4", "2.4.7": parts that are not given count as 0. */
static int compare_version(const struct clm_apache_state *state, const char *text)
{
    int want[3];
    int result = 0;

    clm_apache_version(text, want);
    for (size_t i = 0; i < 3 && result == 0; i++) {
        result = (state->version[i] > want[i]) - (state->version[i] < want[i]);
    }
    return result;
}

static bool version_holds(const struct clm_apache_state *state, const char *operation,
                          const char *version)
{
    bool invert = operation[0] == '!';
    int order;
    bool holds;

    operation += invert;
    order = compare_version(state, version);
    if (strcmp(operation, "~") == 0 || version[0] == '/') {
        holds = matches(state, version);
    } else if (strcmp(operation, ">=") == 0) {
        holds = order >= 0;
    } else if (strcmp(operation, "<=") == 0) {
        holds = order <= 0;
    } else if (strcmp(operation, ">") == 0) {
        holds = order > 0;
    } else if (strcmp(operation, "<") == 0) {
        holds = order < 0;
    } else {
        holds = order == 0;
    }
    return holds != invert;
}

static bool module_is_loaded(const struct clm_apache_state *state, const char *name)
{
    return clm_strs_has(&state->modules, name);
}

static bool is_defined(const struct clm_apache_state *state, const char *name)
{
    return clm_apache_vars_get(&state->defines, name) != NULL;
}

enum clm_apache_cond clm_apache_decide(const struct clm_apache_state *state, const char *name,
                                       const struct clm_strs *args)
{
    static const struct {
        const char *name;
        bool (*holds)(const struct clm_apache_state *, const char *);
    } tests[] = {
        {"ifmodule", module_is_loaded},
        {"ifdefine", is_defined},
        {"iffile", has_file},
    };
    const char *arg = args->n > 0 ? args->v[0] : "";

    for (size_t i = 0; i < CLM_ARRAY_LEN(tests); i++) {
        if (strcmp(name, tests[i].name) == 0) {
            bool invert = arg[0] == '!';

            return tests[i].holds(state, arg + invert) != invert ? CLM_APACHE_TRUE
                                                                 : CLM_APACHE_FALSE;
        }
    }
    if (strcmp(name, "ifversion") == 0) {
        const char *version = args->n > 1 ? args->v[1] : arg;

        return version_holds(state, args->n > 1 ? arg : "=", version) ? CLM_APACHE_TRUE
                                                                      : CLM_APACHE_FALSE;
    }
    if (strcmp(name, "macro") == 0 || strcmp(name, "ifdirective") == 0 ||
        strcmp(name, "ifsection") == 0 || strcmp(name, "perl") == 0) {
        return CLM_APACHE_SKIPPED;
    }
    return CLM_APACHE_PLAIN;
}
