/* SPDX-License-Identifier: Apache-2.0 */
/* What is noted of an endpoint: a handshake's result is given, what it served is read. */
#include "tests/support/sabotage.h"
#include "tests/unit/run/authority.h"

#include "agent/crypto/hash.h"
#include "agent/net/tlsprobe.h"
#include "agent/run/probe.h"

static struct {
    struct clm_buf der; /* as served */
    enum clm_code code;
    enum clm_probe_result result;
    unsigned probes;
} f;

enum clm_code __wrap_clm_tlsprobe(const struct clm_endpoint *endpoint, struct clm_observation *out,
                                  struct clm_buf *out_leaf_der, struct clm_err *err);
enum clm_code __wrap_clm_tlsprobe(const struct clm_endpoint *endpoint, struct clm_observation *out,
                                  struct clm_buf *out_leaf_der, struct clm_err *err)
{
    bool was_on = clm_sabotage_pause();
    enum clm_code code = f.code;

    assert_int_equal(endpoint->port, 443);
    f.probes++;
    out->result = f.result;
    if (code != CLM_OK) {
        code = clm_err_set(err, code, "no handshake");
    } else if (f.result == CLM_PROBE_SERVED) {
        code = clm_buf_add(out_leaf_der, f.der.data, f.der.len, err);
    }
    clm_sabotage_resume(was_on);
    return code;
}

static int setup(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    struct clm_identity_pending pending;
    struct home home;
    char dir[PATH_MAX];

    (void)state;
    memset(&f, 0, sizeof(f));
    f.der = CLM_BUF_INIT(CLM_CERT_DER_MAX);
    f.result = CLM_PROBE_SERVED;
    home_open(&home);
    assert_int_equal(clm_net_path(&home.config, dir, NULL, "identity"), CLM_OK);
    assert_int_equal(clm_identity_begin(dir, "enroll", "", &pending, NULL), CLM_OK);
    issue_for(&pending.csr_der, A_AGENT, &pem);
    clm_identity_pending_done(&pending);
    home_close(&home);
    assert_int_equal(clm_cert_chain_from_pem(pem.data, pem.len, &chain, NULL), CLM_OK);
    size_t len = 0;
    const uint8_t *der = clm_cert_chain_der(chain, 0, &len);
    assert_int_equal(clm_buf_add(&f.der, der, len, NULL), CLM_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clm_buf_done(&f.der);
    return 0;
}

static const struct clm_endpoint endpoint = {.addr = "127.0.0.1", .port = 443};

static void leaf_is_described(void **state)
{
    struct clm_observation seen;
    char hash[CLM_SHA256_HEX_SIZE];

    (void)state;
    clm_probe(&endpoint, &seen);
    clm_sha256_hex(f.der.data, f.der.len, hash);
    assert_int_equal(seen.result, CLM_PROBE_SERVED);
    assert_string_equal(seen.leaf_sha256, hash);
    assert_int_equal(strlen(seen.spki_sha256), CLM_SHA256_HEX_SIZE - 1);
    assert_non_null(strstr(seen.subject, A_AGENT));
    assert_non_null(strstr(seen.issuer, "test CA"));
    assert_true(seen.not_after_s > clm_clock_now_s());
    assert_string_equal(seen.detail, "");
}

static void leaf_that_cannot_be_read_still_compares(void **state)
{
    struct clm_observation seen;
    char hash[CLM_SHA256_HEX_SIZE];

    (void)state;
    f.der.data[0] ^= 0xff;
    clm_sha256_hex(f.der.data, f.der.len, hash);
    clm_probe(&endpoint, &seen);
    assert_int_equal(seen.result, CLM_PROBE_SERVED);
    assert_string_equal(seen.leaf_sha256, hash);
    assert_string_equal(seen.spki_sha256, "");
    assert_memory_equal(seen.detail, "leaf: ", 6);
}

static void what_served_nothing_has_no_leaf(void **state)
{
    struct clm_observation seen;

    (void)state;
    f.result = CLM_PROBE_REFUSED;
    clm_probe(&endpoint, &seen);
    assert_int_equal(seen.result, CLM_PROBE_REFUSED);
    assert_string_equal(seen.leaf_sha256, "");
    f.code = CLM_E_LIMIT;
    f.result = CLM_PROBE_SERVED; /* half an answer is none */
    clm_probe(&endpoint, &seen);
    assert_int_equal(seen.result, CLM_PROBE_TLS_FAILED);
    assert_string_equal(seen.detail, "no handshake");
    assert_true(seen.at_ms > 0);
}

/* ---- a whole inventory ---- */

/* One target with two endpoints, one with none. */
static void fill(struct clm_inventory *inventory)
{
    struct clm_service *service = clm_inventory_add_service(inventory);

    assert_non_null(service);
    assert_non_null(clm_service_add_target(service));
    struct clm_target *target = clm_service_add_target(service);
    assert_non_null(target);
    for (int i = 0; i < 2; i++) {
        struct clm_endpoint *added = clm_target_add_endpoint(target);

        assert_non_null(added);
        *added = endpoint;
    }
}

static void every_endpoint_is_looked_at_once(void **state)
{
    struct clm_inventory inventory = {.started_at_s = 1};

    (void)state;
    fill(&inventory);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(clm_probe_inventory(&inventory, NULL), CLM_OK);
        assert_int_equal(f.probes, 2);
    }
    assert_null(inventory.services[0].targets[0].served);
    assert_int_equal(inventory.services[0].targets[1].served[1].result, CLM_PROBE_SERVED);
    clm_inventory_done(&inventory);
}

static void want_of_memory_says_nothing_about_a_server(void **state)
{
    struct clm_inventory inventory = {.started_at_s = 1};
    struct clm_err err = {0};

    (void)state;
    fill(&inventory);
    f.code = CLM_E_NOMEM;
    assert_int_equal(clm_probe_inventory(&inventory, &err), CLM_E_NOMEM);
    assert_string_equal(err.msg, "no handshake: out of memory");
    assert_int_equal(f.probes, 1);
    clm_inventory_done(&inventory);
}

static enum clm_code look_at_all(void *arg, struct clm_err *err)
{
    struct clm_inventory inventory = {.started_at_s = 1};
    bool was_on = clm_sabotage_pause();

    (void)arg;
    fill(&inventory);
    clm_sabotage_resume(was_on);
    enum clm_code code = clm_probe_inventory(&inventory, err);
    clm_inventory_done(&inventory);
    return code;
}

static void no_memory(void *arg, enum clm_code code, const char *what)
{
    (void)arg;
    if (code != CLM_OK && code != CLM_E_NOMEM) {
        fail_msg("%s: %s", what, clm_code_name(code));
    }
}

static void memory_that_runs_out_is_told(void **state)
{
    const struct clm_sabotage plan = {.act = look_at_all, .after = no_memory};

    (void)state;
    assert_true(clm_sabotage_run(&plan, "malloc calloc realloc") > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(leaf_is_described),
        WITH(leaf_that_cannot_be_read_still_compares),
        WITH(what_served_nothing_has_no_leaf),
        WITH(every_endpoint_is_looked_at_once),
        WITH(want_of_memory_says_nothing_about_a_server),
        WITH(memory_that_runs_out_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
