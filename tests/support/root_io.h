/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root_io - a clm_io whose file system is a directory, and whose programs and units are scripted
 *
 * "/etc/x" is read from "<root>/etc/x". Symbolic links inside are followed below the root, absolute
 * ones too. Every file belongs to root:root unless an owner is set. What a test did not script
 * answers UNSUPPORTED.
 */
#ifndef CLM_TESTS_SUPPORT_ROOT_IO_H
#define CLM_TESTS_SUPPORT_ROOT_IO_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/model/io.h"

struct root_io_program {
    const char *argv; /* joined by single spaces */
    int status;
    const char *output;
};

struct root_io_owner {
    const char *path;
    uint32_t uid;
    uint32_t gid;
    uint32_t mode; /* 0: the file's own */
};

struct root_io {
    struct clm_io io;
    char root[PATH_MAX];
    const struct root_io_program *programs; /* ends with a NULL argv; NULL: none */
    const struct root_io_owner *owners;     /* ends with a NULL path; NULL: none */
    const struct clm_unit *units;
    size_t n_units;
    bool is_closed; /* links of /proc/PID and fd are refused, as without CAP_SYS_PTRACE */
    const struct clm_listening *listening; /* what the kernel lists; NULL: it does not */
    size_t n_listening;
    bool has_systemd; /* false: unit calls answer UNSUPPORTED */
    size_t reads;     /* calls of read_file */
    size_t runs;      /* calls of run */
};

/* root: an existing directory, copied. The io points into *self. */
void root_io_init(struct root_io *self, const char *root);

/* A new directory below /tmp into dst of PATH_MAX bytes. */
void root_io_temp(char *dst);
/* Writes a file below root, with the directories above it. Aborts the test on failure. */
void root_io_write(const char *root, const char *path, const void *data, size_t len);
void root_io_text(const char *root, const char *path, const char *text);
void root_io_link(const char *root, const char *path, const char *to);
/* Removes a directory made by root_io_temp() and all in it. */
void root_io_remove(const char *root);

#endif
