/* SPDX-License-Identifier: Apache-2.0 */
/* csr_world - a host half beside an nginx that has a certificate with a full subject */
#ifndef CLM_TESTS_CSR_WORLD_H
#define CLM_TESTS_CSR_WORLD_H

#include "agent/crypto/csr.h"
#include "tests/unit/host/host_world.h"

#define SITE "nginx:www.example.com"
#define CRT  "crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define WWW  "'sans':{'dns':['www.example.com']}"
#define BOTH "'sans':{'dns':['www.example.com','api.example.com']}"

struct csr_world {
    struct host_world *host;
    struct clm_key *key; /* installed at SITE */
    int64_t seq;
};

/* What the host half answered to an order. */
struct csr_good {
    struct clm_csr_info info;
    struct clm_json *reply;
    char job_id[CLM_ID_SIZE];
};

int csr_world_setup(void **state);
int csr_world_teardown(void **state);
/* {"job_id": ..} */
struct clm_json *csr_world_body(const char *job_id);
/* Waiting keys in the store. */
size_t csr_world_keys(struct csr_world *w);
/* Accepts the order whose spec is text, with ' for ", and takes its request. */
void csr_world_good(struct csr_world *w, const char *text, struct csr_good *out);
void csr_world_good_done(struct csr_good *g);
/* The order, or its request, is refused so, and no key is made. */
void csr_world_refused(struct csr_world *w, const char *text, const char *problem,
                       const char *says);

#endif
