/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/ext.h"

#include <arpa/inet.h>
#include <string.h>

#include "agent/model/csr_spec.h"

#define NAMES_READ_MAX 1000 /* of each kind, each compared with all; a CA puts in a few hundred */
#define TAG_EMAIL      CLM_DER_CONTEXT(1) /* RFC 5280 4.2.1.6 GeneralName */
#define TAG_DNS        CLM_DER_CONTEXT(2)
#define TAG_URI        CLM_DER_CONTEXT(6)
#define TAG_IP         CLM_DER_CONTEXT(7)

#define URI_MAX 2048 /* bytes; ours have 80 */

/* ---- writing ---- */

void clm_ext_open(struct clm_der *w, const char *oid, size_t oid_len, bool is_critical)
{
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_oid(w, oid, oid_len);
    if (is_critical) {
        clm_der_true(w);
    }
    clm_der_open(w, CLM_DER_OCTET_STRING);
}

void clm_ext_close(struct clm_der *w)
{
    clm_der_close(w);
    clm_der_close(w);
}

static void write_ip(struct clm_der *w, const char *text)
{
    uint8_t bytes[16];

    if (inet_pton(AF_INET, text, bytes) == 1) {
        clm_der_bytes(w, TAG_IP, bytes, 4);
    } else if (inet_pton(AF_INET6, text, bytes) == 1) {
        clm_der_bytes(w, TAG_IP, bytes, 16);
    } else {
        clm_der_fail(w, clm_err_set(w->err, CLM_E_INVAL, "'%s' is not an IP address", text));
    }
}

static void write_ascii(struct clm_der *w, uint8_t tag, const char *text)
{
    if (text[0] == '\0' || strlen(text) > URI_MAX || !clm_str_is_printable(text)) {
        clm_der_fail(w, clm_err_set(w->err, CLM_E_INVAL,
                                    "a name of the certificate is empty, too long or not ASCII"));
        return;
    }
    clm_der_text(w, tag, text);
}

bool clm_ext_has_san(const struct clm_ext_san *san)
{
    return (san->names != NULL && san->names->dns.n + san->names->ip.n > 0) ||
           (san->emails != NULL && san->emails->n > 0) || (san->uris != NULL && san->uris->n > 0);
}

void clm_ext_write_san(struct clm_der *w, const struct clm_ext_san *san, bool is_critical)
{
    const struct clm_names *names = san->names;

    if (!clm_ext_has_san(san)) {
        return;
    }
    clm_ext_open(w, CLM_OID(CLM_OID_SAN), is_critical);
    clm_der_open(w, CLM_DER_SEQUENCE);
    for (size_t i = 0; names != NULL && i < names->dns.n; i++) {
        write_ascii(w, TAG_DNS, names->dns.v[i]);
    }
    for (size_t i = 0; names != NULL && i < names->ip.n; i++) {
        write_ip(w, names->ip.v[i]);
    }
    for (size_t i = 0; san->emails != NULL && i < san->emails->n; i++) {
        write_ascii(w, TAG_EMAIL, san->emails->v[i]);
    }
    for (size_t i = 0; san->uris != NULL && i < san->uris->n; i++) {
        write_ascii(w, TAG_URI, san->uris->v[i]);
    }
    clm_der_close(w);
    clm_ext_close(w);
}

void clm_ext_write_eku(struct clm_der *w, bool server, bool client)
{
    if (!server && !client) {
        return;
    }
    clm_ext_open(w, CLM_OID(CLM_OID_EKU), false);
    clm_der_open(w, CLM_DER_SEQUENCE);
    if (server) {
        clm_der_oid(w, CLM_OID(CLM_OID_EKU_SERVER));
    }
    if (client) {
        clm_der_oid(w, CLM_OID(CLM_OID_EKU_CLIENT));
    }
    clm_der_close(w);
    clm_ext_close(w);
}

void clm_ext_write_must_staple(struct clm_der *w)
{
    clm_ext_open(w, CLM_OID(CLM_OID_TLS_FEATURE), false);
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_small_int(w, 5); /* status_request: RFC 6066 8 */
    clm_der_close(w);
    clm_ext_close(w);
}

/* ---- reading ---- */

void clm_ext_info_done(struct clm_ext_info *info)
{
    clm_names_done(&info->names);
    clm_strs_done(&info->emails);
    clm_strs_done(&info->uris);
    *info = (struct clm_ext_info){.has_san = false};
}

