/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, requests, keys, PKCS#7 and BER. */
#include "agent/crypto/ber.h"
#include "agent/crypto/cert.h"
#include "agent/crypto/csr.h"
#include "agent/crypto/pkcs7.h"
#include "agent/crypto/pkcs8.h"
#include "agent/keystore/sniff.h"
#include "tests/faults/limits/der.h"

#define NEW CLM_BUF_INIT(DER_MAX)

/* ---- parsers ---- */

static enum clm_code look(const struct clm_cert_chain *chain, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; i < clm_cert_chain_count(chain) && code == CLM_OK; i++) {
        struct clm_cert_info info = {0};

        code = clm_cert_info(chain, i, &info, err);
        clm_cert_info_done(&info);
    }
    return code;
}

static enum clm_code cert(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    enum clm_code code = clm_cert_chain_from_any(data, len, &chain, err);

    if (code == CLM_OK) {
        code = look(chain, err);
    }
    return code == CLM_OK ? clm_cert_chain_sort(chain, err) : code;
}

static enum clm_code csr(const uint8_t *data, size_t len, struct clm_err *err)
{
    struct clm_csr_info info;
    enum clm_code code = clm_csr_parse(data, len, &info, err);

    clm_csr_info_done(&info);
    return code;
}

static enum clm_code key(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(64);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *found = NULL;
    enum clm_code code = clm_buf_add_str(&password, "changeit", err);

    return code == CLM_OK ? clm_key_from_any(data, len, &password, &found, err) : code;
}

static enum clm_code pkcs7(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;

    return clm_pkcs7_read(data, len, &chain, err);
}

static enum clm_code ber(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(2097152);

    return clm_ber_to_der(data, len, &der, NULL, err);
}

static enum clm_code sniff(const uint8_t *data, size_t len, struct clm_err *err)
{
    (void)err;
    (void)clm_cert_file_sniff(data, len);
    return CLM_OK;
}

/* ---- shapes ---- */

#define CERT(name, ...)                                                                            \
    static void name(struct clm_buf *out, size_t size)                                             \
    {                                                                                              \
        (void)size;                                                                                \
        put_cert(out, &(const struct odd){__VA_ARGS__});                                           \
    }
#define CSR(name, ...)                                                                             \
    static void name(struct clm_buf *out, size_t size)                                             \
    {                                                                                              \
        (void)size;                                                                                \
        put_csr(out, &(const struct odd){__VA_ARGS__});                                            \
    }
#define FLOOD(name, text)                                                                          \
    static void name(struct clm_buf *out, size_t size)                                             \
    {                                                                                              \
        put_flood(out, text, size);                                                                \
    }

CERT(cert_names, .sans = 7000)
CERT(cert_long_names, .sans = 230, .san_bytes = 250)
CERT(cert_subject, .rdns = 2200)
CERT(cert_extensions, .extensions = 4500)
CERT(cert_deep, .depth = 5000)
CERT(cert_large, .pad_bytes = 65000)
CERT(cert_too_large, .pad_bytes = 70000)
CERT(cert_rsa, .key_bytes = 1024)
CERT(cert_rsa_e, .key_bytes = 1024, .has_large_e = true)
CERT(cert_rsa_16k, .key_bytes = 2048, .has_large_e = true)
CSR(csr_names, .sans = 1700)
CSR(csr_attributes, .attributes = 1200)
CSR(csr_extensions, .extensions = 1100)
CSR(csr_subject, .rdns = 1100)
CSR(csr_deep, .depth = 2500)
CSR(csr_rsa, .key_bytes = 1024)
CSR(csr_rsa_e, .key_bytes = 1024, .has_large_e = true)
CSR(csr_rsa_16k, .key_bytes = 2048, .has_large_e = true)

