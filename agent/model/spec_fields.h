/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec_fields - tables for the members of a job's "spec", whose texts are borrowed
 *
 * A table also closes its object: a member that it does not list is an error. For job_spec.c.
 */
#ifndef CLM_MODEL_SPEC_FIELDS_H
#define CLM_MODEL_SPEC_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/model/job.h"

enum clm_spec_kind {
    CLM_SPEC_TEXT,   /* const char *: max bytes, no control characters */
    CLM_SPEC_RAW,    /* const char *: max bytes, whatever JSON allows */
    CLM_SPEC_ID,     /* const char *: "<prefix>_<ULID>", the prefix in choices[0] */
    CLM_SPEC_NAME,   /* const char *: clm_job_name_is_valid() */
    CLM_SPEC_SHA256, /* const char * */
    CLM_SPEC_PATH,   /* const char *: absolute */
    CLM_SPEC_CHOICE, /* const char *: one of choices; missing and not required: choices[0] */
    CLM_SPEC_ONLY,   /* the value must be missing or choices[0]; else UNSUPPORTED; not stored */
    CLM_SPEC_OFF,    /* bool that must be missing or false; else UNSUPPORTED; not stored */
    CLM_SPEC_NONE,   /* must be missing or null; else UNSUPPORTED */
    CLM_SPEC_HOOK,   /* must be missing or null; else INVAL: hooks are registered on the host */
    CLM_SPEC_BOOL,   /* bool */
    CLM_SPEC_U32,    /* uint32_t, min..max */
    CLM_SPEC_I64,    /* int64_t, min..max */
    CLM_SPEC_TIME,   /* int64_t, unix seconds */
    CLM_SPEC_OTHER,  /* read by code of its own; listed so that it is known */
};

struct clm_spec_field {
    const char *key; /* NULL ends a table */
    enum clm_spec_kind kind;
    bool required;
    size_t offset;
    int64_t min;
    int64_t max; /* texts: bytes */
    const char *const *choices;
};

/* A row of a table: where a member goes, and what it may be. */
#define CLM_SPEC_ROW(kind_, key_, required_, type_, member_, min_, max_, choices_)                 \
    {                                                                                              \
        .key = (key_), .kind = (kind_), .required = (required_),                                   \
        .offset = offsetof(type_, member_), .min = (min_), .max = (max_), .choices = (choices_)    \
    }
#define CLM_SPEC_LOOSE(kind_, key_, choices_)                                                      \
    {                                                                                              \
        .key = (key_), .kind = (kind_), .choices = (choices_)                                      \
    }
#define CLM_SPEC_END                                                                               \
    {                                                                                              \
        .key = NULL                                                                                \
    }

/* Reads obj into the struct at base, where defaults already are. job, if not NULL, says which
 * unknown members may be skipped. Errors: PARSE, LIMIT, INVAL, UNSUPPORTED with the member. */
CLM_MUST_USE enum clm_code clm_spec_fields_read(const struct clm_spec_field *table,
                                                const struct clm_json *obj,
                                                const struct clm_job_envelope *job, void *base,
                                                struct clm_err *err);

/* The same for the member key of parent; a missing or null one is success. */
CLM_MUST_USE enum clm_code clm_spec_object_read(const struct clm_spec_field *table,
                                                const struct clm_json *parent, const char *key,
                                                void *base, struct clm_err *err);

typedef enum clm_code (*clm_spec_element_fn)(const struct clm_json *node, void *arg,
                                             struct clm_err *err);
/* Calls read for each of at most max elements of the array under key; a missing or null one has
 * none. Errors are wrapped with "<key>/<index>". */
CLM_MUST_USE enum clm_code clm_spec_elements_read(const struct clm_json *obj, const char *key,
                                                  size_t max, clm_spec_element_fn read, void *arg,
                                                  struct clm_err *err);

/* ---- parts that several types share: spec_parts.c ---- */

/* "192.0.2.1:443" or "[2001:db8::1]:443" into addr and port. Errors: INVAL with the key. */
CLM_MUST_USE enum clm_code clm_spec_connect_read(const char *key, const char *text,
                                                 struct clm_endpoint *out, struct clm_err *err);
/* Normalises sni into the endpoint; NULL leaves it. Errors: INVAL. */
CLM_MUST_USE enum clm_code clm_spec_sni_read(const char *sni, struct clm_endpoint *endpoint,
                                             struct clm_err *err);
/* The member "verify" of parent, with defaults if there is none. */
CLM_MUST_USE enum clm_code clm_spec_verify_read(const struct clm_json *parent,
                                                struct clm_spec_verify *out, struct clm_err *err);
/* The members "verify" and "pre_checks" of parent, with defaults. */
CLM_MUST_USE enum clm_code clm_spec_how_read(const struct clm_json *parent,
                                             struct clm_spec_deploy_how *how, struct clm_err *err);
/* clm_key_type_names() as choices. */
extern const char *const clm_spec_key_types[];
/* The members of "hooks": all must be null. */
extern const struct clm_spec_field clm_spec_hook_fields[];

/* ---- the readers of single types; job_spec.c has the table ---- */

CLM_MUST_USE enum clm_code clm_spec_order_read(const struct clm_job_envelope *job,
                                               struct clm_job_spec *out, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_spec_deploy_read(const struct clm_job_envelope *job,
                                                struct clm_job_spec *out, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_spec_rollback_read(const struct clm_job_envelope *job,
                                                  struct clm_job_spec *out, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_spec_recheck_read(const struct clm_job_envelope *job,
                                                 struct clm_job_spec *out, struct clm_err *err);

#endif
