/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/rest.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE_SIZE 4352 /* addresses, flags and a path of PATH_MAX */

/* "5581c000-5581d000 r-xp 00001000 fd:01 1234 /usr/sbin/clmbot", see proc(5). Only text ("r-xp" with a
 * file behind it): it is never written, so nothing private is lost. "r--p" may be relocated data,
 * which would be. */
static bool is_text(const char *line, uintptr_t *out_from, uintptr_t *out_to)
{
    char *end = NULL;

    *out_from = strtoull(line, &end, 16);
    if (*end != '-') {
        return false;
    }
    *out_to = strtoull(end + 1, &end, 16);
    return strncmp(end, " r-xp ", 6) == 0 && strchr(end, '/') != NULL && *out_to > *out_from;
}

void clm_rest(void)
{
    char line[LINE_SIZE];
    FILE *maps;

    (void)malloc_trim(0);
    maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) {
        return;
    }
    while (fgets(line, sizeof(line), maps) != NULL) {
        uintptr_t from = 0;
        uintptr_t to = 0;

        if (is_text(line, &from, &to)) {
            /* NOLINTNEXTLINE(performance-no-int-to-ptr) the kernel prints addresses as numbers */
            (void)madvise((void *)from, to - from, MADV_DONTNEED);
        }
    }
    (void)fclose(maps);
}
