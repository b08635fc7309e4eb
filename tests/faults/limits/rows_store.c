/* SPDX-License-Identifier: Apache-2.0 */
/* Keystores: PKCS#12, JKS, JCEKS. What a password costs has its own budget: docs of agent/keystore. */
#include <string.h>

#include "agent/keystore/keystore.h"
#include "tests/faults/limits/der.h"

#define NEW        CLM_BUF_INIT((size_t)64 * 1024 * 1024)
#define MIB        ((size_t)1024 * 1024)
#define STORE_SIZE (MIB - 64)

static enum clm_code look(const uint8_t *data, size_t len, const struct clm_buf *password,
                          struct clm_err *err)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    enum clm_code code = clm_keystore_open(data, len, password, &store, err);

    for (size_t i = 0; code == CLM_OK && i < clm_keystore_count(store) && i < 4; i++) {
        CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;

        clm_ignore(clm_keystore_chain(store, i, &chain, NULL));
    }
    return code;
}

static enum clm_code store(const uint8_t *data, size_t len, struct clm_err *err)
{
    return look(data, len, NULL, err);
}

static enum clm_code opened(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(64);
    enum clm_code code = clm_buf_add_str(&password, "changeit", err);

    return code == CLM_OK ? look(data, len, &password, err) : code;
}

/* ---- JKS and JCEKS ---- */

static void jks_head(struct clm_buf *out, uint32_t magic, uint32_t count)
{
    put_u32(out, magic);
    put_u32(out, 2);
    put_u32(out, count);
}

static void jks_alias(struct clm_buf *out, int n)
{
    char name[16];

    put_u16(out, 5);
    for (int i = 4; i >= 0; i--) {
        name[i] = (char)('0' + n % 10);
        n /= 10;
    }
    put_bytes(out, name, 5);
    put_u32(out, 0x18b);
    put_u32(out, 0xcfe56800);
}

static void jks_trailer(struct clm_buf *out)
{
    put_flood(out, "h", out->len + 20);
}

/* Trusted entries of nearly nothing, as many as may be. */
static void jks_entries(struct clm_buf *out, size_t size)
{
    (void)size;
    jks_head(out, 0xfeedfeed, CLM_KEYSTORE_ENTRIES_MAX);
    for (uint32_t i = 0; i < CLM_KEYSTORE_ENTRIES_MAX; i++) {
        put_u32(out, 2);
        jks_alias(out, (int)i);
        put_u16(out, 5);
        put(out, "X.509");
        put_u32(out, 2);
        put_bytes(out, "\x30\x00", 2);
    }
    jks_trailer(out);
}

static void jks_too_many(struct clm_buf *out, size_t size)
{
    jks_head(out, 0xfeedfeed, 0xffffffffu);
    put_flood(out, "\x02", size);
}

static void jks_long_key(struct clm_buf *out, size_t size)
{
    jks_head(out, 0xfeedfeed, 1);
    put_u32(out, 1);
    jks_alias(out, 1);
    put_u32(out, 0x7fffffff);
    put_flood(out, "k", size);
}

static void jks_long_chain(struct clm_buf *out, size_t size)
{
    jks_head(out, 0xfeedfeed, 1);
    put_u32(out, 1);
    jks_alias(out, 1);
    put_u32(out, 2);
    put_bytes(out, "\x30\x00", 2);
    put_u32(out, 0x0fffffff);
    while (out->len + 32 < size) {
        put_u16(out, 5);
        put(out, "X.509");
        put_u32(out, 2);
        put_bytes(out, "\x30\x00", 2);
    }
    jks_trailer(out);
}

static void jks_same_alias(struct clm_buf *out, size_t size)
{
    jks_entries(out, size);
    for (size_t i = 12; i + 40 < out->len; i += 34) {
        memset(out->data + i + 6, '0', 5);
    }
}

static void jceks_sealed(struct clm_buf *out, size_t size)
{
    jks_head(out, 0xcececece, 1);
    put_u32(out, 3);
    jks_alias(out, 1);
    put_bytes(out, "\xac\xed\x00\x05sr", 6); /* Java's serialization: never read */
    put_flood(out, "x", size - 32);
    jks_trailer(out);
}

