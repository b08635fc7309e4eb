/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net/http_header.h"

#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"

struct span {
    const char *text;
    size_t len;
};

static struct span trim(struct span in)
{
    while (in.len > 0 && strchr(" \t\r\n", in.text[in.len - 1]) != NULL) {
        in.len--;
    }
    while (in.len > 0 && (*in.text == ' ' || *in.text == '\t')) {
        in.text++;
        in.len--;
    }
    return in;
}

static enum clm_code copy_value(const char *name, struct span value, char *dst, size_t size,
                                struct clm_err *err)
{
    if (dst[0] != '\0') {
        return CLM_OK; /* the first one counts */
    }
    if (value.len >= size) {
        return clm_err_set(err, CLM_E_LIMIT, "header '%s' of the answer is longer than %zu bytes",
                           name, size - 1);
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.text[i] < 0x20 || value.text[i] > 0x7e) {
            return clm_err_set(err, CLM_E_PARSE,
                               "header '%s' of the answer holds a byte that is no printable ASCII",
                               name);
        }
    }
    memcpy(dst, value.text, value.len);
    dst[value.len] = '\0';
    return CLM_OK;
}

/* ---- the kinds of value ---- */

static enum clm_code take_content_type(struct clm_http_response *response, struct span value,
                                       struct clm_err *err)
{
    const char *semicolon = memchr(value.text, ';', value.len);

    if (semicolon != NULL) {
        value.len = (size_t)(semicolon - value.text);
    }
    enum clm_code code = copy_value("Content-Type", trim(value), response->content_type,
                                    sizeof(response->content_type), err);
    for (char *p = response->content_type; *p != '\0'; p++) {
        *p = (char)((*p >= 'A' && *p <= 'Z') ? *p - 'A' + 'a' : *p);
    }
    return code;
}

static bool is_rel_up(struct span params)
{
    while (params.len > 0) {
        const char *semicolon = memchr(params.text, ';', params.len);
        size_t len = semicolon != NULL ? (size_t)(semicolon - params.text) : params.len;
        struct span one = trim((struct span){params.text, len});

        if (one.len == 8 && strncasecmp(one.text, "rel=\"up\"", 8) == 0) {
            return true;
        }
        if (one.len == 6 && strncasecmp(one.text, "rel=up", 6) == 0) {
            return true;
        }
        if (semicolon == NULL) {
            break;
        }
        params.text += len + 1;
        params.len -= len + 1;
    }
    return false;
}

/* One header may hold several links: <target>;param;param, <target>;param (RFC 8288 3). A comma
 * inside a quoted parameter would end that link early, which can only lose an "up", not invent one. */
static enum clm_code take_link(struct clm_http_response *response, struct span value,
                               struct clm_err *err)
{
    while (value.len > 0) {
        const char *open = memchr(value.text, '<', value.len);
        const char *end = value.text + value.len;
        const char *close = open != NULL ? memchr(open, '>', (size_t)(end - open)) : NULL;

        if (close == NULL) {
            return CLM_OK;
        }
        const char *comma = memchr(close, ',', (size_t)(end - close));
        const char *stop = comma != NULL ? comma : end;

        if (is_rel_up((struct span){close + 1, (size_t)(stop - close - 1)})) {
            return copy_value("Link", (struct span){open + 1, (size_t)(close - open - 1)},
                              response->link_up, sizeof(response->link_up), err);
        }
        value = (struct span){stop, (size_t)(end - stop)};
    }
    return CLM_OK;
}

static enum clm_code take_retry_after(struct clm_http_response *response, struct span value,
                                      struct clm_err *err)
{
    char text[64] = "";
    enum clm_code code = copy_value("Retry-After", value, text, sizeof(text), err);
    int64_t now_s = response->date_s != 0 ? response->date_s : clm_clock_now_s();

    if (code == CLM_OK && response->retry_after_s == 0) {
        response->retry_after_s = clm_http_retry_after(text, now_s);
    }
    return code;
}

static enum clm_code take_date(struct clm_http_response *response, struct span value,
                               struct clm_err *err)
{
    char text[64] = "";
    enum clm_code code = copy_value("Date", value, text, sizeof(text), err);

    if (code == CLM_OK && response->date_s == 0) {
        time_t when = curl_getdate(text, NULL);
        response->date_s = when > 0 ? (int64_t)when : 0;
    }
    return code;
}

static enum clm_code take_next_poll(struct clm_http_response *response, struct span value,
                                    struct clm_err *err)
{
    char text[16] = "";
    int64_t seconds = 0;
    enum clm_code code = copy_value("Clm-Next-Poll", value, text, sizeof(text), err);

    if (code == CLM_OK && clm_str_to_int(text, 0, UINT32_MAX, &seconds, NULL) == CLM_OK) {
        response->next_poll_s = (uint32_t)seconds;
        response->has_next_poll = true;
    }
    return code;
}

#define TEXT_FIELD(member)                                                                         \
    .offset = offsetof(struct clm_http_response, member),                                          \
    .size = sizeof(((struct clm_http_response *)NULL)->member)

static const struct {
    const char *name;
    enum clm_code (*take)(struct clm_http_response *, struct span, struct clm_err *);
    size_t offset; /* of a char array, where take is NULL */
    size_t size;
} FIELDS[] = {
    {.name = "Content-Type", .take = take_content_type},
    {.name = "Link", .take = take_link},
    {.name = "Retry-After", .take = take_retry_after},
    {.name = "Date", .take = take_date},
    {.name = "Clm-Next-Poll", .take = take_next_poll},
    {.name = "Location", TEXT_FIELD(location)},
    {.name = "Replay-Nonce", TEXT_FIELD(replay_nonce)},
    {.name = "ETag", TEXT_FIELD(etag)},
    {.name = "Clm-Request-Id", TEXT_FIELD(request_id)},
    {.name = "Clm-Job-State", TEXT_FIELD(job_state)},
};

static void forget_headers(struct clm_http_response *response)
{
    struct clm_http_response fresh = {.status = response->status, .body = response->body};

    *response = fresh;
}

uint32_t clm_http_retry_after(const char *value, int64_t now_s)
{
    int64_t seconds = 0;

    if (clm_str_to_int(value, 0, UINT32_MAX, &seconds, NULL) == CLM_OK) {
        return (uint32_t)seconds;
    }
    time_t when = curl_getdate(value, NULL);
    if (when <= 0 || (int64_t)when <= now_s) {
        return 0;
    }
    seconds = (int64_t)when - now_s;
    return seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

enum clm_code clm_http_header_line(struct clm_http_response *response, const char *line, size_t len,
                                   struct clm_err *err)
{
    if (len >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        forget_headers(response);
        return CLM_OK;
    }
    const char *colon = memchr(line, ':', len);
    if (colon == NULL) {
        return CLM_OK; /* the empty line; curl has refused what is no header */
    }
    size_t name_len = (size_t)(colon - line);
    struct span value = trim((struct span){colon + 1, len - name_len - 1});

    for (size_t i = 0; i < CLM_ARRAY_LEN(FIELDS); i++) {
        if (strlen(FIELDS[i].name) != name_len ||
            strncasecmp(FIELDS[i].name, line, name_len) != 0) {
            continue;
        }
        if (FIELDS[i].take != NULL) {
            return FIELDS[i].take(response, value, err);
        }
        return copy_value(FIELDS[i].name, value, (char *)response + FIELDS[i].offset,
                          FIELDS[i].size, err);
    }
    return CLM_OK;
}
