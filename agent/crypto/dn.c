/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/dn.h"

#include <stdio.h>
#include <string.h>

#define OID_TEXT_MAX 64 /* longer ones are cut: they are for people only */

struct attribute {
    const char *name;
    const char *oid;
    size_t oid_len;
    size_t max_chars; /* RFC 5280 A.1 upper bounds */
    uint8_t tag;
};

static const struct attribute attributes[] = {
    {"CN", CLM_OID(CLM_OID_CN), CLM_DN_CN_MAX, CLM_DER_UTF8},
    {"C", CLM_OID(CLM_OID_COUNTRY), 2, CLM_DER_PRINTABLE},
    {"L", CLM_OID(CLM_OID_LOCALITY), 128, CLM_DER_UTF8},
    {"ST", CLM_OID(CLM_OID_STATE), 128, CLM_DER_UTF8},
    {"O", CLM_OID(CLM_OID_ORG), 64, CLM_DER_UTF8},
    {"OU", CLM_OID(CLM_OID_ORG_UNIT), 64, CLM_DER_UTF8},
    {"emailAddress", CLM_OID(CLM_OID_EMAIL), 255, CLM_DER_IA5},
    {"serialNumber", CLM_OID("\x55\x04\x05"), 64, CLM_DER_PRINTABLE},
    {"DC", CLM_OID("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"), 63, CLM_DER_IA5},
};

/* ---- reading ---- */

struct line {
    char *dst;
    size_t len;
    bool is_full;
};

static void put(struct line *line, const char *text, size_t len)
{
    if (line->is_full) {
        return;
    }
    if (len > CLM_DN_TEXT_SIZE - 4 - line->len) { /* "..." and the NUL always fit */
        memcpy(line->dst + line->len, "...", 4);
        line->is_full = true;
        return;
    }
    memcpy(line->dst + line->len, text, len);
    line->len += len;
    line->dst[line->len] = '\0';
}

/* Bytes of the UTF-8 character at p; 0 if it is none or a control character. */
static size_t utf8_char(const uint8_t *p, size_t left)
{
    size_t n = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

    if (n > left || !clm_str_is_utf8(p, n) || *p < 0x20 || *p == 0x7f ||
        (*p == 0xc2 && p[1] < 0xa0)) {
        return 0;
    }
    return n;
}

static void put_value(struct line *line, const struct clm_tlv *value)
{
    for (size_t i = 0; i < value->len;) {
        size_t n = utf8_char(value->value + i, value->len - i);

        if (n == 0) {
            put(line, "?", 1);
            i++;
            continue;
        }
        if (strchr(",+\\", value->value[i]) != NULL) {
            char escaped[2] = {'\\', (char)value->value[i]};

            put(line, escaped, sizeof(escaped));
        } else {
            put(line, (const char *)value->value + i, n);
        }
        i += n;
    }
}

/* X.690 8.19; arcs of more than 32 bits show as they wrap, which no real attribute has. */
static void oid_text(const struct clm_tlv *oid, char dst[OID_TEXT_MAX])
{
    size_t used = 0;
    uint32_t arc = 0;
    bool is_first = true;

    dst[0] = '\0';
    for (size_t i = 0; i < oid->len && used + 16 < OID_TEXT_MAX; i++) {
        int n;

        arc = (arc << 7) | (oid->value[i] & 0x7fu);
        if ((oid->value[i] & 0x80u) != 0) {
            continue;
        }
        if (is_first) {
            uint32_t top = arc < 80 ? arc / 40 : 2;

            n = snprintf(dst, OID_TEXT_MAX, "%u.%u", top, arc - 40 * top);
        } else {
            n = snprintf(dst + used, OID_TEXT_MAX - used, ".%u", arc);
        }
        used += n > 0 ? (size_t)n : 0;
        is_first = false;
        arc = 0;
    }
}

static void put_attribute(struct line *line, const struct clm_tlv *oid, const struct clm_tlv *value)
{
    char number[OID_TEXT_MAX];
    const char *name = NULL;

    for (size_t i = 0; i < CLM_ARRAY_LEN(attributes); i++) {
        if (clm_der_is(oid, attributes[i].oid, attributes[i].oid_len)) {
            name = attributes[i].name;
        }
    }
    if (name == NULL) {
        oid_text(oid, number);
        name = number;
    }
    if (line->len > 0) {
        put(line, ", ", 2);
    }
    put(line, name, strlen(name));
    put(line, "=", 1);
    put_value(line, value);
}

/* Steps through Name ::= SEQUENCE OF SET OF SEQUENCE { OID, value }. */
struct walk {
    struct clm_der_reader name;
    struct clm_der_reader set;
    bool is_bad;
};

static struct walk walk_of(const uint8_t *der, size_t len)
{
    struct walk walk = {.set = {NULL, NULL}};
    struct clm_der_reader all = clm_der_reader_of(der, len);
    struct clm_tlv seq = {0};

