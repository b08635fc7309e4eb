/* SPDX-License-Identifier: Apache-2.0 */
/* Subjects and alternative names as values: csr_spec.h. */
#include <string.h>

#include "agent/model/csr_spec.h"
#include "agent/model/probe.h"

/* Upper bounds in characters: RFC 5280 A.1. */
static const struct {
    const char *name;
    size_t max;
} subject_fields[] = {
    [CLM_SUBJECT_CN] = {"cn", 64},        [CLM_SUBJECT_O] = {"o", 64},
    [CLM_SUBJECT_OU] = {"ou", 64},        [CLM_SUBJECT_L] = {"l", 128},
    [CLM_SUBJECT_ST] = {"st", 128},       [CLM_SUBJECT_C] = {"c", 2},
    [CLM_SUBJECT_EMAIL] = {"email", 255},
};

static const char *const san_kinds[] = {
    [CLM_SAN_DNS] = "dns", [CLM_SAN_IP] = "ip", [CLM_SAN_EMAIL] = "email", [CLM_SAN_URI] = "uri"};

/* ---- subject ---- */

const char *clm_subject_field_name(enum clm_subject_field field)
{
    return field < CLM_SUBJECT__COUNT ? subject_fields[field].name : "?";
}

void clm_subject_done(struct clm_subject *subject)
{
    for (size_t i = 0; i < CLM_SUBJECT__COUNT; i++) {
        clm_strs_done(&subject->field[i]);
    }
}

const char *clm_subject_value(const struct clm_subject *subject, enum clm_subject_field field)
{
    return subject->field[field].n > 0 ? subject->field[field].v[0] : NULL;
}

static size_t count_chars(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        n += (*(const unsigned char *)text & 0xc0u) != 0x80;
    }
    return n;
}

/* C0, DEL and, in UTF-8, C1. */
static bool has_control(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0)) {
            return true;
        }
    }
    return false;
}

static bool is_country(const char *text)
{
    return strlen(text) == 2 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'A' &&
           text[1] <= 'Z';
}

enum clm_code clm_subject_check(enum clm_subject_field field, const char *value,
                                struct clm_err *err)
{
    const char *name = subject_fields[field].name;

    if (value[0] == '\0') {
        return clm_err_set(err, CLM_E_INVAL, "'%s': is empty", name);
    }
    if (!clm_str_is_utf8(value, strlen(value)) || has_control(value)) {
        return clm_err_set(err, CLM_E_INVAL, "'%s': holds control characters or is not UTF-8",
                           name);
    }
    if (field == CLM_SUBJECT_C && !is_country(value)) {
        return clm_err_set(err, CLM_E_INVAL,
                           "'c': '%.20s' is not a country code of two capital letters", value);
    }
    if (count_chars(value) > subject_fields[field].max) {
        return clm_err_set(err, CLM_E_INVAL, "'%s': is longer than %zu characters", name,
                           subject_fields[field].max);
    }
    if (field == CLM_SUBJECT_EMAIL &&
        (!clm_str_is_printable(value) || strchr(value, '@') == NULL)) {
        return clm_err_set(err, CLM_E_INVAL, "'email': '%.100s' is not a mail address", value);
    }
    return CLM_OK;
}

enum clm_code clm_subject_copy(struct clm_subject *dst, const struct clm_subject *src,
                               enum clm_subject_field field, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    clm_strs_done(&dst->field[field]);
    for (size_t i = 0; code == CLM_OK && i < src->field[field].n; i++) {
        code = clm_strs_add(&dst->field[field], src->field[field].v[i], err);
    }
    return code;
}

/* ---- alternative names ---- */

const char *clm_san_kind_name(enum clm_san_kind kind)
{
    return kind < CLM_SAN__COUNT ? san_kinds[kind] : "?";
}

void clm_sans_done(struct clm_sans *sans)
{
    clm_names_done(&sans->names);
    clm_strs_done(&sans->emails);
    clm_strs_done(&sans->uris);
}

const struct clm_strs *clm_sans_list(const struct clm_sans *sans, enum clm_san_kind kind)
{
    switch (kind) {
    case CLM_SAN_DNS:
        return &sans->names.dns;
    case CLM_SAN_IP:
        return &sans->names.ip;
    case CLM_SAN_EMAIL:
        return &sans->emails;
    case CLM_SAN_URI:
    case CLM_SAN__COUNT:
        break;
    }
    return &sans->uris;
}

