/* SPDX-License-Identifier: Apache-2.0 */
/* ext - the X.509 extensions that requests and certificates share, written and read */
#ifndef CLM_CRYPTO_EXT_H
#define CLM_CRYPTO_EXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/str.h"
#include "agent/crypto/der.h"
#include "agent/model/names.h"
#include "agent/model/probe.h"

/* Extension ::= SEQUENCE { OID, critical, OCTET STRING }: opened up to its content. */
void clm_ext_open(struct clm_der *w, const char *oid, size_t oid_len, bool is_critical);
void clm_ext_close(struct clm_der *w);

/* Alternative names to be written; borrowed, each may be NULL. */
struct clm_ext_san {
    const struct clm_names *names;
    const struct clm_strs *emails;
    const struct clm_strs *uris;
};
/* Nothing is written if all lists are empty or NULL. INVAL a name that cannot be encoded. */
void clm_ext_write_san(struct clm_der *w, const struct clm_ext_san *san, bool is_critical);
bool clm_ext_has_san(const struct clm_ext_san *san);
void clm_ext_write_eku(struct clm_der *w, bool server, bool client);
void clm_ext_write_must_staple(struct clm_der *w);

enum clm_ext_names {
    CLM_EXT_NAMES_STRICT, /* a DNS name that is no host name is PARSE; too many are LIMIT */
    CLM_EXT_NAMES_LENIENT /* such names are left out */
};

struct clm_ext_info {
    struct clm_names names;
    struct clm_strs emails;
    struct clm_strs uris;
    bool has_san;
    bool has_other_san; /* a directory name, other name ...: passed over */
    bool has_eku;
    bool has_other_eku; /* neither server nor client */
    bool is_ca;         /* basic constraints */
    bool eku_server;    /* also by anyExtendedKeyUsage */
    bool eku_client;
    bool must_staple;
};
void clm_ext_info_done(struct clm_ext_info *info); /* for CLM_CLEANUP */
/*
 * clm_ext_read() - the extensions we know out of a SEQUENCE OF Extension
 *
 * In      der  len bytes, with the tag of the SEQUENCE; len 0: none
 * Out     out  overwritten; for clm_ext_info_done() also after an error
 * Errors  PARSE malformed, or the same extension twice; LIMIT
 */
CLM_MUST_USE enum clm_code clm_ext_read(const uint8_t *der, size_t len, enum clm_ext_names mode,
                                        struct clm_ext_info *out, struct clm_err *err);
/* CRYPTO: a critical extension that clients do not know, which makes them refuse the certificate
 * (RFC 5280 4.2); the poison of a precertificate (RFC 6962) is one. PARSE malformed. */
CLM_MUST_USE enum clm_code clm_ext_check_critical(const uint8_t *der, size_t len,
                                                  struct clm_err *err);
/* The content of one extension's OCTET STRING; false if it is not there. */
bool clm_ext_find(const uint8_t *der, size_t len, const char *oid, size_t oid_len,
                  struct clm_tlv *out);

#endif
