/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_header - response header lines into the fields of struct clm_http_response
 *
 * Takes one line at a time as it came from the peer. Headers nobody asked for are dropped. Where a
 * header is repeated, the first one counts.
 */
#ifndef CLM_NET_HTTP_HEADER_H
#define CLM_NET_HTTP_HEADER_H

#include <stddef.h>

#include "agent/base/err.h"
#include "agent/model/io.h"

/*
 * clm_http_header_line() - one line: a status line, a header, or the empty line at the end
 *
 * In      line  len bytes, with or without the line break, no NUL needed
 * Effect  a status line empties all fields that earlier headers set (100 Continue and the like)
 * Errors  LIMIT a value too long for its field; PARSE one with other than printable ASCII
 */
CLM_MUST_USE enum clm_code clm_http_header_line(struct clm_http_response *response,
                                                const char *line, size_t len, struct clm_err *err);

/* Seconds to wait for a Retry-After value: a number, or a date seen from now_s. 0 if it is neither or
 * in the past. Source: RFC 9110 10.2.3. */
uint32_t clm_http_retry_after(const char *value, int64_t now_s);

#endif
