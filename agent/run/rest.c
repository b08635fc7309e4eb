/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/rest.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define LINE_SIZE 512

/* Only text ("r-xp" with a file behind it): it is never written, so nothing private is lost. What is
 * "r--p" may be relocated data, which would be. */
static int is_text(const char *line, uintptr_t *out_from, uintptr_t *out_to)
{
    uintptr_t from = 0;
    uintptr_t to = 0;
    char flags[8] = "";
    unsigned long inode = 0;

    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s %*s %*s %lu", &from, &to, flags, &inode) != 4 ||
        strcmp(flags, "r-xp") != 0 || inode == 0 || to <= from) {
        return 0;
    }
    *out_from = from;
    *out_to = to;
    return 1;
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
