/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/cert_info.h"

#include <stddef.h>
#include <string.h>

#include "agent/model/fields.h"

#define AT(member) offsetof(struct clm_cert_info, member)
#define TEXT(key_text, member)                                                                     \
    {                                                                                              \
        .key = (key_text), .kind = CLM_FIELD_TEXT, .offset = AT(member),                           \
        .size = sizeof(((struct clm_cert_info *)0)->member)                                        \
    }

static const struct clm_field fields[] = {
    {.key = "sha256", .kind = CLM_FIELD_SHA256, .required = true, .offset = AT(sha256)},
    {.key = "spki_sha256", .kind = CLM_FIELD_SHA256, .offset = AT(spki_sha256)},
    TEXT("serial", serial),
    TEXT("subject", subject),
    TEXT("issuer", issuer),
    {.key = "not_before", .kind = CLM_FIELD_TIME, .offset = AT(not_before_s)},
    {.key = "not_after", .kind = CLM_FIELD_TIME, .offset = AT(not_after_s)},
    TEXT("key", key_type),
    {.key = "is_ca", .kind = CLM_FIELD_BOOL, .offset = AT(is_ca)},
    {.key = NULL},
};

void clm_cert_info_done(struct clm_cert_info *info)
{
    if (info != NULL) {
        clm_names_done(&info->names);
        memset(info, 0, sizeof(*info));
    }
}

void clm_cert_info_to_json(const struct clm_cert_info *info, struct clm_json *obj)
{
    clm_fields_to_json(fields, info, obj);
    clm_names_to_list(&info->names, "sans", obj);
}

enum clm_code clm_cert_info_from_json(const struct clm_json *obj, struct clm_cert_info *out,
                                      struct clm_err *err)
{
    struct clm_cert_info info = {0};
    enum clm_code code = clm_fields_from_json(fields, obj, &info, err);

    if (code == CLM_OK) {
        code = clm_names_from_list(obj, "sans", &info.names, err);
    }
    if (code != CLM_OK) {
        clm_cert_info_done(&info);
        return code;
    }
    *out = info;
    return CLM_OK;
}
