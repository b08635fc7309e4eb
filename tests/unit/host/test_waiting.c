/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for a restart is seen in handshakes; passwords are found where their references say;
 * a product that needs longer gets longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/host/internal.h"
#include "tests/unit/host/host_world.h"

#define SITE "file:shop"
#define OLD  "1111111111111111111111111111111111111111111111111111111111111111"
#define NEW  "2222222222222222222222222222222222222222222222222222222222222222"

struct server {
    const char *leaf[2]; /* by port 1 and 2; NULL: refuses */
    unsigned probes;
};

static enum clm_code probe(void *arg, const struct clm_endpoint *endpoint,
                           struct clm_observation *out, struct clm_err *err)
{
    struct server *server = arg;
    const char *leaf = server->leaf[endpoint->port - 1];

    (void)err;
    server->probes++;
    memset(out, 0, sizeof(*out));
    out->result = leaf != NULL ? CLM_PROBE_SERVED : CLM_PROBE_REFUSED;
    out->at_ms = 1;
    if (leaf != NULL) {
        memcpy(out->leaf_sha256, leaf, CLM_SHA256_HEX_SIZE);
    }
    return CLM_OK;
}

static int setup(void **state)
{
    *state = host_world_new();
    return 0;
}

static int teardown(void **state)
{
    host_world_free(*state);
    return 0;
}

/* A transaction in the history; port 2 is not counted. */
static void add_transaction(struct host_world *world, const char *result)
{
    struct clm_txn_endpoint endpoints[2] = {
        {.endpoint = {.addr = "127.0.0.1", .port = 1}, .is_counted = true},
        {.endpoint = {.addr = "127.0.0.1", .port = 2}, .is_counted = false}};
    struct clm_txn_outcome outcome = {.target = SITE,
                                      .after_sha256 = NEW,
                                      .before_sha256 = OLD,
                                      .endpoints = endpoints,
                                      .n_endpoints = 2};
    struct clm_json *entry = clm_json_new_object();

    for (int i = 0; i < CLM_TXN__COUNT; i++) {
        if (strcmp(clm_txn_result_name((enum clm_txn_result)i), result) == 0) {
            outcome.result = (enum clm_txn_result)i;
        }
    }
    clm_txn_outcome_to_json(&outcome, entry);
    clm_json_set_int(entry, "at", 5);
    clm_json_set_int(entry, "version", 3);
    assert_int_equal(clm_store_history_add(world->host->store, entry, NULL), CLM_OK);
    clm_json_free(entry);
}

static struct host_world *the_world; /* io.ctx belongs to root_io */

static enum clm_code probe_of_world(void *ctx, const struct clm_endpoint *endpoint,
                                    struct clm_observation *out, struct clm_err *err)
{
    (void)ctx;
    return the_world->route.probe(the_world->route.arg, endpoint, out, err);
}

static void use_server(struct host_world *world, struct server *server)
{
    the_world = world;
    world->route.probe = probe;
    world->route.arg = server;
    world->io.io.probe = probe_of_world;
}

static size_t history(struct host_world *world, const char **out_result, bool *out_proved)
{
    static char result[64];
    struct clm_json *list = clm_json_new_array();
    size_t n;

    assert_int_equal(clm_store_history_list(world->host->store, SITE, 10, list, NULL), CLM_OK);
    n = clm_json_len(list);
    strcpy(result, n > 0 ? clm_json_text(clm_json_get(clm_json_first(list), "result")) : "");
    *out_result = result;
    *out_proved = false;
    if (n > 0) {
        assert_int_equal(clm_json_bool(clm_json_first(list), "proved", out_proved, NULL), CLM_OK);
    }
    clm_json_free(list);
    return n;
}

static void it_waits_until_the_new_leaf_is_seen(void **state)
{
    struct host_world *world = *state;
    struct server server = {{OLD, OLD}, 0};
    const char *result;
    bool is_proved;

    use_server(world, &server);
    assert_false(clm_host_is_waiting(world->host, SITE)); /* nothing was ever deployed */
    add_transaction(world, "waiting_for_restart");
    assert_true(clm_host_is_waiting(world->host, SITE));
    assert_false(clm_host_is_waiting(world->host, "file:other"));
    server.leaf[0] = NULL; /* down is not restarted */
    assert_true(clm_host_is_waiting(world->host, SITE));
    assert_int_equal(history(world, &result, &is_proved), 1);

    server.leaf[0] = NEW; /* the other one is not counted */
    assert_false(clm_host_is_waiting(world->host, SITE));
    assert_int_equal(history(world, &result, &is_proved), 2);
    assert_string_equal(result, "succeeded");
    assert_true(is_proved);
    server.probes = 0;
    server.leaf[0] = OLD; /* that is a mismatch now, and for others to say */
    assert_false(clm_host_is_waiting(world->host, SITE));
    assert_int_equal(server.probes, 0);
}

