/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deploy_world - a host half beside an nginx whose files can be deployed to, for real
 *
 * The process table and the configuration are in the pretended tree; the certificate and its key are
 * in a directory of their own, because a transaction writes to the real file system. The server
 * (fake_io) reads them when it is reloaded and answers handshakes.
 */
#ifndef CLM_TESTS_DEPLOY_WORLD_H
#define CLM_TESTS_DEPLOY_WORLD_H

#include "tests/support/fake_io.h"
#include "tests/unit/host/host_world.h"

#define SITE "nginx:www.example.com"
#define CRT  "crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"

struct deploy_world {
    struct host_world *host;
    struct root_io real; /* "/" is "/" */
    struct clm_io tree;  /* of host->io, as it was */
    struct fake_io server;
    char dir[PATH_MAX]; /* www.pem, www.key */
    struct clm_test_leaf old_leaf;
    int64_t seq;
};

struct deploy_world *deploy_world_new(void);
void deploy_world_free(struct deploy_world *w);
int deploy_world_setup(void **state);
int deploy_world_teardown(void **state);

/* An object of JSON text, with ' for ". */
struct clm_json *deploy_world_body(const char *text);
/* One request of that body. *out_reply may be NULL. */
enum clm_code deploy_world_ask(struct deploy_world *w, enum clm_op op, const char *text,
                               struct clm_json **out_reply);
/* The request is refused with this problem code, and says so. */
void deploy_world_refused(struct deploy_world *w, enum clm_op op, const char *text,
                          const char *problem, const char *says);
/* The text of a member of a member, "" if there is none. */
const char *deploy_world_text(const struct clm_json *reply, const char *outer, const char *inner);

/* A certificate that was issued for a key of this host half. */
struct deploy_order {
    char job_id[CLM_ID_SIZE];
    char key_ref[80];
    char sha256[CLM_SHA256_HEX_SIZE];
    struct clm_test_leaf leaf;
};
/* Orders it; on_issue is "notify" or "deploy". With put, the host half receives it as well. */
void deploy_world_order(struct deploy_world *w, const char *on_issue, bool put,
                        struct deploy_order *out);
/* The spec of a deploy job for it; extra: more members with a comma before, or "". */
char *deploy_world_spec(const struct deploy_order *order, const char *extra);
/* Accepts a job and asks for what it is about; *out_reply may be NULL. */
enum clm_code deploy_world_job(struct deploy_world *w, const char *type, enum clm_op op,
                               const char *spec, struct clm_json **out_reply);
/* Digits of the leaf that lies in www.pem. */
void deploy_world_in_file(const struct deploy_world *w, char dst[CLM_SHA256_HEX_SIZE]);

#endif
