/* SPDX-License-Identifier: Apache-2.0 */
#include "config/opt.h"

#include <string.h>

#include "agent/base/str.h"

#define KEY_SIZE  128 /* a whole key with its dots, NUL included */
#define GUESS_MAX 48  /* bytes of a key for which a guess is made */

struct walk {
    const struct clm_opt *table;
    const char *file;
    struct clm_opt_seen *seen;
    void *object;
};

/* ---- defaults ---- */

static enum clm_code default_list(const struct clm_opt *opt, void *object, struct clm_err *err)
{
    static const struct clm_opt_place place = {"built-in default", 0, 0};
    enum clm_code code = CLM_OK;

    for (const char *p = opt->fallback; *p != '\0' && code == CLM_OK;) {
        size_t len = strcspn(p, " ");
        char item[KEY_SIZE];

        code = clm_str_fmt(item, sizeof(item), err, "%.*s", (int)len, p);
        if (code == CLM_OK) {
            code = clm_opt_set(opt, item, true, &place, object, err);
        }
        p += len + strspn(p + len, " ");
    }
    return code;
}

enum clm_code clm_opt_defaults(const struct clm_opt *table, void *object, struct clm_err *err)
{
    static const struct clm_opt_place place = {"built-in default", 0, 0};

    for (const struct clm_opt *opt = table; opt->key != NULL; opt++) {
        enum clm_code code = CLM_OK;

        if (opt->fallback == NULL || opt->type == CLM_OPT_MAP || opt->type == CLM_OPT_TREE) {
            continue;
        }
        code = opt->type == CLM_OPT_LIST
                   ? default_list(opt, object, err)
                   : clm_opt_set(opt, opt->fallback, true, &place, object, err);
        if (code != CLM_OK) {
            return code == CLM_E_NOMEM ? code : clm_err_wrap(err, CLM_E_BUG, "option table");
        }
    }
    return CLM_OK;
}

/* ---- unknown keys ---- */

/* The part of a row's key that stands directly in the section (""; or "policy."), and its length;
 * NULL if the row is elsewhere. */
static const char *part_in(const struct clm_opt *opt, const char *section, size_t *out_len)
{
    size_t len = strlen(section);

    if (strncmp(opt->key, section, len) != 0) {
        return NULL;
    }
    *out_len = strcspn(opt->key + len, ".");
    return opt->key + len;
}

/* Insertions, removals and replacements that turn a into b; both at most GUESS_MAX bytes. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t row[GUESS_MAX + 1];

    for (size_t k = 0; k <= b_len; k++) {
        row[k] = k;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t k = 1; k <= b_len; k++) {
            size_t best = diagonal + (a[i - 1] == b[k - 1] ? 0 : 1);

            diagonal = row[k];
            best = row[k - 1] + 1 < best ? row[k - 1] + 1 : best;
            row[k] = row[k] + 1 < best ? row[k] + 1 : best;
        }
    }
    return row[b_len];
}

/* The key of the section that is nearest to what was written; NULL if none is near. */
static const char *guess(const struct clm_opt *table, const char *section, const char *key,
                         size_t *out_len)
{
    size_t key_len = strlen(key);
    size_t best = key_len / 3 + 1;
    const char *found = NULL;

    if (key_len > GUESS_MAX) {
        return NULL;
    }
    for (const struct clm_opt *opt = table; opt->key != NULL; opt++) {
        size_t len = 0;
        const char *part = part_in(opt, section, &len);
        size_t far;

        if (part == NULL || len > GUESS_MAX) {
            continue;
        }
        far = distance(key, key_len, part, len);
        if (far <= best && (found == NULL || far < best)) {
            best = far;
            found = part;
            *out_len = len;
        }
    }
    return found;
}

static enum clm_code list_known(const struct clm_opt *table, const char *section,
                                struct clm_buf *out)
{
    const char *last = "";
    size_t last_len = 0;

    for (const struct clm_opt *opt = table; opt->key != NULL; opt++) {
        size_t len = 0;
        const char *part = part_in(opt, section, &len);
        enum clm_code code;

        if (part == NULL || (len == last_len && strncmp(part, last, len) == 0)) {
            continue;
        }
        code = clm_buf_addf(out, NULL, "%s%.*s", last_len == 0 ? "" : ", ", (int)len, part);
        if (code != CLM_OK) {
            return code;
        }
        last = part;
        last_len = len;
    }
    return CLM_OK;
}