FLOOD(begins, "-----BEGIN CERTIFICATE-----\n")
FLOOD(empty_blocks, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
FLOOD(half_begins, "-----BEGIN ")
FLOOD(dashes, "-")
FLOOD(lines, "x\n")

/* Ten certificates with the largest keys, each named as the issuer of all others. */
static void chain_of(struct clm_buf *out, size_t size, const struct odd *odd)
{
    struct clm_buf der = NEW;

    for (int i = 0; i < 10 && out->len < size; i++) {
        struct odd each = *odd;

        each.sans = i + 1; /* else they are one */
        put_cert(&der, &each);
        put_pem(out, "CERTIFICATE", &der);
    }
    clm_buf_done(&der);
}

static void chain_rsa(struct clm_buf *out, size_t size)
{
    chain_of(out, size, &(const struct odd){.key_bytes = 512});
}

static void chain_rsa_e(struct clm_buf *out, size_t size)
{
    chain_of(out, size, &(const struct odd){.key_bytes = 1024, .has_large_e = true});
}

static void chain_ec(struct clm_buf *out, size_t size)
{
    chain_of(out, size, &(const struct odd){.rdns = 1});
}

static void many_certs(struct clm_buf *out, size_t size)
{
    struct clm_buf der = NEW;

    while (out->len + 1000 < size) {
        put_cert(&der, &(const struct odd){.rdns = 1});
        put_pem(out, "CERTIFICATE", &der);
    }
    clm_buf_done(&der);
}

static void one_long_block(struct clm_buf *out, size_t size)
{
    put(out, "-----BEGIN CERTIFICATE-----\n");
    put_flood(out, "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxxxxxxxxxxxxxxxxxxxx\n", size - 64);
    put(out, "-----END CERTIFICATE-----\n");
}

static void huge_length(struct clm_buf *out, size_t size)
{
    put_bytes(out, "\x30\x84\x7f\xff\xff\xff", 6);
    put_flood(out, "\x30", size);
}

/* Encrypted with a password: how often it is hashed is what the file says. */
static void pkcs8_iterations(struct clm_buf *out, uint32_t n)
{
    struct clm_buf all = NEW;
    struct clm_buf alg = NEW;
    struct clm_buf params = NEW;
    struct clm_buf kdf = NEW;
    struct clm_buf numbers = NEW;

    put_tlv(&numbers, 0x04, "saltsalt", 8);
    put_bytes(&numbers, "\x02\x05\x00", 3);
    put_u32(&numbers, n);
    PUT_OID(&kdf, "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c");
    put_around(&kdf, 0x30, &numbers);
    put_around(&params, 0x30, &kdf);
    PUT_OID(&numbers, "\x60\x86\x48\x01\x65\x03\x04\x01\x2a");
    put_tlv(&numbers, 0x04, "iviviviviviviviv", 16);
    put_around(&params, 0x30, &numbers);
    PUT_OID(&alg, "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d");
    put_around(&alg, 0x30, &params);
    put_around(&all, 0x30, &alg);
    put_tlv(&all, 0x04, "0123456789abcdef0123456789abcdef", 32);
    put_around(out, 0x30, &all);
    clm_buf_done(&all);
    clm_buf_done(&alg);
    clm_buf_done(&params);
    clm_buf_done(&kdf);
    clm_buf_done(&numbers);
}

static void key_iterations(struct clm_buf *out, size_t size)
{
    pkcs8_iterations(out, (uint32_t)size);
}

/* Signed data without a signature, with so many certificates. */
static void bag_of(struct clm_buf *out, struct clm_buf *certs)
{
    struct clm_buf signed_data = NEW;
    struct clm_buf all = NEW;

    put_bytes(&signed_data,
              "\x02\x01\x01\x31\x00\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", 18);
    put_around(&signed_data, 0xa0, certs);
    put_bytes(&signed_data, "\x31\x00", 2);
    put_around(certs, 0x30, &signed_data);
    PUT_OID(&all, "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02");
    put_around(&all, 0xa0, certs);
    put_around(out, 0x30, &all);
    clm_buf_done(&signed_data);
    clm_buf_done(&all);
}

static void pkcs7_certs(struct clm_buf *out, size_t size)
{
    struct clm_buf certs = NEW;

    while (certs.len + 1000 < size) {
        put_cert(&certs, &(const struct odd){.rdns = 1});
    }
    bag_of(out, &certs);
    clm_buf_done(&certs);
}

static void pkcs7_empty_certs(struct clm_buf *out, size_t size)
{
    struct clm_buf certs = NEW;

    while (certs.len + 100 < size) {
        put_bytes(&certs, "\x30\x00", 2);
    }
    bag_of(out, &certs);
    clm_buf_done(&certs);
}

FLOOD(ber_open, "\x30\x80")
FLOOD(ber_numbers, "\x02\x01\x01")

/* One text of very many pieces. */
static void ber_pieces(struct clm_buf *out, size_t size)
{
    put_bytes(out, "\x24\x80", 2);
    put_flood(out, "\x04\x01x", size - 2);
    put_bytes(out, "\0\0", 2);
}

static void ber_pieces_in_pieces(struct clm_buf *out, size_t size)
{
    put_bytes(out, "\x24\x80", 2);
    while (out->len + 16 < size) {
        put_bytes(out, "\x24\x80\x04\x01x\0\0", 7);
    }
    put_bytes(out, "\0\0", 2);
}

/* Lengths of unknown size, fifteen deep, each level long. */
static void ber_wide(struct clm_buf *out, size_t size)
{
    for (int i = 0; i < 14; i++) {
        put_bytes(out, "\x30\x80", 2);
    }
    put_flood(out, "\x02\x01\x01", size - 64);
    for (int i = 0; i < 14; i++) {
        put_bytes(out, "\0\0", 2);
    }
}

#define ROW(parser, shape, parse, make, size, verdict)                                             \
    {                                                                                              \
        parser, shape, parse, make, size, verdict, 0, 0, NULL                                      \
    }

static const char rsa_8192[] =
    "nine signatures by RSA-4096 to compare, 1 ms each, and each once more as its own root";

const struct limits_row limits_der_rows[] = {
    ROW("certificate", "names", cert, cert_names, 65536, LIMITS_ANY),
    ROW("certificate", "long names", cert, cert_long_names, 65536, LIMITS_ANY),
    ROW("certificate", "subject", cert, cert_subject, 65536, LIMITS_ANY),
    ROW("certificate", "extensions", cert, cert_extensions, 65536, LIMITS_ANY),
    ROW("certificate", "values in values", cert, cert_deep, 65536, LIMITS_ANY),
    ROW("certificate", "at its size", cert, cert_large, 65536, LIMITS_READ),
    ROW("certificate", "beyond its size", cert, cert_too_large, 65536, LIMITS_REFUSED),
    ROW("certificate", "RSA-8192", cert, cert_rsa, 65536, LIMITS_ANY),
    ROW("certificate", "RSA-8192, long exponent", cert, cert_rsa_e, 65536, LIMITS_ANY),
    ROW("certificate", "RSA-16384, long exponent", cert, cert_rsa_16k, 65536, LIMITS_ANY),
    ROW("certificate", "length of gigabytes", cert, huge_length, 65536, LIMITS_REFUSED),
    ROW("pem", "begins", cert, begins, CLM_CERT_CHAIN_PEM_MAX, LIMITS_REFUSED),
    ROW("pem", "empty blocks", cert, empty_blocks, CLM_CERT_CHAIN_PEM_MAX, LIMITS_REFUSED),
    ROW("pem", "half begins", cert, half_begins, CLM_CERT_CHAIN_PEM_MAX, LIMITS_REFUSED),
    ROW("pem", "dashes", cert, dashes, CLM_CERT_CHAIN_PEM_MAX, LIMITS_REFUSED),
    ROW("pem", "lines", cert, lines, CLM_CERT_CHAIN_PEM_MAX, LIMITS_REFUSED),
    ROW("pem", "one long block", cert, one_long_block, CLM_CERT_CHAIN_PEM_MAX, LIMITS_REFUSED),
    ROW("pem", "as many certificates as fit", cert, many_certs, CLM_CERT_CHAIN_PEM_MAX,
        LIMITS_REFUSED),
    ROW("chain", "EC", cert, chain_ec, CLM_CERT_CHAIN_PEM_MAX, LIMITS_ANY),
    {"chain", "RSA-4096", cert, chain_rsa, CLM_CERT_CHAIN_PEM_MAX, LIMITS_ANY, 150, 0, rsa_8192},
    ROW("chain", "RSA-8192, long exponents", cert, chain_rsa_e, CLM_CERT_CHAIN_PEM_MAX, LIMITS_ANY),
    ROW("request", "names", csr, csr_names, CLM_CSR_MAX, LIMITS_ANY),
    ROW("request", "attributes", csr, csr_attributes, CLM_CSR_MAX, LIMITS_ANY),
    ROW("request", "extensions", csr, csr_extensions, CLM_CSR_MAX, LIMITS_ANY),
    ROW("request", "subject", csr, csr_subject, CLM_CSR_MAX, LIMITS_ANY),
    ROW("request", "values in values", csr, csr_deep, CLM_CSR_MAX, LIMITS_ANY),
    ROW("request", "RSA-8192", csr, csr_rsa, CLM_CSR_MAX, LIMITS_ANY),
    ROW("request", "RSA-8192, long exponent", csr, csr_rsa_e, CLM_CSR_MAX, LIMITS_ANY),
    ROW("request", "RSA-16384, long exponent", csr, csr_rsa_16k, CLM_CSR_MAX, LIMITS_REFUSED),
    ROW("request", "length of gigabytes", csr, huge_length, CLM_CSR_MAX, LIMITS_REFUSED),
    ROW("key", "length of gigabytes", key, huge_length, 16384, LIMITS_REFUSED),
    ROW("key", "begins", key, begins, 65536, LIMITS_REFUSED),
    ROW("key", "4 billion hashes", key, key_iterations, 0xffffffffu, LIMITS_REFUSED),
    ROW("key", "one hash too many", key, key_iterations, 5000001u, LIMITS_REFUSED),
    ROW("pkcs7", "certificates", pkcs7, pkcs7_certs, CLM_PKCS7_MAX, LIMITS_REFUSED),
    ROW("pkcs7", "empty certificates", pkcs7, pkcs7_empty_certs, CLM_PKCS7_MAX, LIMITS_REFUSED),
    ROW("pkcs7", "open lengths", pkcs7, ber_open, CLM_PKCS7_MAX, LIMITS_REFUSED),
    ROW("pkcs7", "length of gigabytes", pkcs7, huge_length, CLM_PKCS7_MAX, LIMITS_REFUSED),
    ROW("ber", "open lengths", ber, ber_open, CLM_PKCS7_MAX, LIMITS_REFUSED),
    ROW("ber", "pieces", ber, ber_pieces, CLM_PKCS7_MAX, LIMITS_ANY),
    ROW("ber", "pieces in pieces", ber, ber_pieces_in_pieces, CLM_PKCS7_MAX, LIMITS_ANY),
    ROW("ber", "numbers, fifteen deep", ber, ber_wide, CLM_PKCS7_MAX, LIMITS_ANY),
    ROW("ber", "numbers", ber, ber_numbers, CLM_PKCS7_MAX, LIMITS_REFUSED),
    ROW("ber", "length of gigabytes", ber, huge_length, CLM_PKCS7_MAX, LIMITS_REFUSED),
    ROW("sniff", "begins", sniff, begins, CLM_PKCS7_MAX, LIMITS_ANY),
    ROW("sniff", "half begins", sniff, half_begins, CLM_PKCS7_MAX, LIMITS_ANY),
    ROW("sniff", "open lengths", sniff, ber_open, CLM_PKCS7_MAX, LIMITS_ANY),
    ROW("sniff", "dashes", sniff, dashes, CLM_PKCS7_MAX, LIMITS_ANY),
    ROW("sniff", "lines", sniff, lines, CLM_PKCS7_MAX, LIMITS_ANY),
    {.parser = NULL},
};
