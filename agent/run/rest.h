/* SPDX-License-Identifier: Apache-2.0 */
/* rest - gives memory back before a long wait */
#ifndef CLM_RUN_REST_H
#define CLM_RUN_REST_H

/*
 * clm_rest() - unmaps what can be read again from its file
 *
 * Effect  Free heap goes back to the kernel. Pages of code that this process ran once, at start or
 *         in a handshake, leave its page table; they stay in the page cache and come back by a
 *         minor fault when they are needed.
 * Source  madvise(2) MADV_DONTNEED on shared file mappings, malloc_trim(3)
 */
void clm_rest(void);

#endif
