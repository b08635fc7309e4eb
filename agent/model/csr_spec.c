/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/csr_spec.h"

#include <string.h>

#include "agent/model/job.h"
#include "agent/model/spec_fields.h"

static const char *const modes[] = {
    [CLM_CSR_MODE_TEMPLATE] = "template", [CLM_CSR_MODE_INSTALLED] = "installed",
    [CLM_CSR_MODE_OVERRIDE] = "override", [CLM_CSR_MODE_UPLOADED] = "uploaded",
    [CLM_CSR_MODE_REUSE] = "reuse_csr",   [CLM_CSR_MODE__COUNT] = NULL,
};
static const char *const hashes[] = {"sha256", "sha384", "sha512", NULL};
static const char *const keys[] = {"new", "reuse", NULL};

/* Which members a mode has; "mode" itself is in all. */
enum member {
    M_TEMPLATE = 1u << 0,
    M_IDENTITY = 1u << 1, /* subject, sans, key_type, hash, must_staple, eku */
    M_MORE = 1u << 2,     /* challenge_password_ref, key */
    M_PEM = 1u << 3,
};

static const struct {
    const char *key;
    enum member member;
} members[] = {
    {"template", M_TEMPLATE}, {"subject", M_IDENTITY},
    {"sans", M_IDENTITY},     {"key_type", M_IDENTITY},
    {"hash", M_IDENTITY},     {"must_staple", M_IDENTITY},
    {"eku", M_IDENTITY},      {"challenge_password_ref", M_MORE},
    {"key", M_MORE},          {"csr_pem", M_PEM},
};

static const unsigned allowed[] = {
    [CLM_CSR_MODE_TEMPLATE] = M_TEMPLATE | M_IDENTITY | M_MORE,
    [CLM_CSR_MODE_INSTALLED] = M_MORE,
    [CLM_CSR_MODE_OVERRIDE] = M_IDENTITY | M_MORE,
    [CLM_CSR_MODE_UPLOADED] = M_PEM,
    [CLM_CSR_MODE_REUSE] = 0,
};

#define CHOICE(key_, member_, choices_)                                                            \
    CLM_SPEC_ROW(CLM_SPEC_CHOICE, key_, false, struct texts, member_, 0, 32, choices_)

/* What the table of fields fills; a choice that is not given is put back to NULL afterwards. */
struct texts {
    const char *mode;
    const char *template_name;
    const char *key_type;
    const char *hash;
    const char *key;
    const char *challenge_ref;
    const char *csr_pem;
    bool must_staple;
};

static const struct clm_spec_field fields[] = {
    CHOICE("mode", mode, modes),
    CLM_SPEC_ROW(CLM_SPEC_NAME, "template", false, struct texts, template_name, 0, 64, NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "subject", NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "sans", NULL),
    CHOICE("key_type", key_type, clm_spec_key_types),
    CHOICE("hash", hash, hashes),
    CLM_SPEC_ROW(CLM_SPEC_BOOL, "must_staple", false, struct texts, must_staple, 0, 0, NULL),
    CLM_SPEC_LOOSE(CLM_SPEC_OTHER, "eku", NULL),
    CLM_SPEC_ROW(CLM_SPEC_NAME, "challenge_password_ref", false, struct texts, challenge_ref, 0, 64,
                 NULL),
    CHOICE("key", key, keys),
    CLM_SPEC_ROW(CLM_SPEC_RAW, "csr_pem", false, struct texts, csr_pem, 0, CLM_CSR_PEM_MAX, NULL),
    CLM_SPEC_END,
};

const char *clm_csr_mode_name(enum clm_csr_mode mode)
{
    return mode < CLM_CSR_MODE__COUNT ? modes[mode] : "?";
}

void clm_csr_spec_done(struct clm_csr_spec *spec)
{
    clm_subject_done(&spec->subject);
    clm_sans_done(&spec->sans);
    memset(spec, 0, sizeof(*spec));
}

/* ---- subject ---- */

