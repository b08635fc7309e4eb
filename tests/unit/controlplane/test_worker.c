/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker makes of what goes wrong, here and at a CA. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/fs.h"
#include "controlplane/worker.h"
#include "tests/unit/controlplane/office.h"

#define PROBLEM(type, detail)                                                                      \
    "{\"type\":\"urn:ietf:params:acme:error:" type "\",\"detail\":\"" detail "\"}"
#define ORDER(status, more)                                                                        \
    "{\"status\":\"" status "\",\"authorizations\":[\"" CA_BASE                                    \
    "/authz/1\"],\"finalize\":\"" CA_BASE "/fin/1\"" more "}"
#define AUTHZ(status, challenge)                                                                   \
    "{\"status\":\"" status "\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.example\"},"        \
    "\"challenges\":[" challenge "]}"

static struct office office;

static int open_office(void **state)
{
    (void)state;
    office_open(&office);
    return 0;
}

static int close_office(void **state)
{
    (void)state;
    office_close(&office);
    return 0;
}

static void order_from(const char *connector, char id[CLM_ID_SIZE])
{
    office_order(&office, &(struct office_order){.connector = connector}, id);
}

/* What a worker that runs makes of an order. */
static void wait_for(const char *id, const char *want)
{
    int64_t end_ms = clm_clock_mono_ms() + 10000;
    struct clm_cp_order order;

    do {
        clm_clock_sleep_ms(5);
        office_load(&office, id, &order);
    } while (strcmp(order.state, want) != 0 && clm_clock_mono_ms() < end_ms);
    assert_string_equal(order.state, want);
}

static void each_connector_issues(void **state)
{
    static const char *const connectors[] = {"none", "proved", "acme"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(connectors); i++) {
        char id[CLM_ID_SIZE];

        order_from(connectors[i], id);
        office_finish(&office, id, "issued");
    }
}

static void names_a_ca_knows_already_are_not_proved_again(void **state)
{
    char id[CLM_ID_SIZE];
    struct clm_cp_order order;

    (void)state;
    office.ca.is_proved = true;
    order_from("acme", id);
    office_advance(&office, id);
    office_load(&office, id, &order);
    assert_string_equal(order.state, "dcv_ready");
    office_finish(&office, id, "issued");
}

/* ---- what does not pass ---- */

struct wrong {
    const char *connector;
    struct ca_answer answers[3];
    const char *says;
};

