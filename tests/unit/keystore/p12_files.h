/* SPDX-License-Identifier: Apache-2.0 */
/* p12_files - fixtures of tests/fixtures/keystore, opened, written and compared */
#ifndef CLM_TESTS_P12_FILES_H
#define CLM_TESTS_P12_FILES_H

#include "agent/keystore/keystore.h"
#include "tests/support/certs.h"

#define P12_PASSWORD "changeit"

/* Both abort the test when they fail. The buffer is for clm_buf_done(). */
struct clm_buf p12_file(const char *name);
struct clm_buf p12_text(const char *text);
/* Opens with a password; NULL: with none. */
enum clm_code p12_open(const char *name, const char *password, struct clm_keystore **out,
                       struct clm_err *err);
/* The same, and must work. */
struct clm_keystore *p12_opened(const char *name, const char *password);
/* Writes it and opens what was written, with the same password. */
struct clm_keystore *p12_again(const struct clm_keystore *store, struct clm_rng *rng,
                               const char *password, struct clm_buf *out_bytes);
/* "KEY www 2, TRUSTED Root CA 1": kind, alias, certificates of each entry. */
void p12_list(const struct clm_keystore *store, char *dst, size_t size);
/* Replaces or adds the entry with a new leaf of ca for names. */
enum clm_code p12_put(struct clm_keystore *store, struct clm_test_ca *ca, const char *alias,
                      const char *names, const char *password, struct clm_err *err);

#endif