static enum clm_code add_value(struct clm_csr_spec *spec, enum clm_subject_field field,
                               const struct clm_json *node, struct clm_err *err)
{
    const char *text = clm_json_text(node);
    enum clm_code code;

    if (text == NULL) {
        return clm_err_set(err, CLM_E_PARSE, "'%s': must be a text%s",
                           clm_subject_field_name(field),
                           field == CLM_SUBJECT_OU ? " or a list of texts" : "");
    }
    if (text[0] == '\0') {
        return CLM_OK; /* takes the field away */
    }
    code = clm_subject_check(field, text, err);
    return code == CLM_OK ? clm_strs_add(&spec->subject.field[field], text, err) : code;
}

static enum clm_code read_subject_field(const struct clm_json *subject,
                                        enum clm_subject_field field, struct clm_csr_spec *spec,
                                        struct clm_err *err)
{
    const char *key = clm_subject_field_name(field);
    const struct clm_json *value = clm_json_get(subject, key);
    enum clm_code code = CLM_OK;

    if (value == NULL) {
        return CLM_OK;
    }
    spec->has_subject[field] = true;
    if (field != CLM_SUBJECT_OU || clm_json_kind(value) != CLM_JSON_ARRAY) {
        return add_value(spec, field, value, err);
    }
    code = clm_json_array(subject, key, CLM_CSR_OUS_MAX, &value, err);
    for (const struct clm_json *node = clm_json_first(value); code == CLM_OK && node != NULL;
         node = clm_json_next(node)) {
        code = add_value(spec, field, node, err);
    }
    return code;
}

static enum clm_code read_subject(const struct clm_json *obj, struct clm_csr_spec *spec,
                                  struct clm_err *err)
{
    static const char *const known[] = {"cn", "o", "ou", "l", "st", "c", "email", NULL};
    const struct clm_json *subject = clm_json_get(obj, "subject");
    enum clm_code code = CLM_OK;

    if (subject == NULL) {
        return CLM_OK;
    }
    code = clm_json_object(obj, "subject", &subject, err);
    if (code != CLM_OK) {
        return code;
    }
    code = clm_json_only(subject, known, err);
    for (int i = 0; code == CLM_OK && i < CLM_SUBJECT__COUNT; i++) {
        code = read_subject_field(subject, (enum clm_subject_field)i, spec, err);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "subject");
}

/* ---- the rest ---- */

static enum clm_code read_sans(const struct clm_json *obj, struct clm_csr_spec *spec,
                               struct clm_err *err)
{
    const struct clm_json *sans = clm_json_get(obj, "sans");
    enum clm_code code = CLM_OK;

    if (sans == NULL) {
        return CLM_OK;
    }
    code = clm_json_object(obj, "sans", &sans, err);
    if (code == CLM_OK) {
        code = clm_sans_from_json(sans, &spec->sans, err);
    }
    for (int i = 0; code == CLM_OK && i < CLM_SAN__COUNT; i++) {
        spec->has_san[i] = clm_json_get(sans, clm_san_kind_name((enum clm_san_kind)i)) != NULL;
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "sans");
}

static enum clm_code read_eku(const struct clm_json *obj, struct clm_csr_spec *spec,
                              struct clm_err *err)
{
    const struct clm_json *eku = clm_json_get(obj, "eku");
    enum clm_code code = CLM_OK;

    if (eku == NULL) {
        return CLM_OK;
    }
    code = clm_json_array(obj, "eku", 2, &eku, err);
    for (const struct clm_json *node = clm_json_first(eku); code == CLM_OK && node != NULL;
         node = clm_json_next(node)) {
        const char *text = clm_json_text(node);

        if (text != NULL && strcmp(text, "server") == 0) {
            spec->eku_server = true;
        } else if (text != NULL && strcmp(text, "client") == 0) {
            spec->eku_client = true;
        } else {
            code = clm_err_set(err, CLM_E_INVAL, "'eku': each must be 'server' or 'client'");
        }
    }
    if (code == CLM_OK && !spec->eku_server) {
        code = clm_err_set(err, CLM_E_INVAL,
                           "'eku': must hold 'server': what is installed is served to clients");
    }
    spec->has_eku = true;
    return code;
}