static void what_will_not_pass_ends_the_order_with_the_reason(void **state)
{
    static const struct wrong rows[] = {
        {"acme", {{.url = "/dir", .status = 404}}, "404"},
        {"acme", {{.url = "/dir", .status = 200, .body = "<html>"}}, "unexpected character"},
        {"acme",
         {{.url = "/account", .status = 403, .body = PROBLEM("unauthorized", "you are blocked")}},
         "you are blocked"},
        {"acme",
         {{.url = "/order", .status = 403, .body = PROBLEM("rejectedIdentifier", "not this name")}},
         "not this name"},
        {"acme",
         {{.url = "/authz/1", .status = 200, .body = AUTHZ("pending", "{\"type\":\"dns-01\"}")}},
         "http-01"},
        {"acme",
         {{.url = "/order/1", .status = 200, .body = ORDER("invalid", "")},
          {.url = "/authz/1",
           .status = 200,
           .body = AUTHZ("invalid",
                         "{\"type\":\"http-01\",\"status\":\"invalid\",\"url\":\"" CA_BASE
                         "/chal/1\",\"token\":\"" CA_TOKEN
                         "\",\"error\":" PROBLEM("connection", "nobody answers on port 80") "}")}},
         "nobody answers on port 80"},
        {"acme",
         {{.url = "/order/1",
           .status = 200,
           .body = ORDER("invalid", ",\"error\":" PROBLEM("caa", "the record forbids it"))}},
         "the record forbids it"},
        {"acme",
         {{.url = "/order/1",
           .status = 200,
           .body = ORDER("invalid", ",\"error\":" PROBLEM("caa", "the record forbids it"))},
          {.url = "/authz/1", .status = 404}},
         "the record forbids it"},
        {"acme",
         {{.url = "/order/1", .status = 200, .body = ORDER("invalid", "")}},
         "the CA calls the order invalid and does not say why"},
        {"acme", {{.url = "/order/1", .status = 404}}, "404"},
        {"acme", {{.url = "/order/1", .status = 200, .body = "{}"}}, "status"},
        {"acme",
         {{.url = "/fin/1", .status = 403, .body = PROBLEM("badCSR", "the key is weak")}},
         "the key is weak"},
        {"acme", {{.url = "/cert/1", .status = 200, .body = "hello"}}, "certificate"},
        {"acme", {{.url = "/chal/1", .status = 403, .body = "<html>not the CA</html>"}}, "403"},
        {"proved", {{.url = "http://", .status = 404}}, "status 404 instead of the challenge"},
        {"proved", {{.url = "http://", .status = 200, .body = "hello"}}, "is not the challenge"},
        {"proved", {{.url = "http://", .status = 200, .body = " \r\n"}}, "is not the challenge"},
        {"proved", {{.url = "http://", .fails = CLM_E_LIMIT}}, "http://a.example/.well-known/"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char id[CLM_ID_SIZE];
        struct clm_cp_order order;

        order_from(rows[i].connector, id);
        if (rows[i].answers[1].url != NULL) { /* the usual ones until it was told to look */
            office_advance(&office, id);
        }
        office.ca.answers = rows[i].answers;
        office_finish(&office, id, "failed");
        office.ca.answers = NULL;
        office_load(&office, id, &order);
        if (strstr(order.error, rows[i].says) == NULL) {
            fail_msg("row %zu: '%s' does not say '%s'", i, order.error, rows[i].says);
        }
    }
}

static void what_a_connector_cannot_do_is_said(void **state)
{
    static const struct {
        struct office_order order;
        const char *says;
    } rows[] = {
        {{.connector = "gone"}, "its connector is no longer configured"},
        {{.connector = "acme", .email = "ops@example.com"}, "the mail address 'ops@example.com'"},
        {{.connector = "acme", .uri = "https://a.example/"}, "the URI 'https://a.example/'"},
        {{.connector = "proved", .names = "{\"dns\":[\"*.example\"],\"ip\":[]}"},
         "a wildcard cannot be proved by http-01"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char id[CLM_ID_SIZE];
        struct clm_cp_order order;

        office_order(&office, &rows[i].order, id);
        office_finish(&office, id, "failed");
        office_load(&office, id, &order);
        assert_non_null(strstr(order.error, rows[i].says));
    }
}

static void the_profile_of_a_configuration_is_asked_for(void **state)
{
    char id[CLM_ID_SIZE];

    (void)state;
    order_from("acme", id);
    office_sql(&office,
               "INSERT INTO configuration SELECT 'cfg', agent_id, 't', 1, certificate_id,"
               " '{\"issuer\":{\"profile\":\"shortlived\"}}', 0, 0 FROM cert_order WHERE id = ?1",
               id);
    office_finish(&office, id, "issued");
    assert_string_equal(office.ca.profile, "shortlived");
    order_from("acme", id);
    office_finish(&office, id, "issued");
    assert_string_equal(office.ca.profile, "");
}

static void addresses_are_proved_as_names_are(void **state)
{
    char id[CLM_ID_SIZE];
    const struct office_order in = {.connector = "proved",
                                    .names = "{\"dns\":[],\"ip\":[\"192.0.2.1\",\"2001:db8::1\"]}"};

    (void)state;
    office_order(&office, &in, id);
    office_finish(&office, id, "issued");
}

static void an_order_that_lost_its_url_is_ended(void **state)
{
    char id[CLM_ID_SIZE];
    struct clm_cp_order order;

    (void)state;
    order_from("acme", id);
    office_sql(&office, "UPDATE cert_order SET state = 'validating', next_at = 0 WHERE id = ?1",
               id);
    office_finish(&office, id, "failed");
    office_load(&office, id, &order);
    assert_non_null(strstr(order.error, "has no URL at its CA"));
}

static void an_order_nobody_proves_expires(void **state)
{
    char id[CLM_ID_SIZE];
    struct clm_cp_order order;

    (void)state;
    order_from("proved", id);
    office_sql(&office, "UPDATE cert_order SET state = 'dcv_pending', expires_at = 1 WHERE id = ?1",
               id);
    assert_int_equal(office_turn(&office, NULL), CLM_OK);
    office_load(&office, id, &order);
    assert_string_equal(order.state, "failed");
    assert_string_equal(order.error, "nobody proved control of the names in time");
}

/* ---- what passes ---- */

static void what_passes_is_waited_for(void **state)
{
    static const struct ca_answer rows[][2] = {
        {{.url = "/account", .fails = CLM_E_TIMEOUT, .times = 1}},
        {{.url = "/dir", .fails = CLM_E_NET, .times = 1}},
        {{.url = "/order", .status = 503, .times = 1}},
        {{.url = "/authz/1", .status = 500, .times = 1}},
        {{.url = "/chal/1", .status = 429, .retry_after_s = 7, .times = 1}},
        {{.url = "/chal/1", .fails = CLM_E_NOMEM, .times = 1}},
        {{.url = "/order/1", .fails = CLM_E_NET, .times = 1}},
        {{.url = "/order/1", .status = 200, .body = ORDER("processing", ""), .times = 3}},
        {{.url = "/fin/1", .status = 503, .times = 1}},
        {{.url = "/fin/1", .status = 200, .body = ORDER("ready", ""), .times = 1}},
        {{.url = "/cert/1", .status = 502, .times = 1}},
        {{.url = "/cert/1", .fails = CLM_E_NOMEM, .times = 1}},
        {{.url = "http://", .status = 503, .times = 2}},
        {{.url = "http://", .fails = CLM_E_NET, .times = 2}},
        {{.url = "http://",
          .fails = CLM_E_NOMEM,
          .times = 9}}, /* more than for a CA that is away */
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char id[CLM_ID_SIZE];

        memset(office.ca.asked, 0, sizeof(office.ca.asked));
        office.ca.answers = rows[i];
        order_from(rows[i][0].url[0] == '/' ? "acme" : "proved", id);
        office_finish(&office, id, "issued");
        if (office.ca.asked[0] < rows[i][0].times) {
            fail_msg("row %zu: '%s' was asked for %u times", i, rows[i][0].url, office.ca.asked[0]);
        }
    }
}

/* It was told before a crash, and has its verdict already; or it says so in no words. */
static void a_challenge_that_is_settled_is_no_fault(void **state)
{
    static const struct ca_answer rows[][3] = {
        {{.url = "/chal/1", .status = 400, .body = PROBLEM("malformed", "not pending"), .times = 1},
         {.url = "/order/1", .status = 200, .body = ORDER("ready", ""), .times = 1}},
        {{.url = "/chal/1", .status = 202, .body = "", .times = 1},
         {.url = "/order/1", .status = 200, .body = ORDER("ready", ""), .times = 1}},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char id[CLM_ID_SIZE];

        memset(office.ca.asked, 0, sizeof(office.ca.asked));
        office.ca.answers = rows[i];
        order_from("acme", id);
        office_finish(&office, id, "issued");
        assert_int_equal(office.ca.asked[0], 1);
    }
}

static void a_ca_that_stays_away_ends_the_order(void **state)
{
    static const struct ca_answer answers[] = {{.url = "/dir", .fails = CLM_E_NET}, {.url = NULL}};
    char id[CLM_ID_SIZE];
    struct clm_cp_order order;

    (void)state;
    office.ca.answers = answers;
    order_from("acme", id);
    for (int64_t tries = 0; tries < 25; tries++) {
        office_load(&office, id, &order);
        assert_string_equal(order.state, "created");
        assert_int_equal(order.tries, tries);
        office_advance(&office, id);
    }
    office_advance(&office, id);
    office_load(&office, id, &order);
    assert_string_equal(order.state, "failed");
    assert_non_null(strstr(order.error, "as the script says"));
}

static int64_t seconds_until_next(const char *id)
{
    int64_t at_s = 0;

    assert_int_equal(clm_cp_db_get_int(office.plane.db, 0, &at_s, NULL,
                                       "SELECT next_at FROM cert_order WHERE id = ?1",
                                       CLM_SQL(clm_sql_text(id))),
                     CLM_OK);
    return at_s - clm_clock_now_s();
}

/* A CA that takes an hour to decide may then be away as long as one that has just begun. */
static void waiting_uses_up_no_tries(void **state)
{
    static const struct {
        int64_t tries_before;
        unsigned retry_after_s;
        int64_t tries;
        int64_t wait_s;
    } rows[] = {
        {0, 0, 1, 0},    {4, 0, 5, 0},    {5, 0, 6, 1},   {9, 0, 10, 16},
        {10, 0, 10, 30}, {24, 0, 10, 30}, {0, 90, 1, 90}, {0, 100000, 1, 3600},
    };
    char id[CLM_ID_SIZE];

    (void)state;
    order_from("acme", id);
    office_advance(&office, id);
    office_advance(&office, id);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct ca_answer answers[] = {{.url = "/order/1",
                                             .status = 200,
                                             .body = ORDER("pending", ""),
                                             .retry_after_s = rows[i].retry_after_s},
                                            {.url = NULL}};
        char sql[96];
        struct clm_cp_order order;

        (void)snprintf(sql, sizeof(sql), "UPDATE cert_order SET tries = %d WHERE id = ?1",
                       (int)rows[i].tries_before);
        office_sql(&office, sql, id);
        office.ca.answers = answers;
        office_advance(&office, id);
        office.ca.answers = NULL;
        office_load(&office, id, &order);
        assert_string_equal(order.state, "validating");
        assert_int_equal(order.tries, rows[i].tries);
        assert_in_range(seconds_until_next(id) + 5, rows[i].wait_s, rows[i].wait_s + 5);
    }
    office_finish(&office, id, "issued");
}

static void a_try_that_failed_waits_as_long_as_the_ca_says(void **state)
{
    static const struct ca_answer answers[] = {
        {.url = "/order", .status = 429, .body = PROBLEM("rateLimited", "x"), .retry_after_s = 500},
        {.url = NULL}};
    static const struct ca_answer for_ever[] = {
        {.url = "/order", .status = 503, .retry_after_s = UINT32_MAX}, {.url = NULL}};
    char id[CLM_ID_SIZE];

    (void)state;
    office.ca.answers = answers;
    order_from("acme", id);
    office_advance(&office, id);
    assert_in_range(seconds_until_next(id), 495, 500);
    office.ca.answers = for_ever;
    office_advance(&office, id);
    assert_in_range(seconds_until_next(id), 3595, 3600);
}

static void run_sql(const char *sql)
{
    assert_int_equal(clm_cp_db_exec(office.plane.db, NULL, sql, CLM_SQL_NONE), CLM_OK);
}

/* When to try again cannot be written down: the CA is not asked again in every turn. */
static void without_a_place_for_notes_orders_rest(void **state)
{
    static const struct ca_answer answers[] = {{.url = "/chal/1", .status = 503, .times = 100},
                                               {.url = NULL}};
    struct clm_cp_worker *worker = NULL;
    char id[CLM_ID_SIZE];
    char other[CLM_ID_SIZE];

    (void)state;
    order_from("acme", id);
    office_advance(&office, id);
    order_from("none", other);
    office.ca.answers = answers;
    run_sql("UPDATE cert_order SET next_at = 0");
    run_sql("CREATE TRIGGER full BEFORE UPDATE ON cert_order WHEN OLD.state = 'dcv_ready'"
            " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
    assert_int_equal(
        clm_cp_worker_start(office.plane.dir, &office.plane.conf, office.hub, &worker, NULL),
        CLM_OK);
    wait_for(other, "issued");    /* it has no part in the other one's trouble */
    for (int i = 0; i < 3; i++) { /* an order that expires tells that a turn is over */
        char mark[CLM_ID_SIZE];

        order_from("proved", mark);
        office_sql(&office,
                   "UPDATE cert_order SET state = 'dcv_pending', expires_at = 1 WHERE id = ?1",
                   mark);
        clm_cp_worker_wake(worker);
        wait_for(mark, "failed");
    }
    clm_cp_worker_stop(worker);
    assert_int_equal(office.ca.asked[0], 1);
    run_sql("DROP TRIGGER full");
    office.ca.answers = NULL;
    office_finish(&office, id, "issued");
}

/* ---- accounts ---- */

static void issue_one(unsigned accounts_then)
{
    char id[CLM_ID_SIZE];

    order_from("acme", id);
    office_finish(&office, id, "issued");
    assert_int_equal(office.ca.accounts, accounts_then);
}

/* As when a CA's test directory gives way to its real one, or a key is thrown away. */
static void an_account_is_of_one_key_at_one_directory(void **state)
{
    struct clm_cp_connector *acme = &office.plane.conf.connectors[2];
    char path[128];

    (void)state;
    issue_one(1);
    issue_one(1);
    (void)snprintf(acme->directory, sizeof(acme->directory), "%s", CA_BASE "/dir2");
    issue_one(2);
    issue_one(2);
    (void)snprintf(path, sizeof(path), "%s/acme-acme.key", office.plane.dir);
    assert_int_equal(unlink(path), 0);
    issue_one(3);
}

static void an_account_key_that_is_damaged_is_said(void **state)
{
    char path[128];
    char id[CLM_ID_SIZE];
    struct clm_cp_order order;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/acme-acme.key", office.plane.dir);
    assert_int_equal(clm_fs_replace(path, "rubbish", 7, 0600, NULL), CLM_OK);
    order_from("acme", id);
    office_finish(&office, id, "failed");
    office_load(&office, id, &order);
    assert_string_not_equal(order.error, "");
}

/* ---- start and stop ---- */

static void a_worker_needs_a_directory_it_can_use(void **state)
{
    struct clm_cp_worker *worker = NULL;
    struct clm_err err = {0};

    (void)state;
    assert_int_not_equal(
        clm_cp_worker_start("/nonexistent", &office.plane.conf, office.hub, &worker, &err), CLM_OK);
    assert_non_null(strstr(err.msg, "/nonexistent"));
    assert_null(worker);
    clm_cp_worker_stop(worker);
}

static void a_wake_is_work_at_once(void **state)
{
    struct clm_cp_worker *worker = NULL;
    char id[CLM_ID_SIZE];

    (void)state;
    assert_int_equal(
        clm_cp_worker_start(office.plane.dir, &office.plane.conf, office.hub, &worker, NULL),
        CLM_OK);
    order_from("none", id);
    clm_cp_worker_wake(worker);
    wait_for(id, "issued");
    clm_cp_worker_stop(worker);
}

int main(void)
{
#define OFFICE_TEST(f) cmocka_unit_test_setup_teardown(f, open_office, close_office)
    const struct CMUnitTest tests[] = {
        OFFICE_TEST(each_connector_issues),
        OFFICE_TEST(names_a_ca_knows_already_are_not_proved_again),
        OFFICE_TEST(what_will_not_pass_ends_the_order_with_the_reason),
        OFFICE_TEST(what_a_connector_cannot_do_is_said),
        OFFICE_TEST(the_profile_of_a_configuration_is_asked_for),
        OFFICE_TEST(addresses_are_proved_as_names_are),
        OFFICE_TEST(an_order_that_lost_its_url_is_ended),
        OFFICE_TEST(an_order_nobody_proves_expires),
        OFFICE_TEST(what_passes_is_waited_for),
        OFFICE_TEST(a_challenge_that_is_settled_is_no_fault),
        OFFICE_TEST(a_ca_that_stays_away_ends_the_order),
        OFFICE_TEST(waiting_uses_up_no_tries),
        OFFICE_TEST(a_try_that_failed_waits_as_long_as_the_ca_says),
        OFFICE_TEST(without_a_place_for_notes_orders_rest),
        OFFICE_TEST(an_account_is_of_one_key_at_one_directory),
        OFFICE_TEST(an_account_key_that_is_damaged_is_said),
        OFFICE_TEST(a_worker_needs_a_directory_it_can_use),
        OFFICE_TEST(a_wake_is_work_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
