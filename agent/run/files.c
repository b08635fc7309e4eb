/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/files.h"

#include <stdarg.h>
#include <stdio.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/run/spool.h"

enum clm_code clm_net_path(const struct clm_config *config, char *dst, struct clm_err *err,
                           const char *fmt, ...)
{
    char rest[512];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(rest, sizeof(rest), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(rest)) {
        return clm_err_set(err, CLM_E_LIMIT, "file name below '%s/net' is too long",
                           config->state_dir);
    }
    return clm_str_fmt(dst, PATH_MAX, err, "%s/net%s%s", config->state_dir,
                       rest[0] == '\0' ? "" : "/", rest);
}

enum clm_code clm_file_read_json(const char *path, size_t max, struct clm_json **out,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(max);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;

    enum clm_code code = clm_fs_read(path, max, &text, err);
    if (code != CLM_OK) {
        return code;
    }
    code = clm_json_parse(clm_buf_str(&text), text.len, max, &root, err);
    if (code == CLM_OK && clm_json_kind(root) != CLM_JSON_OBJECT) {
        code = clm_err_set(err, CLM_E_PARSE, "no JSON object");
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "%s", path);
    }
    *out = CLM_STEAL(root);
    return CLM_OK;
}

enum clm_code clm_file_write_json(const char *path, size_t max, const struct clm_json *root,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(max);

    enum clm_code code = clm_json_print(root, false, &text, err);
    if (code == CLM_OK) {
        code = clm_buf_add_str(&text, "\n", err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "%s", path);
    }
    return clm_fs_replace(path, text.data, text.len, 0600, err);
}

enum clm_code clm_net_dirs(const struct clm_config *config, struct clm_err *err)
{
    static const char *const subs[] = {"", "identity", "jobs", "jobs/done"};
    char path[PATH_MAX];
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(subs); i++) {
        code = clm_net_path(config, path, err, "%s", subs[i]);
        if (code == CLM_OK) {
            code = clm_fs_mkdir(path, 0700, err);
        }
    }
    if (code == CLM_OK) {
        code = clm_net_path(config, path, err, "spool");
    }
    if (code == CLM_OK) {
        code = clm_spool_init(path, err);
    }
    return code;
}