static enum clm_code check_members(const struct clm_json *obj, enum clm_csr_mode mode,
                                   struct clm_err *err)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(members); i++) {
        if ((allowed[mode] & members[i].member) == 0 && clm_json_get(obj, members[i].key) != NULL) {
            return clm_err_set(err, CLM_E_INVAL, "'%s': mode '%s' has no such member",
                               members[i].key, modes[mode]);
        }
    }
    return CLM_OK;
}

static bool is_given(const struct clm_json *obj, const char *key)
{
    return clm_json_get(obj, key) != NULL;
}

static void take_texts(const struct clm_json *obj, const struct texts *texts,
                       struct clm_csr_spec *out)
{
    while (out->mode < CLM_CSR_MODE_REUSE && strcmp(modes[out->mode], texts->mode) != 0) {
        out->mode++;
    }
    out->template_name = texts->template_name;
    out->key_type = is_given(obj, "key_type") ? texts->key_type : NULL;
    out->hash = is_given(obj, "hash") ? texts->hash : NULL;
    out->challenge_ref = texts->challenge_ref;
    out->csr_pem = texts->csr_pem;
    out->has_must_staple = is_given(obj, "must_staple");
    out->must_staple = texts->must_staple;
    out->has_key = is_given(obj, "key");
    out->reuse_key = out->has_key && strcmp(texts->key, "reuse") == 0;
}

static enum clm_code read_all(const struct clm_json *obj, struct clm_csr_spec *out,
                              struct clm_err *err)
{
    struct texts texts = {.mode = NULL};
    enum clm_code code = clm_spec_fields_read(fields, obj, NULL, &texts, err);

    if (code != CLM_OK) {
        return code;
    }
    take_texts(obj, &texts, out);
    code = read_subject(obj, out, err);
    if (code == CLM_OK) {
        code = read_sans(obj, out, err);
    }
    return code == CLM_OK ? read_eku(obj, out, err) : code;
}

enum clm_code clm_csr_spec_read(const struct clm_json *obj, struct clm_csr_spec *out,
                                struct clm_err *err)
{
    const char *mode = NULL;
    enum clm_code code = clm_json_str(obj, "mode", 16, &mode, err);

    memset(out, 0, sizeof(*out));
    if (code == CLM_OK) {
        code = read_all(obj, out, err);
    }
    if (code == CLM_OK) {
        code = check_members(obj, out->mode, err);
    }
    if (code == CLM_OK && out->mode == CLM_CSR_MODE_UPLOADED && out->csr_pem == NULL) {
        code = clm_err_set(err, CLM_E_INVAL, "'csr_pem': mode 'uploaded' needs it");
    }
    return code;
}

enum clm_code clm_csr_template_read(const struct clm_json *obj, struct clm_csr_spec *out,
                                    struct clm_err *err)
{
    static const char *const known[] = {
        "subject", "key_type", "hash", "must_staple", "eku", "challenge_password_ref", "key", NULL};
    enum clm_code code = clm_json_only(obj, known, err);

    memset(out, 0, sizeof(*out));
    if (code == CLM_OK) {
        code = read_all(obj, out, err);
    }
    if (code == CLM_OK && out->has_subject[CLM_SUBJECT_CN]) {
        code = clm_err_set(err, CLM_E_INVAL,
                           "subject: 'cn': a template has no names; they are the certificate's");
    }
    return code;
}

bool clm_csr_spec_is_of_installed(const struct clm_csr_spec *spec)
{
    return spec->mode == CLM_CSR_MODE_INSTALLED || spec->mode == CLM_CSR_MODE_OVERRIDE;
}

bool clm_csr_spec_takes_installed_names(const struct clm_csr_spec *spec)
{
    return clm_csr_spec_is_of_installed(spec) && !spec->has_san[CLM_SAN_DNS] &&
           !spec->has_san[CLM_SAN_IP];
}
