/* SPDX-License-Identifier: Apache-2.0 */
/* cert_info - what is worth knowing of one certificate, as values */
#ifndef CLM_MODEL_CERT_INFO_H
#define CLM_MODEL_CERT_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/model/names.h"
#include "agent/model/probe.h"

struct clm_cert_info {
    char sha256[CLM_SHA256_HEX_SIZE];
    char spki_sha256[CLM_SHA256_HEX_SIZE];
    char serial[43]; /* hex, at most 20 bytes (RFC 5280 4.1.2.2) and one more */
    char subject[256];
    char issuer[256];
    int64_t not_before_s;
    int64_t not_after_s;
    char key_type[16]; /* "rsa-2048", "ec-p256", "other" */
    bool is_ca;
    struct clm_names names; /* subject alternative names; the CN if there are none */
};

void clm_cert_info_done(struct clm_cert_info *info); /* for CLM_CLEANUP */
/* The members of "certificate" in protocol.md 7.8; "sans" is one list of DNS names and addresses. */
void clm_cert_info_to_json(const struct clm_cert_info *info, struct clm_json *obj);
CLM_MUST_USE enum clm_code clm_cert_info_from_json(const struct clm_json *obj,
                                                   struct clm_cert_info *out, struct clm_err *err);

#endif