    if (!clm_der_take(&all, CLM_DER_SEQUENCE, &seq) || !clm_der_at_end(&all)) {
        walk.is_bad = true;
        return walk;
    }
    walk.name = clm_der_enter(&seq);
    return walk;
}

static bool walk_next(struct walk *walk, struct clm_tlv *oid, struct clm_tlv *value)
{
    struct clm_tlv tlv = {0};
    struct clm_der_reader pair;

    if (walk->is_bad) {
        return false;
    }
    if (clm_der_at_end(&walk->set)) {
        if (clm_der_at_end(&walk->name)) {
            return false;
        }
        if (!clm_der_take(&walk->name, CLM_DER_SET, &tlv) || tlv.len == 0) {
            walk->is_bad = true;
            return false;
        }
        walk->set = clm_der_enter(&tlv);
    }
    if (!clm_der_take(&walk->set, CLM_DER_SEQUENCE, &tlv)) {
        walk->is_bad = true;
        return false;
    }
    pair = clm_der_enter(&tlv);
    if (!clm_der_take(&pair, CLM_DER_OID, oid) || !clm_der_next(&pair, value) ||
        !clm_der_at_end(&pair)) {
        walk->is_bad = true;
        return false;
    }
    return true;
}

bool clm_dn_text(const uint8_t *der, size_t len, char dst[CLM_DN_TEXT_SIZE])
{
    struct line line = {.dst = dst};
    struct walk walk = walk_of(der, len);
    struct clm_tlv oid;
    struct clm_tlv value;

    dst[0] = '\0';
    while (walk_next(&walk, &oid, &value)) {
        put_attribute(&line, &oid, &value);
    }
    return !walk.is_bad;
}

bool clm_dn_common_name(const uint8_t *der, size_t len, char *dst, size_t size)
{
    struct walk walk = walk_of(der, len);
    struct clm_tlv oid;
    struct clm_tlv value;
    bool is_found = false;

    dst[0] = '\0';
    while (walk_next(&walk, &oid, &value)) {
        if (!clm_der_is(&oid, CLM_OID(CLM_OID_CN))) {
            continue;
        }
        if (value.len >= size || !clm_str_is_utf8(value.value, value.len)) {
            dst[0] = '\0';
            return false;
        }
        memcpy(dst, value.value, value.len);
        dst[value.len] = '\0';
        is_found = true;
    }
    return is_found && !walk.is_bad;
}

/* ---- members ---- */

static const struct {
    const char *oid;
    size_t oid_len;
    enum clm_subject_field field;
} members[] = {
    {CLM_OID(CLM_OID_CN), CLM_SUBJECT_CN},       {CLM_OID(CLM_OID_ORG), CLM_SUBJECT_O},
    {CLM_OID(CLM_OID_ORG_UNIT), CLM_SUBJECT_OU}, {CLM_OID(CLM_OID_LOCALITY), CLM_SUBJECT_L},
    {CLM_OID(CLM_OID_STATE), CLM_SUBJECT_ST},    {CLM_OID(CLM_OID_COUNTRY), CLM_SUBJECT_C},
    {CLM_OID(CLM_OID_EMAIL), CLM_SUBJECT_EMAIL},
};

/* Appends one character of at most 16 bits as UTF-8. */
static enum clm_code add_char(unsigned c, struct clm_buf *out, struct clm_err *err)
{
    uint8_t bytes[3] = {(uint8_t)(0xe0u | (c >> 12)), (uint8_t)(0x80u | ((c >> 6) & 0x3fu)),
                        (uint8_t)(0x80u | (c & 0x3fu))};

    if (c < 0x80) {
        bytes[0] = (uint8_t)c;
        return clm_buf_add(out, bytes, 1, err);
    }
    if (c < 0x800) {
        bytes[0] = (uint8_t)(0xc0u | (c >> 6));
        bytes[1] = bytes[2];
        return clm_buf_add(out, bytes, 2, err);
    }
    return clm_buf_add(out, bytes, 3, err);
}

/* BMPString has two bytes each, T61String is read as Latin-1, everything else as UTF-8. */
static enum clm_code value_text(const struct clm_tlv *value, struct clm_buf *out,
                                struct clm_err *err)
{
    size_t width = value->tag == CLM_DER_BMP ? 2 : 1;
    enum clm_code code = CLM_OK;

    if (value->tag != CLM_DER_BMP && value->tag != CLM_DER_T61) {
        return clm_buf_add(out, value->value, value->len, err);
    }
    for (size_t i = 0; code == CLM_OK && i + width <= value->len; i += width) {
        unsigned c = value->value[i];

        code = add_char(width == 2 ? (c << 8) | value->value[i + 1] : c, out, err);
    }
    return code;
}

static enum clm_code leave_out(const struct clm_tlv *oid, const struct clm_tlv *value,
                               struct clm_strs *left_out, struct clm_err *err)
{
    char text[CLM_DN_TEXT_SIZE] = "";
    struct line line = {.dst = text};

