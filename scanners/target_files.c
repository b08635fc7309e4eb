/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/target_files.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/key.h"
#include "agent/crypto/pkcs8.h"
#include "agent/formats/password_lines.h"
#include "agent/formats/server_xml.h"
#include "scanners/endpoints.h"
#include "scanners/mounts.h"
#include "scanners/users.h"

/* What reading the targets of one service needs. */
struct reader {
    const struct clm_io *io;
    const struct clm_mounts *mounts;
    const struct clm_users *users;
};

/* Reads a file that the server uses; what stands in the way of replacing it becomes a reason. */
static enum clm_code read_file(const struct reader *reader, struct clm_target *target,
                               const char *path, struct clm_buf *out, struct clm_err *err)
{
    const struct clm_io *io = reader->io;
    struct clm_located located;
    struct clm_err why = {0};
    struct clm_stat st = {0};
    enum clm_code code = CLM_OK;

    clm_locate(reader->mounts, path, &located);
    if (located.why[0] != '\0') {
        code = clm_target_refuse(target, err, "%s", located.why);
    }
    if (code == CLM_OK && io->stat(io->ctx, located.read, true, &st, NULL) == CLM_OK &&
        st.kind == CLM_FILE_REGULAR && st.nlink > 1) {
        code = clm_target_refuse(target, err,
                                 "'%s' has more than one name (hard links), which a replacement "
                                 "would part: make a copy of it",
                                 path);
    }
    if (code != CLM_OK) {
        return code;
    }
    code = io->read_file(io->ctx, located.read, CLM_CERT_FILE_MAX, out, &why);
    if (code != CLM_OK) {
        enum clm_code refused = clm_target_fault(target, &why, err, "%s", why.msg);

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

enum clm_code clm_target_note_perm(struct clm_target *target, const struct clm_users *users,
                                   const struct clm_stat *st, const char *what, const char *path,
                                   struct clm_err *err)
{
    char user[24];
    char group[24];

    clm_users_user(users, st->uid, user, sizeof(user));
    clm_users_group(users, st->gid, group, sizeof(group));
    (void)snprintf(target->key_perm, sizeof(target->key_perm), "%04o %s:%s", st->mode, user, group);
    return (st->mode & 0004) == 0
               ? CLM_OK
               : clm_remark(&target->reasons, err, "every user can read the %s '%s' (mode %04o)",
                            what, path, st->mode);
}

static enum clm_code read_perm(const struct reader *reader, struct clm_target *target,
                               const char *path, struct clm_err *err)
{
    struct clm_located located;
    struct clm_stat st = {0};

    clm_locate(reader->mounts, path, &located);
    if (reader->io->stat(reader->io->ctx, located.read, true, &st, NULL) != CLM_OK) {
        return CLM_OK; /* reading it has given the reason */
    }
    return clm_target_note_perm(target, reader->users, &st, "key", path, err);
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
        return clm_target_fault(target, &why, err, "'%s': %s", target->cert_path, why.msg);
    }
    code = clm_cert_info(chain, 0, &target->certificate, err);
    if (code == CLM_OK) {
        code = clm_cert_chain_from_pem(clm_buf_str(pem), pem->len, &sorted, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    target->has_certificate = true;
    code = clm_cert_chain_sort(sorted, &why);
    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "%s", why.msg);
    }
    target->chain_ok = code == CLM_OK;
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

/* The line of the password file that opens the key. Sets key_password, and *out_key; else the target
 * has a reason. file: as the server's configuration names it. */
static enum clm_code open_encrypted(const struct reader *reader, struct clm_target *target,
                                    const char *file, const struct clm_buf *pem,
                                    struct clm_key **out_key, struct clm_err *err)
{
    struct clm_located located;
    struct clm_err why = {0};

    clm_locate(reader->mounts, file, &located);
    if (located.host[0] == '\0') {
        return clm_target_refuse(target, err, "%s", located.why);
    }
    for (size_t n = 1; n <= CLM_PASSWORD_LINES_MAX; n++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf word = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX + 1);
        enum clm_code code = clm_password_line(reader->io, located.host, n, &word, &why);

        if (code == CLM_E_NOTFOUND && n > 1) {
            break; /* no more lines */
        }
        if (code != CLM_OK && code != CLM_E_LIMIT) {
            return clm_target_fault(target, &why, err, "%s", why.msg);
        }
        if (code == CLM_OK && word.len > 0 &&
            clm_key_from_pem_password(pem->data, pem->len, &word, out_key, NULL) == CLM_OK) {
            return clm_str_fmt(target->key_password, sizeof(target->key_password), err,
                               CLM_SECRET_CONF "%zu:%s", n, located.host);
        }
    }
    return clm_target_refuse(target, err, "no password in '%s' opens the key '%s'", file,
                             target->key_path);
}

/* Tomcat's configuration holds the password itself; the reference to it stays. */
static enum clm_code open_by_reference(const struct reader *reader, struct clm_target *target,
                                       const char *ref, const struct clm_buf *pem,
                                       struct clm_key **out_key, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf word = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    struct clm_err why = {0};
    enum clm_code code =
        clm_tomcat_secret_find(reader->io, ref + strlen(CLM_SECRET_CONF), &word, &why);

    if (code == CLM_OK) {
        code = clm_key_from_pem_password(pem->data, pem->len, &word, out_key, &why);
    }
    if (code == CLM_OK) {
        return clm_str_copy(target->key_password, sizeof(target->key_password), ref, err);
    }
    return clm_target_fault(target, &why, err, "the key '%s': %s", target->key_path, why.msg);
}

/* key_password as the scanner left it: "conf:0:FILE" where passwords are, "conf:-:TEXT" how else the
 * server comes by them, "conf:/..." Tomcat's own. */
static enum clm_code open_key(const struct reader *reader, struct clm_target *target,
                              const struct clm_buf *pem, const char *path, struct clm_key **out_key,
                              struct clm_err *err)
{
    char hint[CLM_SECRET_REF_SIZE];
    struct clm_err why = {0};
    enum clm_code code;

    memcpy(hint, target->key_password, sizeof(hint));
    target->key_password[0] = '\0';
    if (is_encrypted(pem)) {
        if (clm_str_starts(hint, CLM_SECRET_CONF "/")) {
            return open_by_reference(reader, target, hint, pem, out_key, err);
        }
        if (clm_str_starts(hint, CLM_PASSWORDS_IN)) {
            return open_encrypted(reader, target, hint + strlen(CLM_PASSWORDS_IN), pem, out_key,
                                  err);
        }
        return clm_target_refuse(target, err,
                                 "the key '%s' is encrypted, and %s: clmbot cannot read its "
                                 "password there",
                                 path,
                                 clm_str_starts(hint, CLM_PASSWORDS_BY)
                                     ? hint + strlen(CLM_PASSWORDS_BY)
                                     : "the configuration names no file with its password");
    }
    code = clm_key_from_pem(clm_buf_str(pem), pem->len, out_key, &why);
    return code == CLM_OK ? code : clm_target_fault(target, &why, err, "'%s': %s", path, why.msg);
}

static enum clm_code match_key(const struct reader *reader, struct clm_target *target,
                               const struct clm_cert_chain *chain, const struct clm_buf *pem,
                               const char *path, struct clm_err *err)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    enum clm_code code = open_key(reader, target, pem, path, &key, err);

    if (code != CLM_OK || key == NULL) {
        return code;
    }
    if (chain == NULL) {
        return CLM_OK;
    }
    code = clm_cert_matches_key(chain, 0, key, &target->key_matches, err);
    if (code == CLM_OK && !target->key_matches) {
        return clm_target_refuse(target, err,
                                 "the key '%s' does not belong to the certificate '%s': the server "
                                 "will not start with them",
                                 path, target->cert_path);
    }
    return code;
}

