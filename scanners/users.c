/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MAX ((size_t)1024 * 1024) /* bytes: some 15,000 users */

void clm_users_done(struct clm_users *users)
{
    clm_buf_done(&users->passwd);
    clm_buf_done(&users->group);
}

static enum clm_code read_table(const struct clm_io *io, const char *path, struct clm_buf *out,
                                struct clm_err *err)
{
    struct clm_err why = {0};
    enum clm_code code = io->read_file(io->ctx, path, TABLE_MAX, out, &why);

    if (code != CLM_OK) {
        clm_buf_reset(out);
    }
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg) : CLM_OK;
}

enum clm_code clm_users_read(const struct clm_io *io, struct clm_users *out, struct clm_err *err)
{
    enum clm_code code;

    *out = (struct clm_users){.passwd = CLM_BUF_INIT(TABLE_MAX + 1),
                              .group = CLM_BUF_INIT(TABLE_MAX + 1)};
    code = read_table(io, "/etc/passwd", &out->passwd, err);
    return code == CLM_OK ? read_table(io, "/etc/group", &out->group, err) : code;
}

/* "name:x:number:..." */
static void find(const struct clm_buf *table, uint32_t number, char *dst, size_t size)
{
    const char *line = clm_buf_str(table);

    while (*line != '\0') {
        size_t len = strcspn(line, "\n");
        const char *colon = memchr(line, ':', len);
        const char *second =
            colon == NULL ? NULL : memchr(colon + 1, ':', len - (size_t)(colon + 1 - line));

        if (second != NULL && second[1] >= '0' && second[1] <= '9' &&
            strtoul(second + 1, NULL, 10) == number) {
            (void)snprintf(dst, size, "%.*s", (int)(colon - line), line);
            return;
        }
        line += len + (line[len] == '\n');
    }
    (void)snprintf(dst, size, "%u", number);
}

void clm_users_user(const struct clm_users *users, uint32_t uid, char *dst, size_t size)
{
    find(&users->passwd, uid, dst, size);
}

void clm_users_group(const struct clm_users *users, uint32_t gid, char *dst, size_t size)
{
    find(&users->group, gid, dst, size);
}
