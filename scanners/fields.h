/* SPDX-License-Identifier: Apache-2.0 */
/* fields - words and numbers of the lines in /proc */
#ifndef CLM_SCANNERS_FIELDS_H
#define CLM_SCANNERS_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Word i of the line, 0 being the first; "" if it has fewer. Words end at blanks, the line at its
 * newline. */
const char *clm_field(const char *line, size_t i);
/* The number that word i begins with. False if it begins with none or it is too large. */
bool clm_field_number(const char *line, size_t i, int base, uint64_t *out);

#endif