size_t clm_sans_count(const struct clm_sans *sans)
{
    return sans->names.dns.n + sans->names.ip.n + sans->emails.n + sans->uris.n;
}

static bool is_plain_ascii(const char *text)
{
    return clm_str_is_printable(text) && strpbrk(text, " \"<>\\^`{|}") == NULL;
}

/* RFC 5321 4.1.2 without quoted local parts; the domain is a host name. */
static enum clm_code add_email(struct clm_sans *sans, const char *text, struct clm_err *err)
{
    char normal[CLM_CSR_EMAIL_MAX + 1];
    char domain[CLM_DNS_NAME_SIZE];
    const char *at = strrchr(text, '@');

    if (at == NULL || at == text || at - text > 64 || strlen(text) > CLM_CSR_EMAIL_MAX ||
        !is_plain_ascii(text) || strchr(text, '@') != at || strpbrk(text, "(),:;[]") != NULL ||
        clm_dns_normalise(at + 1, false, domain, NULL) != CLM_OK ||
        clm_str_fmt(normal, sizeof(normal), NULL, "%.*s@%s", (int)(at - text), text, domain) !=
            CLM_OK) {
        return clm_err_set(err, CLM_E_INVAL, "'%.100s' is not a mail address", text);
    }
    return clm_strs_add_once(&sans->emails, normal, err);
}

/* RFC 3986 3: a scheme and something behind it. */
static enum clm_code add_uri(struct clm_sans *sans, const char *text, struct clm_err *err)
{
    size_t scheme =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

    if (scheme == 0 || strchr("0123456789+.-", text[0]) != NULL || text[scheme] != ':' ||
        text[scheme + 1] == '\0' || strlen(text) > CLM_CSR_URI_MAX || !is_plain_ascii(text)) {
        return clm_err_set(err, CLM_E_INVAL, "'%.100s' is not a URI", text);
    }
    return clm_strs_add_once(&sans->uris, text, err);
}

enum clm_code clm_sans_add(struct clm_sans *sans, enum clm_san_kind kind, const char *text,
                           struct clm_err *err)
{
    if (clm_sans_list(sans, kind)->n >= CLM_NAMES_MAX &&
        !clm_strs_has(clm_sans_list(sans, kind), text)) {
        return clm_err_set(err, CLM_E_LIMIT, "more than %d names of kind '%s'", CLM_NAMES_MAX,
                           san_kinds[kind]);
    }
    switch (kind) {
    case CLM_SAN_DNS:
        return clm_names_add_dns(&sans->names, text, err);
    case CLM_SAN_IP:
        return clm_names_add_ip(&sans->names, text, err);
    case CLM_SAN_EMAIL:
        return add_email(sans, text, err);
    case CLM_SAN_URI:
    case CLM_SAN__COUNT:
        break;
    }
    return add_uri(sans, text, err);
}

static enum clm_code read_kind(const struct clm_json *obj, enum clm_san_kind kind,
                               struct clm_sans *out, struct clm_err *err)
{
    const struct clm_json *array = clm_json_get(obj, san_kinds[kind]);
    size_t i = 0;
    enum clm_code code = CLM_OK;

    if (array == NULL) {
        return CLM_OK;
    }
    code = clm_json_array(obj, san_kinds[kind], CLM_NAMES_MAX, &array, err);
    for (const struct clm_json *node = clm_json_first(array); code == CLM_OK && node != NULL;
         node = clm_json_next(node), i++) {
        const char *text = clm_json_text(node);

        code = text == NULL ? clm_err_set(err, CLM_E_PARSE, "not a text")
                            : clm_sans_add(out, kind, text, err);
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "'%s': element %zu", san_kinds[kind], i);
        }
    }
    return code;
}

enum clm_code clm_sans_from_json(const struct clm_json *obj, struct clm_sans *out,
                                 struct clm_err *err)
{
    static const char *const known[] = {"dns", "ip", "email", "uri", NULL};
    enum clm_code code = clm_json_only(obj, known, err);

    for (int kind = 0; code == CLM_OK && kind < CLM_SAN__COUNT; kind++) {
        code = read_kind(obj, (enum clm_san_kind)kind, out, err);
    }
    return code;
}
