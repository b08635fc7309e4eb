/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - the DNS names and IP addresses of a certificate, normalised
 *
 * DNS names are kept in lower case A-label form without a trailing dot; addresses in the text form
 * of inet_ntop(3). A list has no duplicates and keeps the order of first mention.
 */
#ifndef CLM_MODEL_NAMES_H
#define CLM_MODEL_NAMES_H

#include <stdbool.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/str.h"

#define CLM_NAMES_MAX 100 /* SANs per certificate; protocol.md 6.4 */

struct clm_names {
    struct clm_strs dns;
    struct clm_strs ip;
};

void clm_names_done(struct clm_names *names); /* for CLM_CLEANUP */

/* Letters, digits, '-', '_' and dots, labels of 1..63, 253 in all; a leading "*." only if wildcard.
 * Writes the normalised name to dst of CLM_DNS_NAME_SIZE bytes. Errors: INVAL. */
CLM_MUST_USE enum clm_code clm_dns_normalise(const char *name, bool wildcard, char *dst,
                                             struct clm_err *err);
/* An IPv4 or IPv6 address without zone, as inet_ntop(3) writes it, to dst of CLM_ADDR_SIZE bytes
 * (agent/model/probe.h). Errors: INVAL. */
CLM_MUST_USE enum clm_code clm_ip_normalise(const char *address, char *dst, struct clm_err *err);
/* http:// or https:// with an address of this host as a number (127.0.0.0/8 or [::1]), perhaps a
 * port, and a path: no user, no space. Errors: INVAL with what is wrong. */
CLM_MUST_USE enum clm_code clm_url_check_loopback(const char *url, struct clm_err *err);
CLM_MUST_USE enum clm_code clm_names_add_dns(struct clm_names *names, const char *name,
                                             struct clm_err *err);
CLM_MUST_USE enum clm_code clm_names_add_ip(struct clm_names *names, const char *address,
                                            struct clm_err *err);
/* The one or the other: what reads as an address is one. */
CLM_MUST_USE enum clm_code clm_names_add(struct clm_names *names, const char *text,
                                         struct clm_err *err);

/* RFC 6125: exact, or "*.b.c" for exactly one label before ".b.c". */
bool clm_names_covers_dns(const struct clm_names *have, const char *host);
/* True if every name of want is in have (wildcards of want only by an equal entry); otherwise
 * *out_missing, if not NULL, is the first that is not (borrowed from want). */
bool clm_names_is_subset(const struct clm_names *want, const struct clm_names *have,
                         const char **out_missing);

/* {"dns": [...], "ip": [...]} */
void clm_names_to_json(const struct clm_names *names, struct clm_json *obj);
CLM_MUST_USE enum clm_code clm_names_from_json(const struct clm_json *obj, struct clm_names *out,
                                               struct clm_err *err);

/* The same as one array under key, DNS names first; reading tells them apart. Without the limit of
 * CLM_NAMES_MAX: certificates and servers that are only reported may have more. from_list: a missing
 * key is an empty list. */
void clm_names_to_list(const struct clm_names *names, const char *key, struct clm_json *obj);
CLM_MUST_USE enum clm_code clm_names_from_list(const struct clm_json *obj, const char *key,
                                               struct clm_names *out, struct clm_err *err);

#endif
