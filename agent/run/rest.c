/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "agent/run/rest.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Program text and constants only: segments that the linker made unwritable. They were never
 * written, so nothing is lost; they are read again from the file, most of them never. Relocated data
 * (RELRO) looks alike in /proc/self/maps, but lies in a writable segment.
 */
static int forget_clean(struct dl_phdr_info *info, size_t size, void *arg)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)arg;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t from = (uintptr_t)(info->dlpi_addr + segment->p_vaddr);
        uintptr_t to = from + segment->p_filesz;

        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) {
            continue;
        }
        from -= from % page;
        to += (page - to % page) % page;
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) the dynamic linker gives addresses as numbers */
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
    }
    return 0;
}

void clm_rest(void)
{
    (void)malloc_trim(0);
    (void)dl_iterate_phdr(forget_clean, NULL);
}
