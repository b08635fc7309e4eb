/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - a request and its answer as the handlers see them
 *
 * A handler runs inside one transaction and only fills the answer. It returns CLM_OK with an answer
 * (also a problem), or an error, which becomes 400 "schema" for PARSE, LIMIT and INVAL, and 500
 * otherwise. Everything but a 2xx answer undoes the transaction, unless keep is set.
 */
#ifndef CLM_CONTROLPLANE_HTTP_H
#define CLM_CONTROLPLANE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/rand.h"
#include "controlplane/problem.h"
#include "controlplane/route.h"
#include "controlplane/tx.h"

#define CLM_CP_HEADERS_OUT   8
#define CLM_CP_HEADER_VALUE  192
#define CLM_CP_RESPONSE_MAX  ((size_t)8 * 1024 * 1024) /* an inventory of 4 MiB fits */
#define CLM_CP_HEADER_IN_MAX ((size_t)8 * 1024) /* bytes of all request headers; protocol.md 6.4 */

struct clm_cp;

struct clm_cp_request {
    struct clm_cp *cp;
    struct clm_cp_tx *tx;
    const struct clm_cp_route *route;
    void *connection; /* for the header and query lookups below */
    const char *method;
    const char *path;
    char param[CLM_CP_PARAM_SIZE]; /* what stood for {id}; "{id}/{page}" */
    char id[CLM_ID_SIZE];          /* "req_..." */
    char remote[64];               /* the peer's address */
    const struct clm_buf *raw;     /* body as received */
    const struct clm_json *body;   /* NULL without one */
    /* set by authentication of an agent */
    char agent_id[CLM_ID_SIZE];
    char agent_status[16];
    /* a held request that is evaluated again */
    int64_t started_ms; /* clm_clock_mono_ms() of its arrival */
    bool is_again;      /* it was held before */
    bool is_last;       /* superseded, or the server stops: answer now */
};

struct clm_cp_answer {
    int status;               /* 0: hold the request and evaluate it again */
    const char *content_type; /* a literal */
    struct clm_buf body;
    struct {
        char name[32];
        char value[CLM_CP_HEADER_VALUE];
    } headers[CLM_CP_HEADERS_OUT];
    size_t n_headers;
    bool keep; /* commit although it is a problem */
    /* status 0 */
    char hold_topic[CLM_CP_TOPIC_SIZE];
    char hold_owner[CLM_CP_TOPIC_SIZE];
    int64_t hold_until_ms;
};

/* NULL if there is none. */
const char *clm_cp_request_header(const struct clm_cp_request *req, const char *name);
const char *clm_cp_request_query(const struct clm_cp_request *req, const char *name);
/* A number in the query; fallback if it is missing. Errors: PARSE. */
CLM_MUST_USE enum clm_code clm_cp_request_number(const struct clm_cp_request *req, const char *name,
                                                 int64_t max, int64_t *io_number,
                                                 struct clm_err *err);

/* Adds or replaces a header; a value that is too long is left out. */
void clm_cp_answer_header(struct clm_cp_answer *answer, const char *name, const char *value);
void clm_cp_answer_number(struct clm_cp_answer *answer, const char *name, int64_t value);
/* Sets status and JSON body. */
CLM_MUST_USE enum clm_code clm_cp_answer_json(struct clm_cp_answer *answer, int status,
                                              const struct clm_json *json, struct clm_err *err);
/* Sets a status without a body. */
enum clm_code clm_cp_answer_empty(struct clm_cp_answer *answer, int status);
/* Makes it a problem document; req gives instance and request id. Always CLM_OK, so that
 * "return clm_cp_answer_problem(...)" reads well. */
enum clm_code clm_cp_answer_problem(const struct clm_cp_request *req, struct clm_cp_answer *answer,
                                    enum clm_cp_problem problem, const char *fmt, ...)
    CLM_PRINTF(4, 5);
/* The same with further members of extra (given away; NULL: none). */
enum clm_code clm_cp_answer_problem_take(const struct clm_cp_request *req,
                                         struct clm_cp_answer *answer, enum clm_cp_problem problem,
                                         struct clm_json *extra, const char *detail);
/* Holds the request until topic is woken or until_ms. */
enum clm_code clm_cp_answer_hold(struct clm_cp_answer *answer, const char *topic, const char *owner,
                                 int64_t until_ms);

/* "2026-11-21T01:52:25Z" as a member; null for 0. */
void clm_cp_json_time(struct clm_json *obj, const char *key, int64_t unix_s);
/* A column of a row as a member: null if it is NULL; JSON that we stored ourselves. */
void clm_cp_json_column(struct clm_json *obj, const char *key, struct clm_cp_stmt *stmt,
                        int column);
CLM_MUST_USE enum clm_code clm_cp_json_stored_column(struct clm_json *obj, const char *key,
                                                     struct clm_cp_stmt *stmt, int column,
                                                     struct clm_err *err);
/* Parses JSON that we stored ourselves: a fault is BUG, not the client's. */
CLM_MUST_USE enum clm_code clm_cp_json_stored(const char *text, struct clm_json **out_json,
                                              struct clm_err *err);

#endif
