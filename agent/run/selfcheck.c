/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/selfcheck.h"

#include <stdio.h>
#include <string.h>

#define CHECK_TIMEOUT_MS 10000
#define CHECK_BODY_MAX   65536u /* an error page may be long; only its start is compared */

static size_t len_without_tail(const char *text, size_t len)
{
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL) {
        len--;
    }
    return len;
}

static bool is_content(const struct clm_buf *body, const char *content)
{
    size_t have = len_without_tail(clm_buf_str(body), body->len);
    size_t want = len_without_tail(content, strlen(content));

    return have == want && memcmp(clm_buf_str(body), content, want) == 0;
}

#define SAY(out, ...)  (void)snprintf((out)->message, sizeof((out)->message), __VA_ARGS__)
#define HINT(out, ...) (void)snprintf((out)->hint, sizeof((out)->hint), __VA_ARGS__)

static void judge_error(const struct clm_selfcheck *c, enum clm_code code,
                        const struct clm_err *why, struct clm_selfcheck_result *out)
{
    out->may_retry = true;
    if (code == CLM_E_TIMEOUT) {
        SAY(out, "%s did not answer for '%.100s' within %d s", out->via, c->host,
            CHECK_TIMEOUT_MS / 1000);
        HINT(out,
             "see whether the web server hangs: curl -v -H 'Host: %.100s' http://%.60s:%u/ ; "
             "restart it if it does",
             c->host, c->addr, c->port);
        return;
    }
    SAY(out, "no connection to %s for '%.100s': %.200s", out->via, c->host, why->msg);
    HINT(out,
         "the CA will ask http://%.100s/ on port 80: let the web server listen there, and open "
         "port 80 in the firewall",
         c->host);
}

static void judge_redirect(const struct clm_selfcheck *c, const struct clm_http_response *http,
                           struct clm_selfcheck_result *out)
{
    if (strncmp(http->location, "https://", 8) == 0) {
        SAY(out, "%s redirects '%.120s' to HTTPS (%.200s)", out->via, c->path, http->location);
        HINT(out,
             "exempt /.well-known/ from the redirect of '%.100s' to HTTPS: a location or Alias for "
             "it before the redirect",
             c->host);
    } else {
        SAY(out, "%s redirects '%.120s' to '%.200s'", out->via, c->path, http->location);
        HINT(out, "exempt /.well-known/ from the redirect of '%.100s'", c->host);
    }
}

static void judge_status(const struct clm_selfcheck *c, const struct clm_http_response *http,
                         struct clm_selfcheck_result *out)
{
    if (http->status >= 300 && http->status < 400) {
        judge_redirect(c, http, out);
        return;
    }
    switch (http->status) {
    case 404:
        SAY(out, "%s answers 404 for '%.120s' of '%.100s'", out->via, c->path, c->host);
        HINT(out,
             "the file is '%.200s'; let the server for '%.80s' serve that directory under "
             "/.well-known/, or declare the right one in policy.webroots",
             c->file, c->host);
        break;
    case 401:
    case 403:
        SAY(out, "%s refuses '%.120s' of '%.100s' with status %d", out->via, c->path, c->host,
            http->status);
        HINT(out,
             "allow everybody to read /.well-known/ of '%.80s'; the web server's user must be able "
             "to read '%.200s' and enter every directory above",
             c->host, c->file);
        break;
    default:
        out->may_retry = http->status >= 500;
        SAY(out, "%s answers status %d for '%.120s' of '%.100s'", out->via, http->status, c->path,
            c->host);
        HINT(out, "look into the web server's error log, then run the job again");
        break;
    }
}

static void judge_content(const struct clm_selfcheck *c, const struct clm_http_response *http,
                          struct clm_selfcheck_result *out)
{
    if (is_content(&http->body, c->content)) {
        out->ok = true;
        SAY(out, "%s serves the file", out->via);
        return;
    }
    SAY(out, "%s answers '%.120s' of '%.100s' with other content than the file has", out->via,
        c->path, c->host);
    HINT(out,
         "another server or application answers for this name: let requests for /.well-known/ of "
         "'%.80s' reach the file '%.200s'",
         c->host, c->file);
}

void clm_selfcheck(clm_http_fn http, void *http_ctx, const struct clm_selfcheck *check,
                   struct clm_selfcheck_result *out)
{
    bool is_v6 = strchr(check->addr, ':') != NULL;
    struct clm_http_response answer = {0};
    struct clm_err why = {0};
    char url[1024];
    char connect_to[128];

    *out = (struct clm_selfcheck_result){.ok = false};
    (void)snprintf(connect_to, sizeof(connect_to), "%s%.60s%s:%u", is_v6 ? "[" : "", check->addr,
                   is_v6 ? "]" : "", check->port);
    (void)snprintf(out->via, sizeof(out->via), "http://%.100s", connect_to);
    int n = snprintf(url, sizeof(url), "http://%s%s", check->host, check->path);
    if (n < 0 || (size_t)n >= sizeof(url)) {
        SAY(out, "the path of the file is too long");
        return;
    }
    const struct clm_http_request request = {
        .method = "GET",
        .url = url,
        .response_max = CHECK_BODY_MAX,
        .timeout_ms = CHECK_TIMEOUT_MS,
        .connect_to = connect_to,
    };
    enum clm_code code = http(http_ctx, &request, &answer, &why);
    if (code == CLM_E_LIMIT) {
        SAY(out, "%s answers '%.120s' with a page of more than %u bytes", out->via, check->path,
            CHECK_BODY_MAX);
        HINT(out, "another application answers for '%.100s': exempt /.well-known/ from it",
             check->host);
    } else if (code != CLM_OK) {
        judge_error(check, code, &why, out);
    } else {
        out->status = answer.status;
        if (answer.status == 200) {
            judge_content(check, &answer, out);
        } else {
            judge_status(check, &answer, out);
        }
    }
    clm_buf_done(&answer.body);
}
