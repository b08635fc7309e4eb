/* SPDX-License-Identifier: Apache-2.0 */
/* What the keystore of a target holds. Passwords and keys stay in wiped buffers in here. */
#include <stdio.h>
#include <string.h>

#include "agent/crypto/cert.h"
#include "agent/crypto/key.h"
#include "agent/keystore/keystore.h"
#include "scanners/endpoints.h"
#include "scanners/mounts.h"
#include "scanners/target_files.h"
#include "scanners/tomcat_parts.h"
#include "scanners/users.h"

/* Sets *out_i. Otherwise the target has a reason and *found is false. */
static enum clm_code choose(const struct clm_keystore *store, struct clm_target *target,
                            size_t *out_i, bool *found, struct clm_err *err)
{
    size_t keys = 0;

    *found = clm_keystore_find(store, target->alias[0] != '\0' ? target->alias : NULL, out_i);
    if (!*found) {
        return target->alias[0] != '\0'
                   ? clm_target_refuse(target, err, "'%s' has no entry '%s'", target->cert_path,
                                       target->alias)
                   : clm_target_refuse(target, err, "'%s' has no entry with a private key",
                                       target->cert_path);
    }
    if (clm_keystore_entry(store, *out_i)->kind != CLM_ENTRY_KEY) {
        *found = false;
        return clm_target_refuse(target, err, "entry '%s' of '%s' has no private key",
                                 target->alias, target->cert_path);
    }
    for (size_t i = 0; i < clm_keystore_count(store); i++) {
        keys += clm_keystore_entry(store, i)->kind == CLM_ENTRY_KEY;
    }
    if (target->alias[0] == '\0' && keys > 1 &&
        clm_keystore_type_of(store) != CLM_KEYSTORE_PKCS12) {
        *found = false; /* Java goes through a hash table: the order of the file says nothing */
        return clm_target_refuse(target, err,
                                 "'%s' holds %zu keys, and server.xml does not say which one is "
                                 "used: name it with certificateKeyAlias",
                                 target->cert_path, keys);
    }
    return CLM_OK;
}

static enum clm_code read_chain(const struct clm_keystore *store, size_t i,
                                struct clm_target *target, struct clm_cert_chain **out,
                                struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *sorted = NULL;
    struct clm_err why = {0};
    enum clm_code code = clm_keystore_chain(store, i, &chain, &why);

    if (code == CLM_OK) {
        code = clm_keystore_chain(store, i, &sorted, &why);
    }
    if (code == CLM_OK) {
        code = clm_cert_info(chain, 0, &target->certificate, &why);
    }
    if (code != CLM_OK) {
        return clm_target_fault(target, &why, err, "'%s': %s", target->cert_path, why.msg);
    }
    target->has_certificate = true;
    target->chain_ok = clm_cert_chain_sort(sorted, &why) == CLM_OK &&
                       clm_cert_chain_count(sorted) == clm_cert_chain_count(chain);
    for (size_t k = 0; target->chain_ok && k < clm_cert_chain_count(sorted); k++) {
        size_t len = 0;
        size_t sorted_len = 0;
        const uint8_t *der = clm_cert_chain_der(chain, k, &len);
        const uint8_t *sorted_der = clm_cert_chain_der(sorted, k, &sorted_len);

        target->chain_ok = len == sorted_len && memcmp(der, sorted_der, len) == 0;
    }
    *out = CLM_STEAL(chain);
    return CLM_OK;
}

static enum clm_code match_key(const struct clm_tomcat_site *site,
                               const struct clm_tomcat_pair *pair, const struct clm_keystore *store,
                               size_t i, struct clm_target *target, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    struct clm_err why = {0};
    enum clm_code code = read_chain(store, i, target, &chain, err);

    if (code != CLM_OK || chain == NULL) {
        return code;
    }
    code =
        target->key_password[0] == '\0'
            ? CLM_OK
            : clm_tomcat_password(site->io, site->tomcat, pair, CLM_TOMCAT_OF_KEY, &password, &why);
    if (code == CLM_OK) {
        code = clm_keystore_key(store, i, target->key_password[0] == '\0' ? NULL : &password, &key,
                                &why);
    }
    if (code != CLM_OK) {
        return clm_target_fault(target, &why, err, "the key in '%s': %s", target->cert_path,
                                why.msg);
    }
    code = clm_cert_matches_key(chain, 0, key, &target->key_matches, err);
    return code != CLM_OK || target->key_matches
               ? code
               : clm_target_refuse(target, err,
                                   "the key in '%s' does not belong to its certificate",
                                   target->cert_path);
}

