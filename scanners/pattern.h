/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern - does a regular expression of a server match this path?
 *
 * nginx and httpd use PCRE; this knows the part of it that POSIX has, and says so when it does not.
 */
#ifndef CLM_SCANNERS_PATTERN_H
#define CLM_SCANNERS_PATTERN_H

#include <stdbool.h>

enum clm_pattern {
    CLM_PATTERN_NO,
    CLM_PATTERN_YES,
    CLM_PATTERN_UNKNOWN
};

#define CLM_ACME_URI "/.well-known/acme-challenge/"
/* A request as a CA makes it: tokens are base64url (RFC 8555 8.3). */
#define CLM_ACME_SAMPLE CLM_ACME_URI "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"

/* "(?!...well-known...)" is taken for what it is meant for: not to match. */
enum clm_pattern clm_pattern_match(const char *pattern, bool ignore_case, const char *text);

#endif