/* The text of a name, NUL-terminated; NULL if it is too long or not printable ASCII. */
static const char *name_text(const struct clm_tlv *tlv, char *dst, size_t size)
{
    if (tlv->len == 0 || tlv->len >= size || memchr(tlv->value, 0, tlv->len) != NULL) {
        return NULL;
    }
    memcpy(dst, tlv->value, tlv->len);
    dst[tlv->len] = '\0';
    return clm_str_is_printable(dst) ? dst : NULL;
}

static enum clm_code bad_name(const char *text, struct clm_err *err)
{
    if (text == NULL) {
        return clm_err_set(err, CLM_E_PARSE,
                           "a subject alternative name is empty, too long or not printable");
    }
    return clm_err_set(err, CLM_E_PARSE, "subject alternative name '%.200s' is not valid", text);
}

static enum clm_code too_many(struct clm_err *err)
{
    return clm_err_set(err, CLM_E_LIMIT, "more than %d names", NAMES_READ_MAX);
}

static enum clm_code read_dns(const struct clm_tlv *tlv, enum clm_ext_names mode,
                              struct clm_names *names, struct clm_err *err)
{
    char buf[CLM_DNS_NAME_SIZE];
    const char *text = name_text(tlv, buf, sizeof(buf));
    enum clm_code code = names->dns.n >= NAMES_READ_MAX ? too_many(err)
                         : text == NULL                 ? CLM_E_INVAL
                                                        : clm_names_add_dns(names, text, err);

    if (code == CLM_E_INVAL || code == CLM_E_PARSE) {
        return mode == CLM_EXT_NAMES_LENIENT ? CLM_OK : bad_name(text, err);
    }
    return code == CLM_E_LIMIT && mode == CLM_EXT_NAMES_LENIENT ? CLM_OK : code;
}

static enum clm_code read_ip(const struct clm_tlv *tlv, enum clm_ext_names mode,
                             struct clm_names *names, struct clm_err *err)
{
    char text[INET6_ADDRSTRLEN];
    enum clm_code code;

    if ((tlv->len != 4 && tlv->len != 16) ||
        inet_ntop(tlv->len == 4 ? AF_INET : AF_INET6, tlv->value, text, sizeof(text)) == NULL) {
        return mode == CLM_EXT_NAMES_LENIENT
                   ? CLM_OK
                   : clm_err_set(err, CLM_E_PARSE, "an IP address of the certificate is malformed");
    }
    code = names->ip.n >= NAMES_READ_MAX ? too_many(err) : clm_names_add_ip(names, text, err);
    return code == CLM_E_LIMIT && mode == CLM_EXT_NAMES_LENIENT ? CLM_OK : code;
}

static enum clm_code read_uri(const struct clm_tlv *tlv, enum clm_ext_names mode,
                              struct clm_strs *uris, struct clm_err *err)
{
    char buf[URI_MAX + 1];
    const char *text = name_text(tlv, buf, sizeof(buf));

    if (text == NULL || uris->n >= CLM_NAMES_MAX) {
        return mode == CLM_EXT_NAMES_LENIENT ? CLM_OK : bad_name(NULL, err);
    }
    return clm_strs_add_once(uris, text, err);
}

static enum clm_code read_email(const struct clm_tlv *tlv, enum clm_ext_names mode,
                                struct clm_strs *emails, struct clm_err *err)
{
    CLM_CLEANUP(clm_sans_done) struct clm_sans one = {.emails = {NULL, 0}};
    char buf[CLM_CSR_EMAIL_MAX + 1];
    const char *text = name_text(tlv, buf, sizeof(buf));
    enum clm_code code = text == NULL || emails->n >= CLM_NAMES_MAX
                             ? CLM_E_INVAL
                             : clm_sans_add(&one, CLM_SAN_EMAIL, text, NULL);

    if (code == CLM_E_INVAL) {
        return mode == CLM_EXT_NAMES_LENIENT ? CLM_OK : bad_name(text, err);
    }
    return code == CLM_OK ? clm_strs_add_once(emails, one.emails.v[0], err)
                          : clm_err_set(err, code, "names of a certificate: no memory");
}

