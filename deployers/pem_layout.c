/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/pem_layout.h"

#include <string.h>

#include "agent/base/buf.h"
#include "agent/base/str.h"

#define FILE_MAX ((size_t)1024 * 1024) /* bytes; design.md 11 */

static bool label_ends(const char *label, size_t len, const char *end)
{
    size_t n = strlen(end);

    return len >= n && memcmp(label + len - n, end, n) == 0;
}

struct clm_pem_layout clm_pem_layout_read(const struct clm_io *io, const char *path)
{
    static const char begin[] = "-----BEGIN ";
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_SECRET_INIT(FILE_MAX + 1);
    struct clm_pem_layout out = {.has_cert = false};
    const char *at;

    if (io->read_file(io->ctx, path, FILE_MAX, &pem, NULL) != CLM_OK) {
        return out;
    }
    at = clm_buf_str(&pem);
    while ((at = strstr(at, begin)) != NULL) {
        const char *label = at + strlen(begin);
        size_t len = strcspn(label, "-\n");

        if (at > clm_buf_str(&pem) && at[-1] != '\n') { /* in the middle of a line */
            at = label;
            continue;
        }
        if (label_ends(label, len, "PRIVATE KEY")) {
            out.is_key_first = out.is_key_first || !out.has_cert;
            out.has_key = true;
        } else if (label_ends(label, len, "CERTIFICATE")) {
            out.has_cert = true;
        }
        at = label + len;
    }
    return out;
}