static enum clm_code unknown_key(const struct walk *walk, const char *section,
                                 const struct clm_yaml *node, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf known = CLM_BUF_INIT(256);
    const char *key = clm_yaml_key(node);
    size_t line = clm_yaml_key_line(node);
    size_t column = clm_yaml_key_column(node);
    size_t section_len = strlen(section);
    char where[KEY_SIZE + 16] = "";
    size_t len = 0;
    const char *near = guess(walk->table, section, key, &len);

    if (section_len > 0 && clm_str_fmt(where, sizeof(where), err, " in '%.*s'",
                                       (int)section_len - 1, section) != CLM_OK) {
        return CLM_E_LIMIT;
    }
    if (near != NULL) {
        return clm_err_set(err, CLM_E_CONFIG,
                           "%s:%zu:%zu: unknown key '%.60s'%s; did you mean '%.*s'?", walk->file,
                           line, column, key, where, (int)len, near);
    }
    if (list_known(walk->table, section, &known) != CLM_OK) {
        return clm_err_set(err, CLM_E_CONFIG, "%s:%zu:%zu: unknown key '%.60s'%s", walk->file, line,
                           column, key, where);
    }
    return clm_err_set(err, CLM_E_CONFIG, "%s:%zu:%zu: unknown key '%.60s'%s; known are %s",
                       walk->file, line, column, key, where, clm_buf_str(&known));
}

/* ---- values ---- */

static struct clm_opt_place place_of(const struct walk *walk, const struct clm_yaml *node)
{
    struct clm_opt_place place = {walk->file, clm_yaml_line(node), clm_yaml_column(node)};

    return place;
}

static enum clm_code wrong_type(const struct walk *walk, const struct clm_opt *opt,
                                const struct clm_yaml *node, struct clm_err *err)
{
    static const char *const found[] = {
        [CLM_YAML_SCALAR] = "a text", [CLM_YAML_LIST] = "a list", [CLM_YAML_MAP] = "a map"};
    const char *is = clm_yaml_is_null(node) ? "nothing" : found[clm_yaml_kind(node)];
    const char *words = clm_opt_type_words(opt);

    return clm_err_set(err, CLM_E_CONFIG, "%s:%zu:%zu: '%s': must be %s %s, not %s", walk->file,
                       clm_yaml_line(node), clm_yaml_column(node), opt->key,
                       words[0] == 'a' ? "an" : "a", words, is);
}

