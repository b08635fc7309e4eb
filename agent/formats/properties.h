/* SPDX-License-Identifier: Apache-2.0 */
/* properties - one value of a Java properties file (java.util.Properties.load) */
#ifndef CLM_FORMATS_PROPERTIES_H
#define CLM_FORMATS_PROPERTIES_H

#include <stdbool.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define CLM_PROPERTIES_MAX ((size_t)1024 * 1024) /* bytes of a file */

/*
 * clm_properties_find() - the value of name; the last one if it is given twice
 *
 * In      text   len bytes in ISO-8859-1 with \uXXXX, as Java reads them
 * Out     value  set to the value in UTF-8; a secret buffer if it may be a password
 *         found  false: there is none, value is empty
 * Errors  LIMIT longer than value may be; NOMEM. Java accepts any bytes, so this does.
 */
CLM_MUST_USE enum clm_code clm_properties_find(const void *text, size_t len, const char *name,
                                               struct clm_buf *value, bool *found,
                                               struct clm_err *err);

#endif