static void jks_one_large(struct clm_buf *out, size_t size)
{
    jks_head(out, 0xfeedfeed, 1);
    put_u32(out, 2);
    jks_alias(out, 1);
    put_u16(out, 5);
    put(out, "X.509");
    put_u32(out, (uint32_t)(size - 64));
    put_flood(out, "\x30", out->len + size - 64);
    jks_trailer(out);
}

/* ---- PKCS#12 ---- */

static const char of_data[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";

/* {data, [0] { OCTET STRING of content }}; content is emptied. */
static void put_data(struct clm_buf *out, struct clm_buf *content)
{
    struct clm_buf info = NEW;
    struct clm_buf inner = NEW;

    put_around(&inner, 0x04, content);
    PUT_OID(&info, of_data);
    put_around(&info, 0xa0, &inner);
    put_around(out, 0x30, &info);
    clm_buf_done(&info);
    clm_buf_done(&inner);
}

/* The file: safes is a list of contents, in clear, and is emptied. */
static void put_store(struct clm_buf *out, struct clm_buf *safes, uint32_t iterations)
{
    struct clm_buf all = NEW;
    struct clm_buf list = NEW;
    struct clm_buf mac = NEW;

    put_bytes(&all, "\x02\x01\x03", 3);
    put_around(&list, 0x30, safes);
    put_data(&all, &list);
    if (iterations > 0) {
        put_bytes(&mac,
                  "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
                  19);
        put_flood(&mac, "m", mac.len + 32);
        put_tlv(&mac, 0x04, "saltsalt", 8);
        put_bytes(&mac, "\x02\x05\x00", 3);
        put_u32(&mac, iterations);
        put_around(&all, 0x30, &mac);
    }
    put_around(out, 0x30, &all);
    clm_buf_done(&all);
    clm_buf_done(&list);
    clm_buf_done(&mac);
}

static void put_bag(struct clm_buf *out, int n_attributes)
{
    struct clm_buf bag = NEW;
    struct clm_buf cert = NEW;
    struct clm_buf value = NEW;

    PUT_OID(&bag, "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03");
    PUT_OID(&cert, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01");
    put_tlv(&value, 0x04, "\x30\x00", 2);
    put_around(&cert, 0xa0, &value);
    put_around(&value, 0x30, &cert);
    put_around(&bag, 0xa0, &value);
    for (int i = 0; i < n_attributes; i++) {
        put_bytes(&value, "\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x14\x31\x02\x1e\x00",
                  17);
    }
    if (n_attributes > 0) {
        put_around(&bag, 0x31, &value);
    }
    put_around(out, 0x30, &bag);
    clm_buf_done(&bag);
    clm_buf_done(&cert);
    clm_buf_done(&value);
}

static void p12_bags(struct clm_buf *out, size_t size)
{
    struct clm_buf bags = NEW;
    struct clm_buf safes = NEW;
    struct clm_buf list = NEW;

    while (bags.len + 200 < size) {
        put_bag(&bags, 0);
    }
    put_around(&list, 0x30, &bags);
    put_data(&safes, &list);
    put_store(out, &safes, 0);
    clm_buf_done(&bags);
    clm_buf_done(&safes);
    clm_buf_done(&list);
}

static void p12_attributes(struct clm_buf *out, size_t size)
{
    struct clm_buf bags = NEW;
    struct clm_buf safes = NEW;
    struct clm_buf list = NEW;

    put_bag(&bags, (int)(size / 18));
    put_around(&list, 0x30, &bags);
    put_data(&safes, &list);
    put_store(out, &safes, 0);
    clm_buf_done(&bags);
    clm_buf_done(&safes);
    clm_buf_done(&list);
}

static void p12_safes(struct clm_buf *out, size_t size)
{
    struct clm_buf safes = NEW;
    struct clm_buf empty = NEW;

    while (safes.len + 64 < size) {
        put_bytes(&empty, "\x30\x00", 2);
        put_data(&safes, &empty);
    }
    put_store(out, &safes, 0);
    clm_buf_done(&safes);
    clm_buf_done(&empty);
}

/* Bags in bags in bags. */
static void p12_nested(struct clm_buf *out, size_t size)
{
    struct clm_buf inner = NEW;
    struct clm_buf bag = NEW;
    struct clm_buf safes = NEW;

    put_bytes(&inner, "\x30\x00", 2);
    for (int i = 0; i < 2000 && inner.len + 64 < size; i++) {
        PUT_OID(&bag, "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x06");
        put_around(&bag, 0xa0, &inner);
        put_around(&inner, 0x30, &bag);
        put_around(&bag, 0x30, &inner);
        put_bytes(&inner, bag.data, bag.len);
        bag.len = 0;
    }
    put_data(&safes, &inner);
    put_store(out, &safes, 0);
    clm_buf_done(&inner);
    clm_buf_done(&bag);
    clm_buf_done(&safes);
}

static void p12_iterations(struct clm_buf *out, size_t size)
{
    struct clm_buf safes = NEW;

    put_store(out, &safes, (uint32_t)size);
    clm_buf_done(&safes);
}

static void open_lengths(struct clm_buf *out, size_t size)
{
    put_bytes(out, "\x30\x80\x02\x01\x03", 5);
    put_flood(out, "\x30\x80", size);
}

static void huge_length(struct clm_buf *out, size_t size)
{
    put_bytes(out, "\x30\x84\x7f\xff\xff\xff\x02\x01\x03", 9);
    put_flood(out, "\x30", size);
}

#define ROW(parser, shape, parse, make, size, verdict)                                             \
    {                                                                                              \
        parser, shape, parse, make, size, verdict, 0, 0, NULL                                      \
    }

static const char of_size[] =
    "design.md 11: keystores to 16 MiB, which are held twice and hashed once with the password";

const struct limits_row limits_store_rows[] = {
    ROW("jks", "entries", store, jks_entries, STORE_SIZE, LIMITS_ANY),
    ROW("jks", "entries, with password", opened, jks_entries, STORE_SIZE, LIMITS_REFUSED),
    ROW("jks", "4 billion entries", store, jks_too_many, STORE_SIZE, LIMITS_REFUSED),
    ROW("jks", "key of gigabytes", store, jks_long_key, STORE_SIZE, LIMITS_REFUSED),
    ROW("jks", "chain of millions", store, jks_long_chain, STORE_SIZE, LIMITS_REFUSED),
    ROW("jks", "entries of one name", store, jks_same_alias, STORE_SIZE, LIMITS_ANY),
    ROW("jceks", "sealed object", store, jceks_sealed, STORE_SIZE, LIMITS_ANY),
    {"jks", "one entry of 16 MiB", opened, jks_one_large, 16 * MIB - 64, LIMITS_REFUSED, 300, 65536,
     of_size},
    {"jceks", "sealed object of 16 MiB", store, jceks_sealed, 16 * MIB - 64, LIMITS_ANY, 300, 65536,
     of_size},
    ROW("pkcs12", "bags", store, p12_bags, STORE_SIZE, LIMITS_ANY),
    ROW("pkcs12", "attributes", store, p12_attributes, STORE_SIZE, LIMITS_ANY),
    ROW("pkcs12", "safes", store, p12_safes, STORE_SIZE, LIMITS_REFUSED),
    ROW("pkcs12", "bags in bags", store, p12_nested, STORE_SIZE, LIMITS_REFUSED),
    ROW("pkcs12", "4 billion hashes", opened, p12_iterations, 0xffffffffu, LIMITS_REFUSED),
    ROW("pkcs12", "one hash too many", opened, p12_iterations, 5000001u, LIMITS_REFUSED),
    ROW("pkcs12", "open lengths", store, open_lengths, STORE_SIZE, LIMITS_REFUSED),
    ROW("pkcs12", "length of gigabytes", store, huge_length, STORE_SIZE, LIMITS_REFUSED),
    {"pkcs12", "bags of 16 MiB", store, p12_bags, 16 * MIB - 64, LIMITS_REFUSED, 300, 65536,
     of_size},
    {.parser = NULL},
};
