/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/target_files.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/key.h"
#include "scanners/endpoints.h"
#include "scanners/users.h"

/* Reads a file that the server uses. Sets *out_ok; otherwise the target has a reason. */
static enum clm_code read_file(const struct clm_io *io, const struct clm_process *process,
                               struct clm_target *target, const char *path, struct clm_buf *out,
                               struct clm_err *err)
{
    struct clm_err why = {0};
    enum clm_code code;

    if (!clm_process_shares(io, process, path)) {
        code = clm_target_refuse(target, err,
                                 "the server sees another '%s' than this agent (it has its own "
                                 "mounts): put the file where both see it",
                                 path);
        return code == CLM_OK ? CLM_E_UNSUPPORTED : code;
    }
    code = io->read_file(io->ctx, path, CLM_CERT_FILE_MAX, out, &why);
    if (code != CLM_OK) {
        enum clm_code refused = clm_target_refuse(target, err, "%s", why.msg);

        return refused == CLM_OK ? code : refused;
    }
    return CLM_OK;
}

static bool is_encrypted(const struct clm_buf *pem)
{
    const char *text = clm_buf_str(pem);

    return strstr(text, "-----BEGIN ENCRYPTED PRIVATE KEY-----") != NULL ||
           strstr(text, "Proc-Type: 4,ENCRYPTED") != NULL;
}

static enum clm_code read_perm(const struct clm_io *io, const struct clm_users *users,
                               struct clm_target *target, const char *path, struct clm_err *err)
{
    struct clm_stat st = {0};
    char user[24];
    char group[24];

    if (io->stat(io->ctx, path, true, &st, NULL) != CLM_OK) {
        return CLM_OK; /* reading it has given the reason */
    }
    clm_users_user(users, st.uid, user, sizeof(user));
    clm_users_group(users, st.gid, group, sizeof(group));
    (void)snprintf(target->key_perm, sizeof(target->key_perm), "%04o %s:%s", st.mode, user, group);
    if ((st.mode & 0004) != 0) {
        return clm_remark(&target->reasons, err, "every user can read the key '%s' (mode %04o)",
                          path, st.mode);
    }
    return CLM_OK;
}

/* Certificate, chain_ok. Returns NULL in *out_chain if the file holds none that can be read. */
static enum clm_code read_cert(struct clm_target *target, const struct clm_buf *pem,
                               struct clm_cert_chain **out_chain, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *sorted = NULL;
    struct clm_err why = {0};
    enum clm_code code = clm_cert_chain_from_pem(clm_buf_str(pem), pem->len, &chain, &why);
    bool in_order = true;

    if (code != CLM_OK) {
        return code == CLM_E_NOMEM
                   ? code
                   : clm_target_refuse(target, err, "'%s': %s", target->cert_path, why.msg);
    }
    code = clm_cert_info(chain, 0, &target->certificate, err);
    if (code == CLM_OK) {
        code = clm_cert_chain_from_pem(clm_buf_str(pem), pem->len, &sorted, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    target->has_certificate = true;
    target->chain_ok = clm_cert_chain_sort(sorted, &why) == CLM_OK;
    for (size_t i = 0; target->chain_ok && i < clm_cert_chain_count(sorted); i++) {
        size_t len = 0;
        size_t sorted_len = 0;
        const uint8_t *der = clm_cert_chain_der(chain, i, &len);
        const uint8_t *sorted_der = clm_cert_chain_der(sorted, i, &sorted_len);

        in_order = in_order && len == sorted_len && memcmp(der, sorted_der, len) == 0;
    }
    target->chain_ok = target->chain_ok && in_order;
    *out_chain = CLM_STEAL(chain);
    return CLM_OK;
}

static enum clm_code match_key(struct clm_target *target, const struct clm_cert_chain *chain,
                               const struct clm_buf *pem, const char *path, struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    struct clm_err why = {0};
    enum clm_code code;

    if (is_encrypted(pem)) {
        return clm_target_refuse(target, err,
                                 "the key '%s' is encrypted: clmbot writes keys without a "
                                 "passphrase, protected by owner and mode alone",
                                 path);
    }
    code = clm_key_from_pem(clm_buf_str(pem), pem->len, &key, &why);
    if (code != CLM_OK) {
        return code == CLM_E_NOMEM ? code
                                   : clm_target_refuse(target, err, "'%s': %s", path, why.msg);
    }
    if (chain == NULL) {
        return CLM_OK;
    }
    target->key_matches = clm_cert_matches_key(chain, 0, key);
    if (!target->key_matches) {
        return clm_target_refuse(target, err,
                                 "the key '%s' does not belong to the certificate '%s': the server "
                                 "will not start with them",
                                 path, target->cert_path);
    }
    return CLM_OK;
}

/* The parts of target that lie in files; NOMEM is the only error that is passed on. */
static enum clm_code read_target(const struct clm_io *io, const struct clm_process *process,
                                 const struct clm_users *users, struct clm_target *target,
                                 struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf cert = CLM_BUF_SECRET_INIT(CLM_CERT_FILE_MAX + 1);
    CLM_CLEANUP(clm_buf_done) struct clm_buf key = CLM_BUF_SECRET_INIT(CLM_CERT_FILE_MAX + 1);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    const char *key_path = target->key_path[0] != '\0' ? target->key_path : target->cert_path;
    bool apart = strcmp(key_path, target->cert_path) != 0;
    enum clm_code code;

    if (target->cert_path[0] != '/' || key_path[0] != '/' ||
        strchr(target->cert_path, '$') != NULL || strchr(key_path, '$') != NULL) {
        return CLM_OK; /* a variable, an engine: there is a reason already */
    }
    code = read_perm(io, users, target, key_path, err);
    if (code != CLM_OK) {
        return code;
    }
    code = read_file(io, process, target, target->cert_path, &cert, err);
    if (code == CLM_OK) {
        code = read_cert(target, &cert, &chain, err);
    }
    if (code == CLM_E_NOMEM) {
        return code;
    }
    if (apart) {
        code = read_file(io, process, target, key_path, &key, err);
        return code == CLM_OK ? match_key(target, chain, &key, key_path, err)
                              : (code == CLM_E_NOMEM ? code : CLM_OK);
    }
    return cert.len > 0 ? match_key(target, chain, &cert, key_path, err) : CLM_OK;
}

enum clm_code clm_targets_read_files(const struct clm_io *io, const struct clm_process *process,
                                     struct clm_service *service, struct clm_err *err)
{
    CLM_CLEANUP(clm_users_done) struct clm_users users = {.passwd = CLM_BUF_INIT(0)};
    enum clm_code code = CLM_OK;

    clm_users_read(io, &users);
    for (size_t i = 0; i < service->n_targets && code == CLM_OK; i++) {
        code = read_target(io, process, &users, &service->targets[i], err);
    }
    return code;
}
