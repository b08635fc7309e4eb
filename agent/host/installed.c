/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/installed.h"

#include <string.h>

#define FILE_MAX 1048576u /* bytes; design.md 11 */

void clm_installed_done(struct clm_installed *installed)
{
    clm_cert_chain_free(installed->chain);
    clm_key_free(installed->key);
    *installed = (struct clm_installed){NULL, NULL};
}

static enum clm_code read_file(struct clm_host_call *call, const char *path, struct clm_buf *out,
                               struct clm_err *err)
{
    const struct clm_io *io = call->host->io;

    if (path[0] == '\0') {
        return clm_refuse(call, err, CLM_E_NOTFOUND, "E_STATE",
                          "the target has no file for it yet");
    }
    return io->read_file(io->ctx, path, FILE_MAX, out, err);
}

static enum clm_code read_chain(struct clm_host_call *call, const struct clm_target *target,
                                struct clm_installed *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(FILE_MAX + 1);
    enum clm_code code = read_file(call, target->cert_path, &data, err);

    if (code != CLM_OK) {
        return code;
    }
    return strcmp(target->store_type, "der") == 0
               ? clm_cert_chain_from_der(data.data, data.len, &out->chain, err)
               : clm_cert_chain_from_pem(data.data, data.len, &out->chain, err);
}

static enum clm_code read_key(struct clm_host_call *call, const struct clm_target *target,
                              struct clm_installed *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(FILE_MAX + 1);
    const char *path = target->key_path[0] != '\0' ? target->key_path : target->cert_path;
    enum clm_code code = read_file(call, path, &data, err);

    if (code != CLM_OK) {
        return code;
    }
    return strcmp(target->store_type, "der") == 0
               ? clm_key_from_der(data.data, data.len, &out->key, err)
               : clm_key_from_pem(data.data, data.len, &out->key, err);
}

static bool is_store(const struct clm_target *target)
{
    return strcmp(target->store_type, "pkcs12") == 0 || strcmp(target->store_type, "jks") == 0 ||
           strcmp(target->store_type, "jceks") == 0;
}

typedef enum clm_code (*read_fn)(struct clm_host_call *call, const struct clm_target *target,
                                 struct clm_installed *out, struct clm_err *err);

static enum clm_code with_target(struct clm_host_call *call, const char *target_id, read_fn read,
                                 struct clm_installed *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    const struct clm_target *target;
    const struct clm_service *service;
    enum clm_code code = clm_host_find_target(call, target_id, &inventory, &target, &service, err);

    if (code == CLM_OK && is_store(target)) {
        code = clm_refuse(call, err, CLM_E_UNSUPPORTED, "E_STATE",
                          "'%s': keystores are not read for this by this version", target_id);
    }
    return code == CLM_OK ? read(call, target, out, err) : code;
}

enum clm_code clm_host_installed_cert(struct clm_host_call *call, const char *target_id,
                                      struct clm_installed *out, struct clm_err *err)
{
    enum clm_code code = with_target(call, target_id, read_chain, out, err);

    return code == CLM_OK ? CLM_OK
                          : clm_err_wrap(err, code, "certificate installed at '%s'", target_id);
}

enum clm_code clm_host_installed_key(struct clm_host_call *call, const char *target_id,
                                     struct clm_installed *out, struct clm_err *err)
{
    enum clm_code code = with_target(call, target_id, read_key, out, err);

    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "key installed at '%s'", target_id);
}
