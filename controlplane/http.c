/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/http.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <microhttpd.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"

#define PROBLEM_BASE "https://clmbot.dev/problems/"

const char *clm_cp_request_header(const struct clm_cp_request *req, const char *name)
{
    return MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, name);
}

const char *clm_cp_request_query(const struct clm_cp_request *req, const char *name)
{
    return MHD_lookup_connection_value(req->connection, MHD_GET_ARGUMENT_KIND, name);
}

enum clm_code clm_cp_request_number(const struct clm_cp_request *req, const char *name, int64_t max,
                                    int64_t *io_number, struct clm_err *err)
{
    const char *text = clm_cp_request_query(req, name);
    enum clm_code code = CLM_OK;

    if (text != NULL) {
        code = clm_str_to_int(text, 0, max, io_number, err);
    }
    return code == CLM_OK ? code : clm_err_wrap(err, code, "query parameter '%s'", name);
}

void clm_cp_answer_header(struct clm_cp_answer *answer, const char *name, const char *value)
{
    size_t i = 0;

    while (i < answer->n_headers && strcmp(answer->headers[i].name, name) != 0) {
        i++;
    }
    if (i == CLM_CP_HEADERS_OUT ||
        clm_str_copy(answer->headers[i].name, sizeof(answer->headers[i].name), name, NULL) !=
            CLM_OK ||
        clm_str_copy(answer->headers[i].value, sizeof(answer->headers[i].value), value, NULL) !=
            CLM_OK) {
        return;
    }
    if (i == answer->n_headers) {
        answer->n_headers++;
    }
}

void clm_cp_answer_number(struct clm_cp_answer *answer, const char *name, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    clm_cp_answer_header(answer, name, text);
}

enum clm_code clm_cp_answer_json(struct clm_cp_answer *answer, int status,
                                 const struct clm_json *json, struct clm_err *err)
{
    clm_buf_reset(&answer->body);
    answer->status = status;
    answer->content_type = "application/json; charset=utf-8";
    enum clm_code code = clm_json_print(json, false, &answer->body, err);

    /* Too large or out of memory is our fault, never "schema". */
    return code == CLM_OK ? code : clm_err_set(err, CLM_E_IO, "answer could not be built");
}

enum clm_code clm_cp_answer_empty(struct clm_cp_answer *answer, int status)
{
    clm_buf_reset(&answer->body);
    answer->status = status;
    answer->content_type = NULL;
    return CLM_OK;
}

enum clm_code clm_cp_answer_problem_take(const struct clm_cp_request *req,
                                         struct clm_cp_answer *answer, enum clm_cp_problem problem,
                                         struct clm_json *extra, const char *detail)
{
    const struct clm_cp_problem_info *info = clm_cp_problem_info(problem);
    CLM_CLEANUP(clm_json_free_p)
    struct clm_json *doc = extra != NULL ? extra : clm_json_new_object();
    char type[sizeof(PROBLEM_BASE) + 40];

    (void)snprintf(type, sizeof(type), "%s%s", PROBLEM_BASE, info->code);
    clm_json_set_str(doc, "type", type);
    clm_json_set_str(doc, "title", info->title);
    clm_json_set_int(doc, "status", info->status);
    clm_json_set_str(doc, "detail", detail);
    clm_json_set_str(doc, "instance", req->path);
    clm_json_set_str(doc, "code", info->code);
    clm_json_set_bool(doc, "retryable", info->retryable);
    clm_json_set_str(doc, "request_id", req->id);
    clm_buf_reset(&answer->body);
    answer->status = info->status;
    answer->content_type = "application/problem+json";
    if (clm_json_print(doc, false, &answer->body, NULL) != CLM_OK) {
        clm_buf_reset(&answer->body); /* out of memory: the status alone must do */
    }
    return CLM_OK;
}

enum clm_code clm_cp_answer_problem(const struct clm_cp_request *req, struct clm_cp_answer *answer,
                                    enum clm_cp_problem problem, const char *fmt, ...)
{
    char detail[CLM_ERR_MSG_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    return clm_cp_answer_problem_take(req, answer, problem, NULL, detail);
}

enum clm_code clm_cp_answer_hold(struct clm_cp_answer *answer, const char *topic, const char *owner,
                                 int64_t until_ms)
{
    answer->status = 0;
    (void)snprintf(answer->hold_topic, sizeof(answer->hold_topic), "%s", topic);
    (void)snprintf(answer->hold_owner, sizeof(answer->hold_owner), "%s", owner);
    answer->hold_until_ms = until_ms;
    return CLM_OK;
}

void clm_cp_json_time(struct clm_json *obj, const char *key, int64_t unix_s)
{
    char text[CLM_TIME_TEXT_SIZE];

    if (unix_s == 0) {
        clm_json_set_null(obj, key);
        return;
    }
    clm_time_format(unix_s, text);
    clm_json_set_str(obj, key, text);
}

enum clm_code clm_cp_json_stored(const char *text, struct clm_json **out_json, struct clm_err *err)
{
    enum clm_code code = clm_json_parse(text, strlen(text), CLM_CP_RESPONSE_MAX, out_json, err);

    if (code == CLM_OK || code == CLM_E_NOMEM) {
        return code;
    }
    (void)clm_err_wrap(err, code, "stored JSON");
    return CLM_E_BUG;
}

void clm_cp_json_column(struct clm_json *obj, const char *key, struct clm_cp_stmt *stmt, int column)
{
    clm_json_set_str(obj, key,
                     clm_cp_stmt_is_null(stmt, column) ? NULL : clm_cp_stmt_text(stmt, column));
}

enum clm_code clm_cp_json_stored_column(struct clm_json *obj, const char *key,
                                        struct clm_cp_stmt *stmt, int column, struct clm_err *err)
{
    struct clm_json *value = NULL;
    enum clm_code code = CLM_OK;

    if (clm_cp_stmt_is_null(stmt, column)) {
        clm_json_set_null(obj, key);
        return CLM_OK;
    }
    code = clm_cp_json_stored(clm_cp_stmt_text(stmt, column), &value, err);
    if (code == CLM_OK) {
        clm_json_set_take(obj, key, value);
    }
    return code;
}
