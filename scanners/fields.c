/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *clm_field(const char *line, size_t i)
{
    line += strspn(line, " \t");
    for (; i > 0; i--) {
        line += strcspn(line, " \t\n");
        line += strspn(line, " \t");
    }
    return *line == '\n' ? "" : line;
}

bool clm_field_number(const char *line, size_t i, int base, uint64_t *out)
{
    const char *word = clm_field(line, i);
    char *end = NULL;

    if (*word == '-' || *word == '+' || *word == '\0') {
        return false;
    }
    errno = 0;
    *out = strtoull(word, &end, base);
    return end != word && errno == 0;
}
