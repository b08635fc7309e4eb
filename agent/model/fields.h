/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields - tables that map the members of a struct to the members of a JSON object
 *
 * One table drives writing and reading, so the two cannot drift apart. For agent/model only; other
 * folders use the typed functions beside the structs.
 */
#ifndef CLM_MODEL_FIELDS_H
#define CLM_MODEL_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"

#define CLM_FIELD_LIST_MAX                                                                         \
    10000u /* elements of a list of our own; the text's size is the real limit */

enum clm_field_kind {
    CLM_FIELD_TEXT,  /* char[size]; bytes that are not UTF-8 are written as '?' */
    CLM_FIELD_EXACT, /* char[size]; text that is not UTF-8 is written as null, so reading refuses */
    CLM_FIELD_SHA256, /* char[CLM_SHA256_HEX_SIZE]: 64 lower-case digits, "" if optional */
    CLM_FIELD_BOOL,   /* bool */
    CLM_FIELD_U16,    /* uint16_t, min..max */
    CLM_FIELD_I32,    /* int32_t */
    CLM_FIELD_U32,    /* uint32_t */
    CLM_FIELD_U64,    /* uint64_t, at most CLM_JSON_INT_MAX */
    CLM_FIELD_I64,    /* int64_t */
    CLM_FIELD_TIME,   /* int64_t unix seconds as RFC 3339 text; null and 0 outside 1970..9999 */
    CLM_FIELD_LIST,   /* struct clm_strs, each of at most size - 1 bytes */
};

struct clm_field {
    const char *key; /* NULL ends a table */
    enum clm_field_kind kind;
    bool required; /* missing or null is PARSE; otherwise it leaves what is there */
    size_t offset;
    size_t size; /* TEXT, EXACT, LIST: bytes, NUL included */
    int64_t min; /* numbers */
    int64_t max;
};

/* Writes every member of the table into obj. */
void clm_fields_to_json(const struct clm_field *table, const void *object, struct clm_json *obj);

/* Reads every member of the table; unknown members are not looked at. object is zeroed by the
 * caller, who frees its lists also on failure. Errors: PARSE, LIMIT, NOMEM, with the key's name. */
CLM_MUST_USE enum clm_code clm_fields_from_json(const struct clm_field *table,
                                                const struct clm_json *obj, void *object,
                                                struct clm_err *err);

/* text with every byte that does not belong to UTF-8 as '?', as a new string; NULL on no memory. */
char *clm_text_to_utf8(const char *text);

/* True for 64 lower-case hexadecimal digits. */
bool clm_is_sha256(const char *text);

/*
 * Makes room for one more zeroed element of an array that only grows here; returns it and counts
 * it, or NULL on no memory. Room doubles at powers of two, so no capacity is stored.
 */
void *clm_array_grow(void **io_items, size_t *io_n, size_t item_size);

#endif