/* Other kinds (directory, other names) are no names a server is reached by: passed over. */
static enum clm_code read_san(const struct clm_tlv *value, enum clm_ext_names mode,
                              struct clm_ext_info *out, struct clm_err *err)
{
    struct clm_der_reader r = clm_der_enter(value);
    struct clm_tlv seq = {0};
    struct clm_tlv name = {0};

    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &seq) || !clm_der_at_end(&r)) {
        return clm_err_set(err, CLM_E_PARSE, "subject alternative names are malformed");
    }
    out->has_san = true;
    for (r = clm_der_enter(&seq); !clm_der_at_end(&r);) {
        enum clm_code code = CLM_OK;

        if (!clm_der_next(&r, &name)) {
            return clm_err_set(err, CLM_E_PARSE, "subject alternative names are malformed");
        }
        if (name.tag == TAG_DNS) {
            code = read_dns(&name, mode, &out->names, err);
        } else if (name.tag == TAG_IP) {
            code = read_ip(&name, mode, &out->names, err);
        } else if (name.tag == TAG_URI) {
            code = read_uri(&name, mode, &out->uris, err);
        } else if (name.tag == TAG_EMAIL) {
            code = read_email(&name, mode, &out->emails, err);
        } else {
            out->has_other_san = true;
        }
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

static enum clm_code read_eku(const struct clm_tlv *value, enum clm_ext_names mode,
                              struct clm_ext_info *out, struct clm_err *err)
{
    struct clm_der_reader r = clm_der_enter(value);
    struct clm_tlv seq = {0};
    struct clm_tlv oid = {0};

    (void)mode;
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &seq)) {
        return clm_err_set(err, CLM_E_PARSE, "extended key usage is malformed");
    }
    out->has_eku = true;
    for (r = clm_der_enter(&seq); !clm_der_at_end(&r);) {
        bool is_any;
        bool is_server;
        bool is_client;

        if (!clm_der_take(&r, CLM_DER_OID, &oid)) {
            return clm_err_set(err, CLM_E_PARSE, "extended key usage is malformed");
        }
        is_any = clm_der_is(&oid, CLM_OID(CLM_OID_EKU_ANY));
        is_server = clm_der_is(&oid, CLM_OID(CLM_OID_EKU_SERVER));
        is_client = clm_der_is(&oid, CLM_OID(CLM_OID_EKU_CLIENT));
        out->eku_server |= is_any || is_server;
        out->eku_client |= is_any || is_client;
        out->has_other_eku |= !is_server && !is_client;
    }
    return CLM_OK;
}

static enum clm_code read_tls_feature(const struct clm_tlv *value, enum clm_ext_names mode,
                                      struct clm_ext_info *out, struct clm_err *err)
{
    struct clm_der_reader r = clm_der_enter(value);
    struct clm_tlv seq = {0};
    struct clm_tlv feature = {0};

    (void)mode;
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &seq)) {
        return clm_err_set(err, CLM_E_PARSE, "TLS features are malformed");
    }
    for (r = clm_der_enter(&seq); clm_der_take(&r, CLM_DER_INTEGER, &feature);) {
        out->must_staple |= feature.len == 1 && feature.value[0] == 5;
    }
    return CLM_OK;
}

static enum clm_code read_basic(const struct clm_tlv *value, enum clm_ext_names mode,
                                struct clm_ext_info *out, struct clm_err *err)
{
    struct clm_der_reader r = clm_der_enter(value);
    struct clm_tlv seq = {0};
    struct clm_tlv ca = {0};

    (void)mode;
    if (!clm_der_take(&r, CLM_DER_SEQUENCE, &seq)) {
        return clm_err_set(err, CLM_E_PARSE, "basic constraints are malformed");
    }
    r = clm_der_enter(&seq);
    out->is_ca = clm_der_take(&r, CLM_DER_BOOLEAN, &ca) && ca.len == 1 && ca.value[0] != 0;
    return CLM_OK;
}

typedef enum clm_code (*read_fn)(const struct clm_tlv *value, enum clm_ext_names mode,
                                 struct clm_ext_info *out, struct clm_err *err);

static const struct {
    const char *oid;
    size_t oid_len;
    read_fn read;
} readers[] = {
    {CLM_OID(CLM_OID_SAN), read_san},
    {CLM_OID(CLM_OID_EKU), read_eku},
    {CLM_OID(CLM_OID_TLS_FEATURE), read_tls_feature},
    {CLM_OID(CLM_OID_BASIC), read_basic},
};

/* One Extension: its OID, whether it is critical, and the content of its OCTET STRING. */
static bool read_any(struct clm_der_reader *list, struct clm_tlv *oid, bool *out_is_critical,
                     struct clm_tlv *value)
{
    struct clm_tlv seq = {0};
    struct clm_tlv critical = {0};
    struct clm_der_reader r;

