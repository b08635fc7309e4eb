/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/formats/password_lines.h"

#include <string.h>

enum clm_code clm_password_line(const struct clm_io *io, const char *path, size_t n,
                                struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf text = CLM_BUF_SECRET_INIT(CLM_PASSWORD_FILE_MAX + 1);
    enum clm_code code = io->read_file(io->ctx, path, CLM_PASSWORD_FILE_MAX, &text, err);
    const char *at;
    const char *end;

    if (code != CLM_OK) {
        return code;
    }
    at = clm_buf_str(&text);
    end = at + text.len;
    for (size_t line = 1; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline != NULL ? newline : end) - at);

        if (line == n) {
            len -= len > 0 && at[len - 1] == '\r';
            return clm_buf_add(out, at, len, err);
        }
        at += len + 1;
    }
    return clm_err_set(err, CLM_E_NOTFOUND, "'%s' has fewer than %zu lines", path, n);
}