/* The intermediates are not read, but they are written as well. */
static enum clm_code check_chain(const struct reader *reader, struct clm_target *target,
                                 struct clm_err *err)
{
    struct clm_located located;

    if (target->chain_path[0] != '/' || strcmp(target->chain_path, target->cert_path) == 0) {
        return CLM_OK;
    }
    clm_locate(reader->mounts, target->chain_path, &located);
    return located.why[0] == '\0' ? CLM_OK : clm_target_refuse(target, err, "%s", located.why);
}

/* The parts of target that lie in files; NOMEM is the only error that is passed on. */
static enum clm_code read_target(const struct reader *reader, struct clm_target *target,
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
    code = read_perm(reader, target, key_path, err);
    if (code == CLM_OK) {
        code = check_chain(reader, target, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    code = read_file(reader, target, target->cert_path, &cert, err);
    if (code == CLM_OK) {
        code = read_cert(target, &cert, &chain, err);
    }
    if (code == CLM_E_NOMEM) {
        return code;
    }
    if (apart) {
        code = read_file(reader, target, key_path, &key, err);
        return code == CLM_OK ? match_key(reader, target, chain, &key, key_path, err)
                              : (code == CLM_E_NOMEM ? code : CLM_OK);
    }
    return cert.len > 0 ? match_key(reader, target, chain, &cert, key_path, err) : CLM_OK;
}

enum clm_code clm_targets_read_files(const struct clm_io *io, const struct clm_process *process,
                                     struct clm_service *service, struct clm_err *err)
{
    CLM_CLEANUP(clm_users_done) struct clm_users users = {.passwd = CLM_BUF_INIT(0)};
    CLM_CLEANUP(clm_mounts_done) struct clm_mounts mounts = {.io = NULL};
    const struct reader reader = {.io = io, .mounts = &mounts, .users = &users};
    const bool shares_net = clm_process_shares_net(io, process);
    enum clm_code code = clm_users_read(io, &users, err);

    clm_mounts_read(io, process, &mounts);
    for (size_t i = 0; i < service->n_targets && code == CLM_OK; i++) {
        struct clm_target *target = &service->targets[i];

        if (target->store_type[0] == '\0' || strcmp(target->store_type, "pem") == 0) {
            code = read_target(&reader, target, err);
        }
        if (clm_str_starts(target->key_password, CLM_PASSWORDS_IN) ||
            clm_str_starts(target->key_password, CLM_PASSWORDS_BY)) {
            target->key_password[0] = '\0'; /* the key could not be read */
        }
        if (code == CLM_OK && !shares_net) {
            code = clm_target_refuse(target, err,
                                     "the server listens in a network namespace of its own, where "
                                     "no handshake from here can reach it");
        }
    }
    return code;
}

static enum clm_code move_path(const struct clm_mounts *mounts, char *path, bool *io_is_moved,
                               struct clm_err *err)
{
    struct clm_located located;

    if (path[0] != '/') {
        return CLM_OK;
    }
    clm_locate(mounts, path, &located);
    if (located.host[0] == '\0' || strcmp(located.host, path) == 0) {
        return CLM_OK;
    }
    *io_is_moved = true;
    return clm_str_copy(path, PATH_MAX, located.host, err);
}

enum clm_code clm_targets_to_host(const struct clm_io *io, const struct clm_process *process,
                                  struct clm_service *service, struct clm_err *err)
{
    CLM_CLEANUP(clm_mounts_done) struct clm_mounts mounts = {.io = NULL};
    enum clm_code code = CLM_OK;

    if (!process->has_own_mounts && !process->has_own_root) {
        return CLM_OK;
    }
    clm_mounts_read(io, process, &mounts);
    for (size_t i = 0; i < service->n_targets && code == CLM_OK; i++) {
        struct clm_target *target = &service->targets[i];

        if (!target->manageable) {
            continue; /* its paths are what the server calls them */
        }
        code = move_path(&mounts, target->cert_path, &service->foreign_namespace, err);
        if (code == CLM_OK) {
            code = move_path(&mounts, target->key_path, &service->foreign_namespace, err);
        }
        if (code == CLM_OK) {
            code = move_path(&mounts, target->chain_path, &service->foreign_namespace, err);
        }
    }
    return code;
}
