/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json - strict reading and complete writing of JSON; the only user of cJSON
 *
 * Reading refuses what cJSON lets through: duplicate keys, "\u0000", bad UTF-8, raw control
 * characters, leading zeros, trailing bytes, a BOM, numbers that are not finite, nesting beyond the
 * limit. Keys are compared byte for byte. Errors name the place: "/leases/0/fence: ...".
 *
 * Writing builds a tree. A failed allocation marks the tree, every later call on it is harmless,
 * and clm_json_print() reports it: so building needs no check at each step. Setting a key that exists
 * replaces its value. Bytes that are not UTF-8 are written as U+FFFD.
 */
#ifndef CLM_BASE_JSON_H
#define CLM_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define CLM_JSON_TEXT_MAX   262144u            /* bytes: 256 KiB; design.md 11 */
#define CLM_JSON_DEPTH_MAX  16                 /* design.md 11 */
#define CLM_JSON_INT_MAX    9007199254740991LL /* 2^53 - 1: cJSON holds numbers as double */
#define CLM_JSON_STRING_MAX 8192 /* bytes, unless a getter is given another; protocol.md 6.4 */

enum clm_json_kind {
    CLM_JSON_NULL,
    CLM_JSON_BOOL,
    CLM_JSON_NUMBER,
    CLM_JSON_STRING,
    CLM_JSON_ARRAY,
    CLM_JSON_OBJECT,
};

struct clm_json;

/* ---- reading ---- */

/*
 * clm_json_parse() - one JSON value, strictly
 *
 * In      text      len bytes, no NUL needed behind it
 *         max_bytes refuse longer input, normally CLM_JSON_TEXT_MAX
 * Out     out_root  the caller's, for clm_json_free()
 * Errors  LIMIT too long or too deep; PARSE with "line L column C: why"; NOMEM
 * Source  RFC 8259; RFC 7493 (I-JSON); protocol.md 18.3
 */
CLM_MUST_USE enum clm_code clm_json_parse(const char *text, size_t len, size_t max_bytes,
                                          struct clm_json **out_root, struct clm_err *err);
/* Accepts NULL. Only for roots. */
void clm_json_free(struct clm_json *root);
CLM_DEFINE_CLEANUP(struct clm_json, clm_json_free);

enum clm_json_kind clm_json_kind(const struct clm_json *node);
/* The member of that name, NULL if there is none, if it is null, or if obj is NULL or no object. */
const struct clm_json *clm_json_get(const struct clm_json *obj, const char *key);
/* Members of an array or object; 0 for everything else and for NULL. */
size_t clm_json_len(const struct clm_json *node);
/* Iteration in O(1) a step: first child of an array or object, next sibling; NULL at the end. */
const struct clm_json *clm_json_first(const struct clm_json *node);
const struct clm_json *clm_json_next(const struct clm_json *node);
/* The key under which node stands in its object; "" in an array. */
const char *clm_json_key(const struct clm_json *node);
/* The text of a string node; NULL if it is none. */
const char *clm_json_text(const struct clm_json *node);

/* Required members: PARSE with the key's name if missing or of another type, LIMIT if outside. */
CLM_MUST_USE enum clm_code clm_json_str(const struct clm_json *obj, const char *key, size_t max,
                                        const char **out, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_json_int(const struct clm_json *obj, const char *key, int64_t min,
                                        int64_t max, int64_t *out, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_json_bool(const struct clm_json *obj, const char *key, bool *out,
                                         struct clm_err *err);
CLM_MUST_USE enum clm_code clm_json_object(const struct clm_json *obj, const char *key,
                                           const struct clm_json **out, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_json_array(const struct clm_json *obj, const char *key, size_t max,
                                          const struct clm_json **out, struct clm_err *err);
/* Optional members: missing or null gives the default; a wrong type is still PARSE. */
CLM_MUST_USE enum clm_code clm_json_str_or(const struct clm_json *obj, const char *key, size_t max,
                                           const char *fallback, const char **out,
                                           struct clm_err *err);
CLM_MUST_USE enum clm_code clm_json_int_or(const struct clm_json *obj, const char *key, int64_t min,
                                           int64_t max, int64_t *io_value, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_json_bool_or(const struct clm_json *obj, const char *key,
                                            bool *io_value, struct clm_err *err);
/* PARSE if obj has a member that is not in the NULL-ended list; the message names it. */
CLM_MUST_USE enum clm_code clm_json_only(const struct clm_json *obj, const char *const *allowed,
                                         struct clm_err *err);

/* ---- writing ---- */

/* Never NULL: without memory a tree that is marked already, that stays empty and costs nothing. */
struct clm_json *clm_json_new_object(void);
struct clm_json *clm_json_new_array(void);
/* False if root is NULL, or memory was short when something was put anywhere into it: it is not to be
 * read as if it were all. clm_json_print() says the same by itself. */
bool clm_json_is_whole(const struct clm_json *root);
void clm_json_set_str(struct clm_json *obj, const char *key, const char *value); /* NULL: null */
void clm_json_set_int(struct clm_json *obj, const char *key, int64_t value);
void clm_json_set_real(struct clm_json *obj, const char *key, double value);
void clm_json_set_bool(struct clm_json *obj, const char *key, bool value);
void clm_json_set_null(struct clm_json *obj, const char *key);
/* New empty child; belongs to obj. */
struct clm_json *clm_json_set_object(struct clm_json *obj, const char *key);
struct clm_json *clm_json_set_array(struct clm_json *obj, const char *key);
/* child is given away, also on failure. */
void clm_json_set_take(struct clm_json *obj, const char *key, struct clm_json *child);
/* A deep copy of node (null if node is NULL). */
void clm_json_set_copy(struct clm_json *obj, const char *key, const struct clm_json *node);
void clm_json_remove(struct clm_json *obj, const char *key);
void clm_json_add_str(struct clm_json *array, const char *value);
void clm_json_add_int(struct clm_json *array, int64_t value);
struct clm_json *clm_json_add_object(struct clm_json *array);
void clm_json_add_take(struct clm_json *array, struct clm_json *child);
void clm_json_add_copy(struct clm_json *array, const struct clm_json *node);
/* Reading view of a tree being written, to change members found by clm_json_get(). */
struct clm_json *clm_json_edit(struct clm_json *obj, const char *key);

/*
 * Appends the text; pretty: two spaces of indent. out is unchanged on error. Errors: NOMEM (also of
 * any earlier step), LIMIT out is full or nesting beyond CLM_JSON_DEPTH_MAX, INVAL a number beyond
 * CLM_JSON_INT_MAX or not finite.
 */
CLM_MUST_USE enum clm_code clm_json_print(const struct clm_json *root, bool pretty,
                                          struct clm_buf *out, struct clm_err *err);

#endif
