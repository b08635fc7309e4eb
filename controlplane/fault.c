/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fault.h"

#include "controlplane/server.h"

#ifdef CLM_TEST_HOOKS

#    include <string.h>

#    include "agent/base/clock.h"
#    include "agent/base/fs.h"
#    include "agent/base/json.h"
#    include "agent/base/log.h"

static enum MHD_Result send_html(struct MHD_Connection *connection, unsigned status)
{
    char html[] = "<html><body>Please log in</body></html>";
    struct MHD_Response *page =
        MHD_create_response_from_buffer(sizeof(html) - 1, html, MHD_RESPMEM_MUST_COPY);

    (void)MHD_add_response_header(page, "Content-Type", "text/html");
    (void)MHD_add_response_header(page, "Location", "https://login.example/");
    enum MHD_Result result = MHD_queue_response(connection, status, page);

    MHD_destroy_response(page);
    return result;
}

static ssize_t cut_short(void *arg, uint64_t pos, char *dst, size_t max)
{
    (void)arg;
    if (pos > 0 || max < 1) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    dst[0] = '{';
    return 1;
}

static enum MHD_Result send_truncated(struct MHD_Connection *connection)
{
    struct MHD_Response *part = MHD_create_response_from_callback(500, 64, cut_short, NULL, NULL);

    (void)MHD_add_response_header(part, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(connection, 200, part);

    MHD_destroy_response(part);
    return result;
}

static enum MHD_Result misbehave(const char *mode, struct MHD_Connection *connection, int status,
                                 struct MHD_Response *response)
{
    if (strcmp(mode, "html200") == 0) {
        return send_html(connection, 200);
    }
    if (strcmp(mode, "500") == 0) {
        return send_html(connection, 500);
    }
    if (strcmp(mode, "redirect") == 0) {
        return send_html(connection, 302);
    }
    if (strcmp(mode, "truncate") == 0) {
        return send_truncated(connection);
    }
    if (strcmp(mode, "drop-after-commit") == 0) {
        return MHD_NO;
    }
    if (strcmp(mode, "slow") == 0) {
        clm_clock_sleep_ms(5000);
    }
    return MHD_queue_response(connection, (unsigned)status, response);
}

/* Another file: its rules begin at nought. */
static void restart_counts(struct clm_cp *cp, const struct clm_buf *text)
{
    uint32_t sum = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < text->len; i++) {
        sum = (sum ^ text->data[i]) * 16777619u;
    }
    if (atomic_exchange(&cp->fault_file, sum) != sum) {
        for (size_t i = 0; i < CLM_CP_FAULT_RULES; i++) {
            atomic_store(&cp->fault_used[i], 0);
        }
    }
}

/* The mode of the first rule that fits and is not used up; NULL without one. */
static const char *find_rule(struct clm_cp *cp, const struct clm_json *root, const char *path)
{
    const struct clm_json *rules =
        clm_json_kind(root) == CLM_JSON_ARRAY ? root : clm_json_get(root, "rules");
    size_t i = 0;

    for (const struct clm_json *rule = clm_json_first(rules);
         rule != NULL && i < CLM_CP_FAULT_RULES; rule = clm_json_next(rule), i++) {
        const char *wanted = clm_json_text(clm_json_get(rule, "path"));
        int64_t times = 0;

        if (wanted == NULL || strstr(path, wanted) == NULL ||
            clm_json_int_or(rule, "times", 0, INT32_MAX, &times, NULL) != CLM_OK) {
            continue;
        }
        if (times == 0 || atomic_fetch_add(&cp->fault_used[i], 1) < times) {
            return clm_json_text(clm_json_get(rule, "mode"));
        }
    }
    return NULL;
}

enum MHD_Result clm_cp_fault_send(struct clm_cp *cp, const char *path,
                                  struct MHD_Connection *connection, int status,
                                  struct MHD_Response *response)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;

    if (cp->fault_path != NULL &&
        clm_fs_read(cp->fault_path, CLM_JSON_TEXT_MAX, &text, NULL) == CLM_OK &&
        clm_json_parse(clm_buf_str(&text), text.len, CLM_JSON_TEXT_MAX, &root, NULL) == CLM_OK) {
        restart_counts(cp, &text);
        const char *mode = find_rule(cp, root, path);

        if (mode != NULL) {
            clm_log_debug("fault '%s' on %s", mode, path);
            return misbehave(mode, connection, status, response);
        }
    }
    return MHD_queue_response(connection, (unsigned)status, response);
}

#else

enum MHD_Result clm_cp_fault_send(struct clm_cp *cp, const char *path,
                                  struct MHD_Connection *connection, int status,
                                  struct MHD_Response *response)
{
    (void)cp;
    (void)path;
    return MHD_queue_response(connection, (unsigned)status, response);
}

#endif