    if (!clm_der_take(list, CLM_DER_SEQUENCE, &seq)) {
        return false;
    }
    r = clm_der_enter(&seq);
    if (!clm_der_take(&r, CLM_DER_OID, oid)) {
        return false;
    }
    *out_is_critical = clm_der_take(&r, CLM_DER_BOOLEAN, &critical) &&
                       (critical.len != 1 || critical.value[0] != 0);
    return clm_der_take(&r, CLM_DER_OCTET_STRING, value) && clm_der_at_end(&r);
}

static bool read_extension(struct clm_der_reader *list, struct clm_tlv *oid, struct clm_tlv *value)
{
    bool is_critical = false;

    return read_any(list, oid, &is_critical, value);
}

static bool open_list(const uint8_t *der, size_t len, struct clm_der_reader *out_list)
{
    struct clm_der_reader all = clm_der_reader_of(der, len);
    struct clm_tlv seq = {0};

    if (!clm_der_take(&all, CLM_DER_SEQUENCE, &seq) || !clm_der_at_end(&all)) {
        return false;
    }
    *out_list = clm_der_enter(&seq);
    return true;
}

enum clm_code clm_ext_read(const uint8_t *der, size_t len, enum clm_ext_names mode,
                           struct clm_ext_info *out, struct clm_err *err)
{
    struct clm_der_reader list = {NULL, NULL};
    struct clm_tlv oid = {0};
    struct clm_tlv value = {0};
    unsigned seen = 0;

    *out = (struct clm_ext_info){.has_san = false};
    if (len == 0) {
        return CLM_OK;
    }
    if (!open_list(der, len, &list)) {
        return clm_err_set(err, CLM_E_PARSE, "extensions are malformed");
    }
    while (!clm_der_at_end(&list)) {
        if (!read_extension(&list, &oid, &value)) {
            return clm_err_set(err, CLM_E_PARSE, "an extension is malformed");
        }
        for (size_t i = 0; i < CLM_ARRAY_LEN(readers); i++) {
            enum clm_code code;

            if (!clm_der_is(&oid, readers[i].oid, readers[i].oid_len)) {
                continue;
            }
            if ((seen & (1u << i)) != 0) {
                return clm_err_set(err, CLM_E_PARSE, "an extension stands there twice");
            }
            seen |= 1u << i;
            code = readers[i].read(&value, mode, out, err);
            if (code != CLM_OK) {
                return code;
            }
        }
    }
    return CLM_OK;
}

bool clm_ext_find(const uint8_t *der, size_t len, const char *oid, size_t oid_len,
                  struct clm_tlv *out)
{
    struct clm_der_reader list = {NULL, NULL};
    struct clm_tlv id = {0};

    if (len == 0 || !open_list(der, len, &list)) {
        return false;
    }
    while (read_extension(&list, &id, out)) {
        if (clm_der_is(&id, oid, oid_len)) {
            return true;
        }
    }
    return false;
}

/* Extensions of RFC 5280 that clients process: 2.5.29.x. */
static bool is_known_to_clients(const struct clm_tlv *oid)
{
    static const uint8_t known[] = {
        15, 17, 19, 30, /* key usage, alternative names, basic and name constraints */
        31, 32, 33, 36, /* CRL distribution points; certificate policies, mappings, constraints */
        37, 54,         /* extended key usage; inhibit anyPolicy */
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(known); i++) {
        const char full[] = {0x55, 0x1d, (char)known[i]};

        if (clm_der_is(oid, full, sizeof(full))) {
            return true;
        }
    }
    return false;
}

enum clm_code clm_ext_check_critical(const uint8_t *der, size_t len, struct clm_err *err)
{
    struct clm_der_reader list = {NULL, NULL};
    struct clm_tlv oid = {0};
    struct clm_tlv value = {0};
    bool is_critical = false;

    if (len > 0 && !open_list(der, len, &list)) {
        return clm_err_set(err, CLM_E_PARSE, "extensions are malformed");
    }
    while (len > 0 && !clm_der_at_end(&list)) {
        if (!read_any(&list, &oid, &is_critical, &value)) {
            return clm_err_set(err, CLM_E_PARSE, "an extension is malformed");
        }
        if (is_critical && !is_known_to_clients(&oid)) {
            return clm_err_set(err, CLM_E_CRYPTO,
                               "it has a critical extension that clients do not know");
        }
    }
    return CLM_OK;
}
