/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/secret.h"

#include <string.h>
#include <unistd.h>

#include "agent/base/str.h"
#include "agent/model/io.h"

#define FILE_MAX 4096u /* bytes of a password file: the line, and remarks below it */

/* Who else could read it, or put another one there? */
static enum clm_code check_file(const struct clm_io *io, const char *path, struct clm_err *err)
{
    struct clm_stat st = {0};
    enum clm_code code = io->stat(io->ctx, path, false, &st, err);

    if (code != CLM_OK) {
        return code;
    }
    if (st.kind != CLM_FILE_REGULAR) {
        return clm_err_set(err, CLM_E_INVAL, "password file '%s' is not a regular file", path);
    }
    if (st.uid != 0 && st.uid != (uint32_t)geteuid()) {
        return clm_err_set(err, CLM_E_PERM,
                           "password file '%s' does not belong to root; run: chown root: on it",
                           path);
    }
    if ((st.mode & 077u) != 0) {
        return clm_err_set(err, CLM_E_PERM,
                           "password file '%s' has mode %04o, so others can use it; run: chmod 600 "
                           "on it",
                           path, (unsigned)st.mode);
    }
    return CLM_OK;
}

static enum clm_code read_file(const struct clm_io *io, const char *path, struct clm_buf *out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(FILE_MAX + 1);
    size_t len;
    enum clm_code code = check_file(io, path, err);

    if (code == CLM_OK) {
        code = io->read_file(io->ctx, path, FILE_MAX, &text, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    len = strcspn(clm_buf_str(&text), "\r\n");
    if (len == 0) {
        return clm_err_set(err, CLM_E_INVAL, "password file '%s' has an empty first line", path);
    }
    if (len > CLM_SECRET_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "password file '%s' has a line of more than %u bytes",
                           path, CLM_SECRET_MAX);
    }
    return clm_buf_add(out, text.data, len, err);
}

enum clm_code clm_secret_read(const struct clm_io *io, const char *ref, struct clm_buf *out,
                              struct clm_err *err)
{
    if (ref[0] == '\0') {
        return CLM_OK;
    }
    if (!clm_secret_ref_is_valid(ref)) {
        return clm_err_set(err, CLM_E_INVAL, "not a reference to a password");
    }
    if (clm_str_starts(ref, CLM_SECRET_FILE)) {
        return read_file(io, ref + strlen(CLM_SECRET_FILE), out, err);
    }
    if (clm_str_starts(ref, CLM_SECRET_KNOWN)) {
        return clm_buf_add_str(out, ref + strlen(CLM_SECRET_KNOWN), err);
    }
    return clm_err_set(err, CLM_E_UNSUPPORTED,
                       "the password stands in the server's configuration, which cannot be asked "
                       "here");
}
