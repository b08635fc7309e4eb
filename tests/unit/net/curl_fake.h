/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curl_fake - the real libcurl, of which one call fails
 *
 * Works by the linker: a test that uses it is linked with the --wrap options of wrap_curl() in
 * CMakeLists.txt.
 */
#ifndef CLM_TESTS_NET_CURL_FAKE_H
#define CLM_TESTS_NET_CURL_FAKE_H

#include <stdbool.h>

#include <curl/curl.h>

/* Call n (from 1) of that name fails: with rc, or with NULL if it returns a pointer. */
void curl_fake_on(const char *call, unsigned n, int rc);
/* Returns true if the call was made, and failed. */
bool curl_fake_off(void);

/* What curl_version_info() says of the TLS library; NULL: the truth. "": that there is none. */
void curl_fake_set_tls(const char *name);

/* What was set of them, or NULL. */
struct curl_fake_opts {
    curl_debug_callback debug;
    void *debug_arg;
    curl_ssl_ctx_callback ssl_ctx;
    void *ssl_ctx_arg;
    char *reason; /* CURLOPT_ERRORBUFFER */
};

/* In place of a handshake, until it is NULL. */
typedef CURLcode (*curl_fake_perform_fn)(const struct curl_fake_opts *opts);
void curl_fake_set_perform(curl_fake_perform_fn perform);
/* What CURLINFO_CERTINFO gives then, and with which result. */
void curl_fake_set_certinfo(struct curl_certinfo *info, CURLcode rc);

#endif
