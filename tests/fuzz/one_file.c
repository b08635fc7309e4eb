/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/fuzz/target.h"

static enum clm_code read_file(void *ctx, const char *path, size_t max, struct clm_buf *out,
                               struct clm_err *err)
{
    const struct one_file *self = ctx;

    if (strcmp(path, INPUT_PATH) != 0) {
        return clm_err_set(err, CLM_E_NOTFOUND, "'%s' does not exist", path);
    }
    if (self->len > max) {
        return clm_err_set(err, CLM_E_LIMIT, "'%s' is too long", path);
    }
    return clm_buf_add(out, self->data, self->len, err);
}

static enum clm_code stat_file(void *ctx, const char *path, bool follow, struct clm_stat *out,
                               struct clm_err *err)
{
    const struct one_file *self = ctx;

    (void)follow;
    if (strcmp(path, INPUT_PATH) != 0) {
        return clm_err_set(err, CLM_E_NOTFOUND, "'%s' does not exist", path);
    }
    *out = (struct clm_stat){
        .kind = CLM_FILE_REGULAR, .mode = 0644, .size_bytes = self->len, .ino = 1, .nlink = 1};
    return CLM_OK;
}

static enum clm_code read_link(void *ctx, const char *path, char *dst, size_t size,
                               struct clm_err *err)
{
    (void)ctx;
    (void)dst;
    (void)size;
    return clm_err_set(err, CLM_E_INVAL, "'%s' is no link", path);
}

/* Every directory holds the one file: a glob includes it again. */
static enum clm_code list_dir(void *ctx, const char *path, clm_io_dir_fn visit, void *arg,
                              struct clm_err *err)
{
    (void)ctx;
    return strcmp(path, "/") == 0 ? visit(arg, INPUT_NAME, err) : CLM_OK;
}

void one_file_init(struct one_file *self, const uint8_t *data, size_t len)
{
    *self = (struct one_file){.data = data, .len = len};
    self->io = (struct clm_io){.ctx = self,
                               .read_file = read_file,
                               .stat = stat_file,
                               .read_link = read_link,
                               .list_dir = list_dir};
}

__attribute__((weak)) bool clm_fuzz_is_starved(void)
{
    return false;
}
