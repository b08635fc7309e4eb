/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/client.h"
#include "agent/base/str.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/net/http.h"

#define ANSWER_MAX     ((size_t)8 * 1024 * 1024)
#define LINE_MAX_BYTES 16640 /* all names of a certificate */
#define TIMEOUT_MS     30000

const struct clm_cli_opt clm_cp_client_opts[] = {
    {.name = "data",
     .letter = 'd',
     .kind = CLM_CLI_STRING,
     .metavar = "DIR",
     .help = "directory of the control plane (" CLM_CP_DATA_DEFAULT ")"},
    {.name = "json", .kind = CLM_CLI_FLAG, .help = "print JSON"},
    {0},
};

struct session {
    char url[512];
    struct clm_buf token;
    struct clm_buf ca_pem;
};

static enum clm_code read_line(const char *dir, const char *name, struct clm_buf *out,
                               struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code = clm_str_fmt(path, sizeof(path), err, "%s/%s", dir, name);

    if (code == CLM_OK) {
        code = clm_fs_read(path, out->max, out, err);
    }
    while (code == CLM_OK && out->len > 0 && out->data[out->len - 1] == '\n') {
        out->data[--out->len] = '\0';
    }
    if (code != CLM_OK) {
        (void)clm_err_wrap(err, code, "is a control plane served from '%.200s'? (--data)", dir);
        err->code = CLM_E_CONFIG;
        return CLM_E_CONFIG;
    }
    return CLM_OK;
}

static enum clm_code open_session(const struct clm_cli_args *args, const char *path,
                                  struct session *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf base = CLM_BUF_INIT(256);
    const char *dir = clm_cli_str(args, "data", CLM_CP_DATA_DEFAULT);
    enum clm_code code = read_line(dir, "operator.url", &base, err);

    if (code == CLM_OK) {
        code = read_line(dir, "operator.token", &out->token, err);
    }
    if (code == CLM_OK && clm_str_starts(clm_buf_str(&base), "https:")) {
        code = read_line(dir, "ca.pem", &out->ca_pem, err);
    }
    return code == CLM_OK
               ? clm_str_fmt(out->url, sizeof(out->url), err, "%s%s", clm_buf_str(&base), path)
               : code;
}

static enum clm_code read_answer(const struct clm_http_response *response,
                                 struct clm_json **out_json, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *json = NULL;

    if (response->status == 204) {
        *out_json = clm_json_new_object();
        return CLM_OK;
    }
    enum clm_code code =
        clm_json_parse(clm_buf_str(&response->body), response->body.len, ANSWER_MAX, &json, err);

    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "answer of the control plane (status %d)", response->status);
    }
    if (response->status > 299) {
        const char *detail = clm_json_text(clm_json_get(json, "detail"));
        const char *name = clm_json_text(clm_json_get(json, "code"));

        return clm_err_set(err, CLM_E_REMOTE, "%s (%s)", detail != NULL ? detail : "refused",
                           name != NULL ? name : "no code");
    }
    *out_json = CLM_STEAL(json);
    return CLM_OK;
}

static enum clm_code exchange(const struct session *session, const struct clm_cp_call *call,
                              struct clm_json **out_json, struct clm_err *err)
{
    const struct clm_http_opts opts = {
        .proxy = "",
        .allow_http = true,
        .ca_pem = session->ca_pem.len > 0 ? clm_buf_str(&session->ca_pem) : NULL};
    CLM_CLEANUP(clm_http_free_p) struct clm_http *http = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf body = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf bearer = CLM_BUF_SECRET_INIT(256);
    struct clm_http_response response = {0};
    char match[48];
    enum clm_code code = clm_http_new(&opts, &http, err);

    if (code == CLM_OK) {
        code = clm_buf_addf(&bearer, err, "Authorization: Bearer %s", clm_buf_str(&session->token));
    }
    if (code == CLM_OK && call->body != NULL) {
        code = clm_json_print(call->body, false, &body, err);
    }
    (void)snprintf(match, sizeof(match), "If-Match: \"%lld\"", (long long)call->revision);
    if (code != CLM_OK) {
        return code;
    }
    const char *const headers[] = {clm_buf_str(&bearer), "Content-Type: application/json",
                                   call->revision > 0 ? match : NULL, NULL};
    const struct clm_http_request request = {
        .method = call->method,
        .url = session->url,
        .headers = headers,
        .body = body.len > 0 ? body.data : NULL,
        .body_len = body.len,
        .response_max = ANSWER_MAX,
        .timeout_ms = call->timeout_ms != 0 ? call->timeout_ms : TIMEOUT_MS,
    };

    code = clm_http_do(http, &request, &response, err);
    if (code == CLM_OK) {
        code = read_answer(&response, out_json, err);
    }
    clm_buf_done(&response.body);
    return code;
}

enum clm_code clm_cp_call(const struct clm_cli_args *args, const struct clm_cp_call *call,
                          struct clm_json **out_json, struct clm_err *err)
{
    struct session session = {.token = CLM_BUF_SECRET_INIT(128),
                              .ca_pem = CLM_BUF_INIT((size_t)64 * 1024)};
    enum clm_code code = open_session(args, call->path, &session, err);

    if (code == CLM_OK) {
        code = exchange(&session, call, out_json, err);
    }
    clm_buf_done(&session.token);
    clm_buf_done(&session.ca_pem);
    return code;
}

int clm_cp_fail(const struct clm_err *err)
{
    static const struct {
        enum clm_code code;
        int status;
    } exits[] = {
        {CLM_E_CONFIG, CLM_CP_EXIT_CONFIG},
        {CLM_E_PERM, CLM_CP_EXIT_CONFIG},
        {CLM_E_NET, CLM_CP_EXIT_UNREACHABLE},
        {CLM_E_TIMEOUT, CLM_CP_EXIT_UNREACHABLE},
    };

    (void)fprintf(stderr, "clmbot-controlplane: %s\n", err->msg);
    for (size_t i = 0; i < CLM_ARRAY_LEN(exits); i++) {
        if (exits[i].code == err->code) {
            return exits[i].status;
        }
    }
    return CLM_CP_EXIT_FAILED;
}

void clm_cp_say(const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    clm_str_make_plain(line);
    (void)puts(line);
}

int clm_cp_print_json(const struct clm_json *json)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(ANSWER_MAX);
    struct clm_err err = {0};

    if (clm_json_print(json, false, &text, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    (void)printf("%s\n", clm_buf_str(&text));
    return CLM_CP_EXIT_OK;
}

const char *clm_cp_text(const struct clm_json *obj, const char *key)
{
    const char *text = clm_json_text(clm_json_get(obj, key));

    return text != NULL && text[0] != '\0' ? text : "-";
}