static enum clm_code apply_list(const struct walk *walk, const struct clm_opt *opt,
                                const struct clm_yaml *node, struct clm_err *err)
{
    if (clm_yaml_kind(node) != CLM_YAML_LIST) {
        return wrong_type(walk, opt, node, err);
    }
    for (const struct clm_yaml *item = clm_yaml_first(node); item != NULL;
         item = clm_yaml_next(item)) {
        struct clm_opt_place place = place_of(walk, item);
        enum clm_code code;

        if (clm_yaml_kind(item) != CLM_YAML_SCALAR || clm_yaml_is_null(item)) {
            return clm_err_set(err, CLM_E_CONFIG, "%s:%zu:%zu: '%s': an element must be a text",
                               place.file, place.line, place.column, opt->key);
        }
        code = clm_opt_set(opt, clm_yaml_text(item), clm_yaml_is_plain(item), &place, walk->object,
                           err);
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

static enum clm_code apply_map(const struct walk *walk, const struct clm_opt *opt,
                               const struct clm_yaml *node, struct clm_err *err)
{
    if (clm_yaml_kind(node) != CLM_YAML_MAP) {
        return wrong_type(walk, opt, node, err);
    }
    for (const struct clm_yaml *item = clm_yaml_first(node); item != NULL;
         item = clm_yaml_next(item)) {
        struct clm_opt_place place = place_of(walk, item);
        enum clm_code code;

        if (clm_yaml_kind(item) != CLM_YAML_SCALAR || clm_yaml_is_null(item)) {
            return clm_err_set(err, CLM_E_CONFIG, "%s:%zu:%zu: '%s': '%.60s' must be a text",
                               place.file, place.line, place.column, opt->key, clm_yaml_key(item));
        }
        code = clm_opt_set_entry(opt, clm_yaml_key(item), clm_yaml_text(item), &place, walk->object,
                                 err);
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

static enum clm_code apply_tree(const struct walk *walk, const struct clm_opt *opt,
                                const struct clm_yaml *node, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    if (clm_yaml_kind(node) != CLM_YAML_MAP) {
        return wrong_type(walk, opt, node, err);
    }
    for (const struct clm_yaml *item = clm_yaml_first(node); code == CLM_OK && item != NULL;
         item = clm_yaml_next(item)) {
        code = clm_opt_set_tree(opt, item, walk->file, walk->object, err);
    }
    return code;
}

static enum clm_code apply_option(const struct walk *walk, const struct clm_opt *opt,
                                  const struct clm_yaml *node, struct clm_err *err)
{
    size_t i = (size_t)(opt - walk->table);
    bool many = opt->type == CLM_OPT_LIST || opt->type == CLM_OPT_MAP || opt->type == CLM_OPT_TREE;
    const char *earlier = walk->seen->at[i].file;
    struct clm_opt_place place = place_of(walk, node);

    if (earlier != NULL && !many) {
        return clm_err_set(err, CLM_E_CONFIG,
                           "%s:%zu:%zu: '%s': already set in %s, line %zu; remove one of the two",
                           place.file, place.line, place.column, opt->key, earlier,
                           walk->seen->at[i].line);
    }
    if (earlier == NULL) {
        clm_opt_clear(opt, walk->object);
        walk->seen->at[i].file = walk->file;
        walk->seen->at[i].line = clm_yaml_line(node);
    }
    if (opt->type == CLM_OPT_LIST) {
        return apply_list(walk, opt, node, err);
    }
    if (opt->type == CLM_OPT_MAP) {
        return apply_map(walk, opt, node, err);
    }
    if (opt->type == CLM_OPT_TREE) {
        return apply_tree(walk, opt, node, err);
    }
    if (clm_yaml_kind(node) != CLM_YAML_SCALAR || clm_yaml_is_null(node)) {
        return wrong_type(walk, opt, node, err);
    }
    return clm_opt_set(opt, clm_yaml_text(node), clm_yaml_is_plain(node), &place, walk->object,
                       err);
}

/* ---- the file ---- */

static const struct clm_opt *find_option(const struct clm_opt *table, const char *key)
{
    for (; table->key != NULL; table++) {
        if (strcmp(table->key, key) == 0) {
            return table;
        }
    }
    return NULL;
}

static bool is_section(const struct clm_opt *table, const char *prefix)
{
    for (; table->key != NULL; table++) {
        if (clm_str_starts(table->key, prefix)) {
            return true;
        }
    }
    return false;
}

/* The recursion ends with the table's own sections: three levels at most. */
static enum clm_code apply_section(const struct walk *walk, const char *section,
                                   const struct clm_yaml *map, struct clm_err *err)
{
    for (const struct clm_yaml *node = clm_yaml_first(map); node != NULL;
         node = clm_yaml_next(node)) {
        char key[KEY_SIZE];
        char prefix[KEY_SIZE];
        const struct clm_opt *opt;
        enum clm_code code = CLM_OK;

        if (strchr(clm_yaml_key(node), '.') != NULL ||
            clm_str_fmt(key, sizeof(key), NULL, "%s%s", section, clm_yaml_key(node)) != CLM_OK ||
            clm_str_fmt(prefix, sizeof(prefix), NULL, "%s.", key) != CLM_OK) {
            return unknown_key(walk, section, node, err);
        }
        opt = find_option(walk->table, key);
        if (opt != NULL) {
            code = apply_option(walk, opt, node, err);
        } else if (!is_section(walk->table, prefix)) {
            code = unknown_key(walk, section, node, err);
        } else if (clm_yaml_kind(node) == CLM_YAML_MAP) {
            code = apply_section(walk, prefix, node, err);
        } else if (!clm_yaml_is_null(node)) {
            code = clm_err_set(err, CLM_E_CONFIG, "%s:%zu:%zu: '%s': must be a map of options",
                               walk->file, clm_yaml_line(node), clm_yaml_column(node), key);
        }
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

enum clm_code clm_opt_apply(const struct clm_opt *table, const struct clm_yaml *root,
                            const char *file, struct clm_opt_seen *seen, void *object,
                            struct clm_err *err)
{
    const struct walk walk = {table, file, seen, object};

    if (clm_yaml_is_null(root)) {
        return CLM_OK;
    }
    if (clm_yaml_kind(root) != CLM_YAML_MAP) {
        return clm_err_set(err, CLM_E_CONFIG, "%s:%zu:%zu: must be a map of options", file,
                           clm_yaml_line(root), clm_yaml_column(root));
    }
    return apply_section(&walk, "", root, err);
}