    if (left_out == NULL) {
        return CLM_OK;
    }
    put_attribute(&line, oid, value);
    return clm_strs_add(left_out, text, err);
}

static enum clm_code read_member(enum clm_subject_field field, const struct clm_tlv *value,
                                 struct clm_subject *out, bool *out_taken, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(1024);
    struct clm_strs *list = &out->field[field];
    enum clm_code code = value_text(value, &text, NULL);

    *out_taken = false;
    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "subject: no memory");
    }
    if (code != CLM_OK || strlen(clm_buf_str(&text)) != text.len ||
        clm_subject_check(field, clm_buf_str(&text), NULL) != CLM_OK ||
        list->n >= CLM_CSR_OUS_MAX) {
        return CLM_OK;
    }
    if (field != CLM_SUBJECT_OU) {
        clm_strs_done(list);
    }
    *out_taken = true;
    return clm_strs_add(list, clm_buf_str(&text), err);
}

enum clm_code clm_dn_read(const uint8_t *der, size_t len, struct clm_subject *out,
                          struct clm_strs *left_out, struct clm_err *err)
{
    struct walk walk = walk_of(der, len);
    struct clm_tlv oid;
    struct clm_tlv value;
    enum clm_code code = CLM_OK;

    while (code == CLM_OK && walk_next(&walk, &oid, &value)) {
        bool is_taken = false;

        for (size_t i = 0; code == CLM_OK && i < CLM_ARRAY_LEN(members); i++) {
            if (clm_der_is(&oid, members[i].oid, members[i].oid_len)) {
                code = read_member(members[i].field, &value, out, &is_taken, err);
            }
        }
        if (code == CLM_OK && !is_taken) {
            code = leave_out(&oid, &value, left_out, err);
        }
    }
    if (code == CLM_OK && walk.is_bad) {
        return clm_err_set(err, CLM_E_PARSE, "subject is malformed");
    }
    return code;
}

/* ---- writing ---- */

struct clm_dn clm_dn_of(const struct clm_subject *subject)
{
    return (struct clm_dn){
        .country = clm_subject_value(subject, CLM_SUBJECT_C),
        .state = clm_subject_value(subject, CLM_SUBJECT_ST),
        .locality = clm_subject_value(subject, CLM_SUBJECT_L),
        .organization = clm_subject_value(subject, CLM_SUBJECT_O),
        .ous = &subject->field[CLM_SUBJECT_OU],
        .common_name = clm_subject_value(subject, CLM_SUBJECT_CN),
        .email = clm_subject_value(subject, CLM_SUBJECT_EMAIL),
    };
}

static size_t count_chars(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        n += (*(const unsigned char *)text & 0xc0u) != 0x80;
    }
    return n;
}

static bool value_fits(const struct attribute *a, const char *value)
{
    size_t chars = count_chars(value);

    if (chars > a->max_chars || !clm_str_is_utf8(value, strlen(value))) {
        return false;
    }
    for (const char *p = value; *p != '\0'; p++) {
        if (*(const unsigned char *)p < 0x20 || *p == 0x7f) {
            return false;
        }
    }
    if (a->tag == CLM_DER_PRINTABLE) { /* the country: ISO 3166 */
        return chars == 2 && value[0] >= 'A' && value[0] <= 'Z' && value[1] >= 'A' &&
               value[1] <= 'Z';
    }
    return a->tag != CLM_DER_IA5 || clm_str_is_printable(value);
}

static void write_attribute(struct clm_der *w, const char *name, const char *value)
{
    const struct attribute *a = attributes;

    if (value == NULL || value[0] == '\0') {
        return;
    }
    while (strcmp(a->name, name) != 0) {
        a++;
    }
    if (!value_fits(a, value)) {
        clm_der_fail(w,
                     clm_err_set(w->err, CLM_E_INVAL,
                                 "subject: %s '%.80s' is too long (at most %zu characters) or "
                                 "has characters that are not allowed there",
                                 name, clm_str_is_printable(value) ? value : "...", a->max_chars));
        return;
    }
    clm_der_open(w, CLM_DER_SET);
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_oid(w, a->oid, a->oid_len);
    clm_der_text(w, a->tag, value);
    clm_der_close(w);
    clm_der_close(w);
}

void clm_dn_write(struct clm_der *w, const struct clm_dn *dn)
{
    clm_der_open(w, CLM_DER_SEQUENCE);
    write_attribute(w, "C", dn->country);
    write_attribute(w, "ST", dn->state);
    write_attribute(w, "L", dn->locality);
    write_attribute(w, "O", dn->organization);
    for (size_t i = 0; dn->ous != NULL && i < dn->ous->n; i++) {
        write_attribute(w, "OU", dn->ous->v[i]);
    }
    write_attribute(w, "CN", dn->common_name);
    write_attribute(w, "emailAddress", dn->email);
    clm_der_close(w);
}
