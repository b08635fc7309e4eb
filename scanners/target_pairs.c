/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/target_pairs.h"

#include <stdio.h>
#include <string.h>

#include "scanners/endpoints.h"

#define KIND_SIZE sizeof(((struct clm_target *)0)->key_kind)

void clm_pairs_add(struct clm_pairs *pairs, const struct clm_service *service,
                   const char *cert_path, const char *key_path)
{
    const struct clm_target *target = clm_service_target(service, cert_path, key_path);

    if (target == NULL || pairs->n >= CLM_PAIRS_MAX) {
        return;
    }
    for (size_t i = 0; i < pairs->n; i++) {
        if (&service->targets[pairs->v[i]] == target) {
            return;
        }
    }
    pairs->v[pairs->n++] = (size_t)(target - service->targets);
}

/* "rsa" of "rsa-2048", "ec" of "ec-p256"; "" for others, and without a certificate. */
static void kind_of(const struct clm_target *target, char *dst)
{
    const char *type = target->certificate.key_type;

    dst[0] = '\0';
    if (target->has_certificate && (clm_str_starts(type, "rsa-") || clm_str_starts(type, "ec-"))) {
        (void)snprintf(dst, KIND_SIZE, "%.*s", (int)strcspn(type, "-"), type);
    }
}

static enum clm_code name_by_kind(const struct clm_service *service, struct clm_target *target,
                                  struct clm_err *err)
{
    char kind[sizeof(((struct clm_service *)0)->kind)];
    char name[CLM_TARGET_ID_SIZE];
    const char *colon = strchr(target->id, ':');

    if (colon == NULL) {
        return CLM_OK;
    }
    (void)snprintf(kind, sizeof(kind), "%.*s", (int)(colon - target->id), target->id);
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(colon + 1, "#"), colon + 1);
    return clm_target_name_kind(service, target, kind, name, err);
}

static enum clm_code set_kind(struct clm_service *service, struct clm_target *target,
                              const char *kind, struct clm_err *err)
{
    bool is_new = target->key_kind[0] == '\0'; /* another block may have settled it */

    memcpy(target->key_kind, kind, KIND_SIZE);
    for (size_t i = 0; i < target->n_endpoints; i++) {
        memcpy(target->endpoints[i].key_kind, kind, KIND_SIZE);
    }
    return is_new ? name_by_kind(service, target, err) : CLM_OK;
}

static enum clm_code settle_one(const struct clm_pairs *pairs, size_t i,
                                struct clm_service *service, struct clm_err *err)
{
    struct clm_target *target = &service->targets[pairs->v[i]];
    char kind[KIND_SIZE];

    kind_of(target, kind);
    if (kind[0] == '\0') {
        return clm_target_refuse(target, err,
                                 "%s: one of several certificates in one block, and whether its "
                                 "key is RSA or ECDSA cannot be told",
                                 target->configured_at);
    }
    for (size_t k = i + 1; k < pairs->n; k++) {
        const struct clm_target *later = &service->targets[pairs->v[k]];
        char other[KIND_SIZE];

        kind_of(later, other);
        if (strcmp(kind, other) == 0) {
            return clm_target_refuse(target, err,
                                     "%s: the block has a later certificate with a key of the same "
                                     "kind, '%s', and only that one is shown: remove one of them",
                                     target->configured_at, later->cert_path);
        }
    }
    return set_kind(service, target, kind, err);
}

enum clm_code clm_pairs_settle(const struct clm_pairs *pairs, struct clm_service *service,
                               struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < pairs->n && pairs->n > 1 && code == CLM_OK; i++) {
        code = settle_one(pairs, i, service, err);
    }
    return code;
}
