/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/job/store_int.h"

#define LINE_MAX_BYTES 65536u

static void history_path(const struct clm_store *store, char *dst)
{
    clm_store_path(store, "history.jsonl", NULL, NULL, dst);
}

/* The younger half, from the start of a line on. */
static size_t start_of_younger_half(const struct clm_buf *text)
{
    const uint8_t *end;

    assert(text->len > CLM_STORE_HISTORY_MAX / 2);
    end =
        memchr(text->data + text->len - CLM_STORE_HISTORY_MAX / 2, '\n', CLM_STORE_HISTORY_MAX / 2);
    return end == NULL ? text->len : (size_t)(end - text->data) + 1;
}

static enum clm_code add_line(const char *path, const struct clm_buf *old,
                              const struct clm_buf *line, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf text = CLM_BUF_INIT(CLM_STORE_HISTORY_MAX + LINE_MAX_BYTES + 2);
    bool is_full = old->len + line->len > CLM_STORE_HISTORY_MAX;
    bool is_torn = old->len > 0 && old->data[old->len - 1] != '\n';
    size_t start = is_full ? start_of_younger_half(old) : 0;
    enum clm_code code = CLM_OK;

    if (is_full) {
        code = clm_buf_add(&text, old->data + start, old->len - start, err);
    }
    if (code == CLM_OK && is_torn) { /* half a line of a crash ends here, not in ours */
        code = clm_buf_add_str(&text, "\n", err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add(&text, line->data, line->len, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    return is_full ? clm_fs_replace(path, text.data, text.len, 0600, err)
                   : clm_fs_append(path, text.data, text.len, err);
}

enum clm_code clm_store_history_add(struct clm_store *store, const struct clm_json *entry,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf line = CLM_BUF_INIT(LINE_MAX_BYTES);
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf old = CLM_BUF_INIT(CLM_STORE_HISTORY_MAX + LINE_MAX_BYTES);
    char path[PATH_MAX];
    enum clm_code code = clm_json_print(entry, false, &line, err);

    history_path(store, path);
    if (code == CLM_OK) {
        code = clm_buf_add_str(&line, "\n", err);
    }
    if (code == CLM_OK) {
        code = clm_store_read_text(path, &old, err);
    }
    return code != CLM_OK ? code : add_line(path, &old, &line, err);
}

static bool is_wanted(const struct clm_json *entry, const char *target)
{
    const char *of;

    if (target == NULL || target[0] == '\0') {
        return true;
    }
    of = clm_json_text(clm_json_get(entry, "target"));
    return of != NULL && strcmp(of, target) == 0;
}

enum clm_code clm_store_history_list(struct clm_store *store, const char *target, size_t limit,
                                     struct clm_json *out_array, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf text = CLM_BUF_INIT(CLM_STORE_HISTORY_MAX + LINE_MAX_BYTES);
    char path[PATH_MAX];
    size_t end;
    enum clm_code code;

    history_path(store, path);
    code = clm_store_read_text(path, &text, err);
    if (code != CLM_OK) {
        return code;
    }
    end = text.len;
    for (size_t n = 0; end > 0 && n < limit;) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *entry = NULL;
        const char *data = (const char *)text.data;
        size_t start = end - 1; /* of the line whose last byte, mostly '\n', is at end - 1 */

        while (start > 0 && data[start - 1] != '\n') {
            start--;
        }
        code = clm_json_parse(data + start, end - start, LINE_MAX_BYTES, &entry, err);
        if (code == CLM_E_NOMEM) {
            return code;
        }
        if (code == CLM_OK && clm_json_kind(entry) == CLM_JSON_OBJECT && is_wanted(entry, target)) {
            clm_json_add_copy(out_array, entry);
            n++;
        }
        end = start;
    }
    return CLM_OK;
}
