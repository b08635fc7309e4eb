/* SPDX-License-Identifier: Apache-2.0 */
/* host - what the files of the subject share */
#ifndef CLM_TESTS_FAULTS_HOST_H
#define CLM_TESTS_FAULTS_HOST_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/faults/subject/subject.h"

/* The first file and the unrelated one have these, where the file system knows such things. */
#define SUBJECT_XATTR    "user.clm.note"
#define SUBJECT_ACL      "system.posix_acl_access"
#define SUBJECT_ACL_SIZE 44
#define SUBJECT_ACL_MODE 0644 /* what it makes of a mode; files with another have none */
extern const uint8_t subject_acl[SUBJECT_ACL_SIZE];

#define SUBJECT_GID     33         /* of the first file, if we are root */
#define SUBJECT_MTIME_S 1700000000 /* of the unrelated file */

/* Group of file i, old and new. */
gid_t subject_gid(const struct subject *s, size_t i);
/* The io's programs are real children from here on, and its scripted parts are not measured. */
void subject_use_child(struct subject *s);

#endif
