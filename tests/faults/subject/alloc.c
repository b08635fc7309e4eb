/* SPDX-License-Identifier: Apache-2.0 */
/* malloc() and its kin of the whole program, counted: what is live before and after must be the same. */
#include <stddef.h>

extern long subject_live_blocks;
long subject_live_blocks;

#if !defined(__SANITIZE_ADDRESS__)

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);
void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *block, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
void free(void *block);

static void *counted(void *block)
{
    subject_live_blocks += block != NULL;
    return block;
}

void *malloc(size_t size)
{
    return counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return counted(__libc_calloc(n, size));
}

void *realloc(void *block, size_t size)
{
    if (block == NULL) {
        return malloc(size);
    }
    subject_live_blocks -= size == 0; /* glibc frees it */
    return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return counted(__libc_memalign(alignment, size));
}

void free(void *block)
{
    subject_live_blocks -= block != NULL;
    __libc_free(block);
}

#endif
