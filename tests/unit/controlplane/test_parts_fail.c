/* SPDX-License-Identifier: Apache-2.0 */
/* What a server is made of, while one call of the system or an allocation fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "controlplane/limits.h"
#include "controlplane/nonce.h"
#include "controlplane/peer.h"
#include "controlplane/sock.h"
#include "controlplane/tokens.h"
#include "tests/support/sabotage.h"
#include "tests/unit/controlplane/plane.h"

#define NOW 1795225945

static struct plane plane;

static int open_plane(void **state)
{
    (void)state;
    plane_open(&plane, NOW);
    return 0;
}

static int close_plane(void **state)
{
    (void)state;
    plane_close(&plane);
    return 0;
}

static void hold_nothing(void *connection)
{
    (void)connection;
}

static enum clm_code make_hub(void *arg, struct clm_err *err)
{
    struct clm_cp_hub *hub = NULL;
    enum clm_code code = clm_cp_hub_new(hold_nothing, hold_nothing, &hub, err);

    (void)arg;
    clm_cp_hub_free(hub);
    return code;
}

static enum clm_code make_limits(void *arg, struct clm_err *err)
{
    struct clm_cp_limits *limits = NULL;
    enum clm_code code = clm_cp_limits_new(&limits, err);

    (void)arg;
    clm_cp_limits_free(limits);
    return code;
}

static enum clm_code make_nonce(void *arg, struct clm_err *err)
{
    struct clm_cp_nonces *nonces = NULL;
    char text[CLM_CP_NONCE_SIZE];
    bool is_fresh = false;
    enum clm_code code = clm_cp_nonces_new(&nonces, err);

    (void)arg;
    if (code == CLM_OK) {
        code = clm_cp_nonce_make(nonces, NOW, text, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_nonce_check(nonces, text, NOW, &is_fresh, err);
    }
    clm_cp_nonces_free(nonces);
    assert_true(is_fresh || code != CLM_OK);
    return code;
}

static enum clm_code make_trust(void *arg, struct clm_err *err)
{
    struct clm_cp_peer_trust *trust = NULL;
    enum clm_code code = clm_cp_peer_trust_new(plane.pki, &trust, err);

    (void)arg;
    clm_cp_peer_trust_free(trust);
    return code;
}

static enum clm_code open_keys(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_pki_free_p) struct clm_cp_pki *again = NULL;

    (void)arg;
    return clm_cp_pki_open(plane.dir, NOW, &again, err);
}

static enum clm_code open_database(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_cp_db_free_p) struct clm_cp_db *db = NULL;

    (void)arg;
    return clm_cp_db_open("", &db, err);
}

static enum clm_code certify(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf cert = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf key = CLM_BUF_SECRET_INIT(CLM_KEY_PEM_MAX);

    return clm_cp_pki_server_cert(plane.pki, arg, NOW, &cert, &key, err);
}

static enum clm_code sign_trust(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *jws = clm_json_new_object();

    (void)arg;
    return clm_cp_pki_trust(plane.pki, "acme", TEST_AGENT, NOW, jws, err);
}

static enum clm_code listen_on(void *arg, struct clm_err *err)
{
    char bound[96];
    int fd = -1;
    enum clm_code code = clm_cp_sock_listen(arg, &fd, bound, sizeof(bound), err);

    if (code == CLM_OK) {
        (void)close(fd);
    }
    return code;
}

static enum clm_code use_token(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(4096);
    char id[CLM_ID_SIZE];
    bool is_manual = false;
    bool ok = true;
    enum clm_cp_token_verdict verdict = CLM_CP_TOKEN_OK;
    const struct clm_cp_token_new in = {
        .url = "https://cp.example:8443", .ttl_s = 60, .max_uses = 1, .host_glob = ""};
    enum clm_code code = clm_cp_token_create(&plane.tx, &in, id, &text, err);
    const struct clm_cp_token_use use = {.id = id,
                                         .nonce = "n",
                                         .csr_der = (const uint8_t *)"csr",
                                         .csr_len = 3,
                                         .hostname = "h",
                                         .proof = "x"};

    (void)arg;
    if (code == CLM_OK) {
        code = clm_cp_token_check(&plane.tx, &use, &verdict, &is_manual, err);
    }
    if (code == CLM_OK) {
        assert_int_equal(verdict, CLM_CP_TOKEN_WRONG_PROOF);
        code = clm_cp_token_check_status_proof(&plane.tx, id, "enr_1", "x", &ok, err);
    }
    assert_true(!ok || code != CLM_OK);
    return code;
}

static void each_part_says_why_it_is_not_there(void **state)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs names = {0};
    char address[] = "127.0.0.1:0";
    const struct {
        enum clm_code (*act)(void *arg, struct clm_err *err);
        void *arg;
    } parts[] = {
        {make_hub, NULL},      {make_limits, NULL}, {make_nonce, NULL}, {make_trust, NULL},
        {open_keys, NULL},     {certify, &names},   {sign_trust, NULL}, {listen_on, address},
        {open_database, NULL}, {use_token, NULL},
    };

    (void)state;
    assert_int_equal(clm_strs_add(&names, "clm.example.net", NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(parts); i++) {
        const struct clm_sabotage plan = {.act = parts[i].act, .arg = parts[i].arg};

        if (clm_sabotage_run(&plan, NULL) == 0) {
            fail_msg("part %zu needs nothing that could fail", i);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_part_says_why_it_is_not_there, open_plane,
                                        close_plane),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
