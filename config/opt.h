/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opt - a table of options, and the generic loader behind it
 *
 * One row says everything about an option: where it stands in the file, where it goes in memory,
 * what it may be, what it is by default, and what the manual says. Loader, manual page and
 * "clmbot config show" all read the same row.
 */
#ifndef CLM_CONFIG_OPT_H
#define CLM_CONFIG_OPT_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/json.h"
#include "config/yaml.h"

#define CLM_OPTS_MAX 64 /* rows of a table */

enum clm_opt_type {
    CLM_OPT_TEXT, /* char[size] */
    CLM_OPT_ENUM, /* char[size]; one of choices */
    CLM_OPT_INT,  /* uint32_t or int64_t by size; min..max in unit */
    CLM_OPT_BOOL, /* bool */
    CLM_OPT_LIST, /* struct clm_strs */
    CLM_OPT_MAP,  /* struct clm_policy_webroot * at offset, count (size_t) at count_offset */
    CLM_OPT_TREE, /* struct clm_json *: an object of objects by name; each is given to check */
};

/* What a text, or one element of a list, or one value of a map must look like. */
enum clm_opt_form {
    CLM_FORM_ANY,    /* printable, not empty */
    CLM_FORM_PATH,   /* absolute directory without "." and ".."; stored without slash at the end */
    CLM_FORM_NAME,   /* DNS name, "*.example.com" or IP address; stored normalised */
    CLM_FORM_TARGET, /* target id in which '*' stands for any run of characters */
    CLM_FORM_KIND,   /* name of a scanner: a-z, digits, '_' */
    CLM_FORM_CHOICE, /* one of choices */
    CLM_FORM_USER,   /* name of a user or group */
    CLM_FORM_PROXY,  /* "" or http://host:port, without a password */
};

struct clm_opt {
    const char *key; /* "policy.names.allow"; NULL ends a table */
    enum clm_opt_type type;
    enum clm_opt_form form;
    size_t offset;
    size_t size; /* bytes of the member */
    size_t count_offset;
    const char *unit; /* "s", "days"; NULL none */
    int64_t min;
    int64_t max;
    const char *const *choices; /* NULL-ended */
    /* Of a TREE: is this one well-formed? The message begins with the member. */
    enum clm_code (*check)(const struct clm_json *value, struct clm_err *err);
    bool is_list;         /* of a TREE: each is a list of texts instead of an object */
    const char *fallback; /* default as text; a list's elements are parted by a space */
    const char *text;     /* one or two sentences for the manual */
    const char *since;    /* version that brought it */
};

/* Where each row of a table was set; row i of the table is element i. */
struct clm_opt_seen {
    struct {
        const char *file; /* NULL: not set, the default holds */
        size_t line;
    } at[CLM_OPTS_MAX];
};

/* Puts the defaults of every row into object, which is zeroed. Errors: NOMEM; BUG a bad default. */
CLM_MUST_USE enum clm_code clm_opt_defaults(const struct clm_opt *table, void *object,
                                            struct clm_err *err);

/*
 * clm_opt_apply() - what one file says
 *
 * In      table   rows
 *         root    of the file, a map
 *         file    its name, for messages; kept in seen
 * In/out  seen    zeroed before the first file
 *         object  with defaults, or with what earlier files said
 * Effect  a list or map of the first file that has it replaces the default, later files add to it.
 * Errors  CONFIG with "file:line:column: ...": unknown key (and the one that was meant), wrong
 *         type, out of range, a scalar that an earlier file has set; NOMEM
 */
CLM_MUST_USE enum clm_code clm_opt_apply(const struct clm_opt *table, const struct clm_yaml *root,
                                         const char *file, struct clm_opt_seen *seen, void *object,
                                         struct clm_err *err);

/* ---- opt_value.c ---- */

/* "file:line:column: " of a value, for the messages of one option. */
struct clm_opt_place {
    const char *file;
    size_t line;
    size_t column;
};

/* Sets a scalar option or adds an element to a list from text. is_plain: it had no quotes.
 * Errors: CONFIG; NOMEM. */
CLM_MUST_USE enum clm_code clm_opt_set(const struct clm_opt *opt, const char *text, bool is_plain,
                                       const struct clm_opt_place *place, void *object,
                                       struct clm_err *err);
/* Adds name: value to a map. Errors: CONFIG also for a name that is there; NOMEM. */
CLM_MUST_USE enum clm_code clm_opt_set_entry(const struct clm_opt *opt, const char *name,
                                             const char *value, const struct clm_opt_place *place,
                                             void *object, struct clm_err *err);
/* Adds name: a map of texts, true, false, lists and maps, to a tree. Errors: CONFIG also for a name
 * that is there; NOMEM. */
CLM_MUST_USE enum clm_code clm_opt_set_tree(const struct clm_opt *opt, const struct clm_yaml *node,
                                            const char *file, void *object, struct clm_err *err);
/* Appends a tree as YAML in flow style, which is JSON; tree may be NULL. */
CLM_MUST_USE enum clm_code clm_opt_show_tree(const struct clm_json *tree, struct clm_buf *out,
                                             struct clm_err *err);
/* Empties a list, map or tree. */
void clm_opt_clear(const struct clm_opt *opt, void *object);
/* Appends the value as YAML on one line: "30", "[a, b]". Errors: NOMEM, LIMIT. */
CLM_MUST_USE enum clm_code clm_opt_show(const struct clm_opt *opt, const void *object,
                                        struct clm_buf *out, struct clm_err *err);
/* "number", "list of texts" ... for messages and the manual. */
const char *clm_opt_type_words(const struct clm_opt *opt);

#endif
