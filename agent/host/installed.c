/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host/installed.h"

#include <stdio.h>
#include <string.h>

#include "agent/crypto/pkcs7.h"
#include "agent/crypto/pkcs8.h"
#include "agent/keystore/keystore.h"
#include "agent/model/secret.h"

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

/* ref "": no password of its own. */
static enum clm_code ask_password(struct clm_host_call *call, const struct clm_target *target,
                                  const char *ref, struct clm_buf *out, struct clm_err *err)
{
    const struct clm_secret_source secrets = clm_host_secrets(call->host);
    char deployer[32];

    (void)snprintf(deployer, sizeof(deployer), "%.*s", (int)strcspn(target->id, ":"), target->id);
    return ref[0] != '\0' ? secrets.get(secrets.arg, deployer, ref, out, err) : CLM_OK;
}

/* A server takes the certificates of a PEM text in their order, the first as its own; in a bag the
 * order means nothing. */
static enum clm_code parse_chain(const struct clm_buf *data, struct clm_cert_chain **out_chain,
                                 struct clm_err *err)
{
    struct clm_err why = {.code = CLM_OK};
    enum clm_code code = clm_cert_chain_from_pem(data->data, data->len, out_chain, &why);

    if (code == CLM_OK) {
        return code;
    }
    if (code != CLM_E_NOMEM) {
        why = (struct clm_err){.code = CLM_OK};
        code = clm_cert_chain_from_any(data->data, data->len, out_chain, &why);
    }
    if (code != CLM_OK) {
        return clm_err_set(err, code, "%s", why.msg);
    }
    code = clm_cert_chain_sort(*out_chain, &why);
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "%s", why.msg)
                               : CLM_OK; /* a broken chain is none of ours */
}

static enum clm_code read_chain(struct clm_host_call *call, const struct clm_target *target,
                                struct clm_installed *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(FILE_MAX + 1);
    enum clm_code code = read_file(call, target->cert_path, &data, err);

    return code == CLM_OK ? parse_chain(&data, &out->chain, err) : code;
}

static enum clm_code read_key(struct clm_host_call *call, const struct clm_target *target,
                              struct clm_installed *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(FILE_MAX + 1);
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    const char *path = target->key_path[0] != '\0' ? target->key_path : target->cert_path;
    enum clm_code code = read_file(call, path, &data, err);

    if (code == CLM_OK) {
        code = ask_password(call, target, target->key_password, &password, err);
    }
    return code == CLM_OK ? clm_key_from_any(data.data, data.len,
                                             target->key_password[0] != '\0' ? &password : NULL,
                                             &out->key, err)
                          : code;
}

/* ---- keystores ---- */

static bool is_store(const struct clm_target *target)
{
    enum clm_keystore_type type;

    return clm_keystore_type_parse(target->store_type, &type, NULL) == CLM_OK;
}

/* The entry of the target in its keystore. */
static enum clm_code open_store(struct clm_host_call *call, const struct clm_target *target,
                                struct clm_keystore **out_store, size_t *out_entry,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX + 1);
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    const struct clm_io *io = call->host->io;
    const char *alias = target->alias[0] != '\0' ? target->alias : NULL;
    enum clm_code code = ask_password(call, target, target->store_password, &password, err);

    if (code == CLM_OK) {
        code = io->read_file(io->ctx, target->cert_path, CLM_KEYSTORE_MAX, &data, err);
    }
    if (code == CLM_OK) {
        code =
            clm_keystore_open(data.data, data.len,
                              target->store_password[0] != '\0' ? &password : NULL, out_store, err);
    }
    if (code == CLM_OK && !clm_keystore_find(*out_store, alias, out_entry)) {
        code = clm_err_set(err, CLM_E_NOTFOUND, "'%s' has no entry '%s'", target->cert_path,
                           alias != NULL ? alias : "with a key");
    }
    return code;
}

static enum clm_code read_store_chain(struct clm_host_call *call, const struct clm_target *target,
                                      struct clm_installed *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    size_t entry = 0;
    enum clm_code code = open_store(call, target, &store, &entry, err);

    return code == CLM_OK ? clm_keystore_chain(store, entry, &out->chain, err) : code;
}

static enum clm_code read_store_key(struct clm_host_call *call, const struct clm_target *target,
                                    struct clm_installed *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    size_t entry = 0;
    enum clm_code code = open_store(call, target, &store, &entry, err);

    if (code == CLM_OK) {
        code = ask_password(call, target, target->key_password, &password, err);
    }
    return code == CLM_OK
               ? clm_keystore_key(store, entry, target->key_password[0] != '\0' ? &password : NULL,
                                  &out->key, err)
               : code;
}

typedef enum clm_code (*read_fn)(struct clm_host_call *call, const struct clm_target *target,
                                 struct clm_installed *out, struct clm_err *err);

static enum clm_code with_target(struct clm_host_call *call, const char *target_id,
                                 const read_fn readers[2], struct clm_installed *out,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory inventory = {0};
    const struct clm_target *target;
    const struct clm_service *service;
    enum clm_code code = clm_host_find_target(call, target_id, &inventory, &target, &service, err);

    return code == CLM_OK ? readers[is_store(target) ? 1 : 0](call, target, out, err) : code;
}

enum clm_code clm_host_installed_cert(struct clm_host_call *call, const char *target_id,
                                      struct clm_installed *out, struct clm_err *err)
{
    static const read_fn readers[2] = {read_chain, read_store_chain};
    enum clm_code code = with_target(call, target_id, readers, out, err);

    return code == CLM_OK ? CLM_OK
                          : clm_err_wrap(err, code, "certificate installed at '%s'", target_id);
}

enum clm_code clm_host_installed_key(struct clm_host_call *call, const char *target_id,
                                     struct clm_installed *out, struct clm_err *err)
{
    static const read_fn readers[2] = {read_key, read_store_key};
    enum clm_code code = with_target(call, target_id, readers, out, err);

    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "key installed at '%s'", target_id);
}