static enum clm_code read_perm(const struct clm_io *io, struct clm_target *target,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_users_done) struct clm_users users = {.passwd = CLM_BUF_INIT(0)};
    struct clm_stat st = {0};
    enum clm_code code;

    if (io->stat(io->ctx, target->cert_path, true, &st, NULL) != CLM_OK) {
        return CLM_OK; /* reading it gives the reason */
    }
    code = clm_users_read(io, &users, err);
    return code == CLM_OK
               ? clm_target_note_perm(target, &users, &st, "keystore", target->cert_path, err)
               : code;
}

/* Where the file is read; what stands in the way of replacing it becomes a reason. */
static enum clm_code locate(const struct clm_tomcat_site *site, struct clm_target *target,
                            struct clm_located *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_mounts_done) struct clm_mounts mounts = {.io = NULL};
    struct clm_stat st = {0};

    clm_mounts_read(site->io, site->process, &mounts);
    clm_locate(&mounts, target->cert_path, out);
    if (out->why[0] != '\0') {
        return clm_target_refuse(target, err, "%s", out->why);
    }
    if (site->io->stat(site->io->ctx, out->read, true, &st, NULL) == CLM_OK &&
        st.kind == CLM_FILE_REGULAR && st.nlink > 1) {
        return clm_target_refuse(target, err,
                                 "'%s' has more than one name (hard links), which a replacement "
                                 "would part: make a copy of it",
                                 target->cert_path);
    }
    return CLM_OK;
}

static enum clm_code open_store(const struct clm_tomcat_site *site,
                                const struct clm_tomcat_pair *pair, struct clm_target *target,
                                struct clm_keystore **out, struct clm_err *err)
{
    struct clm_located located = {.why = ""};
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX + 1);
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    enum clm_keystore_type type;
    struct clm_err why = {0};
    enum clm_code code = locate(site, target, &located, err);

    if (code != CLM_OK) {
        return code;
    }
    code = site->io->read_file(site->io->ctx, located.read, CLM_KEYSTORE_MAX, &data, &why);

    if (code == CLM_OK && clm_keystore_detect(data.data, data.len, &type)) {
        (void)snprintf(target->store_type, sizeof(target->store_type), "%s",
                       clm_keystore_type_name(type));
    }
    if (code == CLM_OK) {
        code =
            clm_tomcat_password(site->io, site->tomcat, pair, CLM_TOMCAT_OF_STORE, &password, &why);
    }
    if (code == CLM_OK) {
        code = clm_keystore_open(data.data, data.len, &password, out, &why);
    }
    if (code == CLM_OK) {
        return CLM_OK;
    }
    return strstr(why.msg, target->cert_path) != NULL
               ? clm_target_fault(target, &why, err, "%s", why.msg)
               : clm_target_fault(target, &why, err, "'%s': %s", target->cert_path, why.msg);
}

enum clm_code clm_tomcat_read_store(const struct clm_tomcat_site *site,
                                    const struct clm_tomcat_pair *pair, struct clm_target *target,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    size_t i = 0;
    bool found = false;
    enum clm_code code;

    (void)snprintf(target->store_type, sizeof(target->store_type), "pkcs12");
    code = read_perm(site->io, target, err);
    if (code == CLM_OK) {
        code = open_store(site, pair, target, &store, err);
    }
    if (code == CLM_OK && store != NULL) {
        code = choose(store, target, &i, &found, err);
    }
    return code == CLM_OK && found ? match_key(site, pair, store, i, target, err) : code;
}
