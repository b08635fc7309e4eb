/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_world - a host half in a temporary directory, enrolled with a control plane made here
 *
 * Files are those of root_io: an empty tree unless a test writes into it. Every function aborts the
 * test when something fails that the test is not about.
 */
#ifndef CLM_TESTS_HOST_WORLD_H
#define CLM_TESTS_HOST_WORLD_H

#include "agent/base/rand.h"
#include "agent/host/host.h"
#include "tests/support/certs.h"
#include "tests/support/root_io.h"

#define WORLD_AGENT  "agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define WORLD_TENANT "acme"
#define WORLD_KID    "jobs-2026-11"

struct host_world {
    char state_dir[PATH_MAX];
    char tree[PATH_MAX]; /* "/" of root_io */
    struct root_io io;
    struct clm_probe_route route;
    struct clm_config config;
    struct clm_host *host;
    struct clm_rng *rng;
    struct clm_key *ca_key;
    struct clm_key *jobs_key;
    struct clm_buf ca_pem;
    struct clm_test_ca *ca; /* issues server certificates */
    int64_t now_s;
    struct clm_fail fail; /* of the last request */
    struct clm_err err;
};

struct host_world *host_world_new(void);
void host_world_free(struct host_world *world);
/* Closes the host half and opens it again, as after a crash. */
void host_world_restart(struct host_world *world);

/* A valid trust document for that agent; the caller changes what the test is about. */
struct clm_json *host_world_trust(const struct host_world *world, const char *agent_id);
/* The body of trust_put with that document; doc is freed. */
struct clm_json *host_world_offer(struct host_world *world, const char *agent_id,
                                  struct clm_json *doc);
/* trust_put for a network half of that name; doc is freed. Done once for WORLD_AGENT already. */
enum clm_code host_world_enrol(struct host_world *world, const char *agent_id,
                               struct clm_json *doc);

/* The payload of a valid job; the caller changes what the test is about. spec is JSON. */
struct clm_json *host_world_job(const struct host_world *world, const char *type,
                                const char *target, int64_t seq, const char *spec);
/* Signs a payload with the jobs key; {"jws": ...}. */
struct clm_json *host_world_sign(struct host_world *world, const struct clm_json *payload);
struct clm_json *host_world_sign_text(struct host_world *world, const char *payload);

/* One request as root. *out_reply may be NULL; body is freed. */
enum clm_code host_world_ask(struct host_world *world, enum clm_op op, struct clm_json *body,
                             struct clm_json **out_reply);
/* Accepts a job of that type and spec and aborts if it is refused; writes its id. */
void host_world_accept(struct host_world *world, const char *type, const char *target, int64_t seq,
                       const char *spec, char job_id[CLM_ID_SIZE]);

#endif
