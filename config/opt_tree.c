/* SPDX-License-Identifier: Apache-2.0 */
/* Options whose values have members of their own: kept as JSON, checked by whoever knows them. */
#include <string.h>

#include "agent/base/str.h"
#include "agent/model/job.h"
#include "config/opt.h"

/* Where and what: clm_opt_set_tree() and the values below it. */
struct tree {
    const struct clm_opt *opt;
    const char *file;
    const char *name; /* of the entry */
};

static enum clm_code refuse(const struct tree *tree, const struct clm_yaml *at, const char *why,
                            struct clm_err *err)
{
    return clm_err_set(err, CLM_E_CONFIG, "%s:%zu:%zu: '%s': '%.64s': %s", tree->file,
                       clm_yaml_line(at), clm_yaml_column(at), tree->opt->key, tree->name, why);
}

static enum clm_code fill_map(const struct tree *tree, const struct clm_yaml *map,
                              struct clm_json *obj, struct clm_err *err);

static enum clm_code fill_list(const struct tree *tree, const struct clm_yaml *list,
                               struct clm_json *array, struct clm_err *err)
{
    for (const struct clm_yaml *item = clm_yaml_first(list); item != NULL;
         item = clm_yaml_next(item)) {
        enum clm_code code = CLM_OK;

        if (clm_yaml_kind(item) == CLM_YAML_MAP) {
            code = fill_map(tree, item, clm_json_add_object(array), err);
        } else if (clm_yaml_kind(item) == CLM_YAML_SCALAR && !clm_yaml_is_null(item)) {
            clm_json_add_str(array, clm_yaml_text(item));
        } else {
            code = refuse(tree, item, "an element of a list must be a text or a map", err);
        }
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

/* A scalar without quotes that is true or false is a boolean, every other one a text. */
static void fill_scalar(const struct clm_yaml *item, struct clm_json *obj)
{
    const char *text = clm_yaml_text(item);
    bool is_true = strcmp(text, "true") == 0;

    if (clm_yaml_is_plain(item) && (is_true || strcmp(text, "false") == 0)) {
        clm_json_set_bool(obj, clm_yaml_key(item), is_true);
    } else {
        clm_json_set_str(obj, clm_yaml_key(item), text);
    }
}

/* As deep as the text: yaml.h has the limit. */
static enum clm_code fill_map(const struct tree *tree, const struct clm_yaml *map,
                              struct clm_json *obj, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (const struct clm_yaml *item = clm_yaml_first(map); code == CLM_OK && item != NULL;
         item = clm_yaml_next(item)) {
        const char *key = clm_yaml_key(item);

        if (clm_yaml_is_null(item)) {
            code = refuse(tree, item, "a member has no value", err);
        } else if (clm_yaml_kind(item) == CLM_YAML_SCALAR) {
            fill_scalar(item, obj);
        } else if (clm_yaml_kind(item) == CLM_YAML_LIST) {
            code = fill_list(tree, item, clm_json_set_array(obj, key), err);
        } else {
            code = fill_map(tree, item, clm_json_set_object(obj, key), err);
        }
    }
    return code;
}

static enum clm_code check_entry(const struct tree *tree, const struct clm_yaml *node,
                                 const struct clm_json *known, struct clm_err *err)
{
    if (!clm_job_name_is_valid(tree->name)) {
        return refuse(tree, node, "is not a name of a-z, 0-9 and ._-", err);
    }
    if (clm_yaml_kind(node) != (tree->opt->is_list ? CLM_YAML_LIST : CLM_YAML_MAP)) {
        return refuse(tree, node, tree->opt->is_list ? "must be a list" : "must be a map", err);
    }
    return clm_json_get(known, tree->name) != NULL ? refuse(tree, node, "is already set", err)
                                                   : CLM_OK;
}

enum clm_code clm_opt_set_tree(const struct clm_opt *opt, const struct clm_yaml *node,
                               const char *file, void *object, struct clm_err *err)
{
    const struct tree tree = {opt, file, clm_yaml_key(node)};
    struct clm_json **root = (void *)((unsigned char *)object + opt->offset);
    struct clm_json *value = NULL;
    struct clm_err why = {.code = CLM_OK};
    enum clm_code code = check_entry(&tree, node, *root, err);

    if (code != CLM_OK) {
        return code;
    }
    value = opt->is_list ? clm_json_new_array() : clm_json_new_object();
    code = opt->is_list ? fill_list(&tree, node, value, err) : fill_map(&tree, node, value, err);
    if (code == CLM_OK && value == NULL) {
        code = clm_err_set(err, CLM_E_NOMEM, "configuration");
    }
    if (code == CLM_OK && opt->check(value, &why) != CLM_OK) {
        code = why.code == CLM_E_NOMEM ? clm_err_set(err, why.code, "configuration")
                                       : refuse(&tree, node, why.msg, err);
    }
    if (code != CLM_OK) {
        clm_json_free(value);
        return code;
    }
    if (*root == NULL) {
        *root = clm_json_new_object();
    }
    clm_json_set_take(*root, tree.name, value);
    return clm_json_get(*root, tree.name) != NULL ? CLM_OK
                                                  : clm_err_set(err, CLM_E_NOMEM, "configuration");
}

enum clm_code clm_opt_show_tree(const struct clm_json *tree, struct clm_buf *out,
                                struct clm_err *err)
{
    return tree == NULL ? clm_buf_add_str(out, "{}", err) : clm_json_print(tree, false, out, err);
}