static void a_later_transaction_ends_the_wait(void **state)
{
    struct host_world *world = *state;
    struct server server = {{OLD, OLD}, 0};

    use_server(world, &server);
    add_transaction(world, "waiting_for_restart");
    add_transaction(world, "rolled_back");
    assert_false(clm_host_is_waiting(world->host, SITE));
    assert_int_equal(server.probes, 0);
}

static void references_lead_to_passwords(void **state)
{
    static const struct {
        const char *deployer;
        const char *ref;
        enum clm_code code;
        const char *want; /* password, or what is said */
    } rows[] = {
        {"file", "known:changeit", CLM_OK, "changeit"},
        {"file", "file:/etc/pw", CLM_OK, "s3cret"},
        {"file", "file:/etc/none", CLM_E_NOTFOUND, "/etc/none"},
        {"file", "conf:x", CLM_E_UNSUPPORTED, "'file' keeps no password"},
        {"nobody", "conf:x", CLM_E_UNSUPPORTED, "'nobody' keeps no password"},
        {"file", "s3cret", CLM_E_INVAL, "not a reference"},
    };
    static const struct root_io_owner mine[] = {{"/etc/pw", 0, 0, 0600}, {NULL, 0, 0, 0}};
    struct host_world *world = *state;
    struct clm_secret_source source = clm_host_secrets(world->host);

    root_io_text(world->tree, "/etc/pw", "s3cret\n");
    world->io.owners = mine;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
        struct clm_err err = {0};
        enum clm_code code = source.get(source.arg, rows[i].deployer, rows[i].ref, &out, &err);
        const char *said = code == CLM_OK ? clm_buf_str(&out) : err.msg;

        if (code != rows[i].code || strstr(said, rows[i].want) == NULL) {
            fail_msg("row %zu: %s: %s", i, clm_code_name(code), said);
        }
        assert_true(code == CLM_OK || strstr(err.msg, "s3cret") == NULL);
    }
}

static uint32_t planned_deadline(struct host_world *world, uint32_t declared_s, uint32_t config_s)
{
    struct clm_declared_output output = {.path = "/etc/a.crt", .content = "leaf", .format = "pem"};
    struct clm_declared file = {.name = "shop",
                                .outputs = &output,
                                .n_outputs = 1,
                                .reload = "none",
                                .verify = {"127.0.0.1", 1, "", declared_s}};
    struct clm_policy policy = {.files = &file, .n_files = 1};
    struct clm_fail fail = {.code = CLM_OK};
    struct clm_host_call call = {.host = world->host, .fail = &fail};
    struct clm_plan plan = {.n_steps = 0};
    struct clm_err err = {0};
    uint32_t deadline_ms;

    assert_int_equal(clm_strs_add_once(&world->config.policy.targets_allow, "file:*", NULL),
                     CLM_OK);
    world->config.deploy.deadline_s = config_s;
    world->io.io.policy = &policy;
    if (clm_host_plan(&call, SITE, NULL, &plan, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    deadline_ms = plan.steps[plan.n_steps - 1].deadline_ms;
    clm_plan_done(&plan);
    world->io.io.policy = NULL;
    return deadline_ms;
}

static void a_plan_that_needs_longer_keeps_its_deadline(void **state)
{
    struct host_world *world = *state;

    root_io_text(world->tree, "/proc/version", ""); /* a scan that finds no process */
    assert_int_equal(planned_deadline(world, 0, 5), 5000);
    assert_int_equal(planned_deadline(world, 0, 60), 60000);
    assert_int_equal(planned_deadline(world, 120, 5), 120000);
    assert_int_equal(planned_deadline(world, 120, 30), 120000);
    assert_int_equal(planned_deadline(world, 120, 300), 300000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_waits_until_the_new_leaf_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_later_transaction_ends_the_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(references_lead_to_passwords, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plan_that_needs_longer_keeps_its_deadline, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
