/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memo - the same question about the same bytes is answered once
 *
 * A hundred thousand states hold the same dozen files. Whether a certificate and a key are a pair,
 * and what is in a keystore, takes most of the time otherwise.
 */
#ifndef CLM_TESTS_FAULTS_MODEL_MEMO_H
#define CLM_TESTS_FAULTS_MODEL_MEMO_H

#include "tests/faults/subject/subject.h"

/* The subject's server starts without looking into files that it has started with before. */
void memo_use(struct subject *s);

#endif
