/* SPDX-License-Identifier: Apache-2.0 */
/* The worker while one call of the database, of the system, or an allocation fails: an order that was
 * hit is issued in the end, as if nothing had happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>

#include "tests/support/sabotage.h"
#include "tests/unit/controlplane/db_doom.h"
#include "tests/unit/controlplane/office.h"

#define OPENING 12 /* calls before a turn begins, which are the same for all ways */
#define BEFORE  8  /* calls before the worker has found the order */

static const struct ca_answer away[] = {{.url = "/dir", .fails = CLM_E_NET, .times = 1},
                                        {.url = NULL}};

static const struct ca_answer undecided[] = {
    {.url = "/order/1",
     .status = 200,
     .body = "{\"status\":\"pending\",\"authorizations\":[],\"finalize\":\"" CA_BASE "/fin/1\"}",
     .times = 1},
    {.url = NULL}};

static const struct {
    const char *connector;
    unsigned first; /* turn in which calls fail */
    unsigned end;   /* turns until it is over */
    const char *state;
    const struct ca_answer *answers;
    const char *sql; /* about the order that is hit; NULL: nothing */
} ways[] = {
    {"none", 0, 1, "issued", NULL, NULL},
    {"proved", 0, 2, "issued", NULL, NULL},
    {"acme", 0, 3, "issued", NULL, NULL},
    {"acme", 0, 1, "issued", away, NULL},
    {"acme", 2, 3, "issued", undecided, NULL},
    {"acme", 0, 1, "issued", NULL, "DELETE FROM meta WHERE key LIKE 'acme-account:%' AND ?1 <> ''"},
    {"gone", 0, 1, "failed", NULL, NULL},
    {"proved", 0, 1, "failed", NULL,
     "UPDATE cert_order SET state = 'dcv_pending', expires_at = 1 WHERE id = ?1"},
};

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

/* An order that has gone through so many turns, and is due. */
static void order_at(size_t way, unsigned stage, char id[CLM_ID_SIZE])
{
    office_order(&office, &(struct office_order){.connector = ways[way].connector}, id);
    for (unsigned i = 0; i < stage; i++) {
        office_advance(&office, id);
    }
    office_sql(&office, "UPDATE cert_order SET next_at = 0 WHERE id = ?1", id);
    if (ways[way].sql != NULL) {
        office_sql(&office, ways[way].sql, id);
    }
    memset(office.ca.asked, 0, sizeof(office.ca.asked));
    office.ca.answers = ways[way].answers;
}

/* A turn in which something may have failed: it says so, or worked without it. */
static void check_turn(enum clm_code code, const struct clm_err *err, const char *what, unsigned n)
{
    if (code != CLM_OK && err->msg[0] == '\0') {
        fail_msg("%s %u failed: no reason is given", what, n);
    }
}

/* Calls of a turn in which none fails. */
static unsigned count_calls(void)
{
    db_doom_on(UINT_MAX);
    assert_int_equal(office_turn(&office, NULL), CLM_OK);
    (void)db_doom_off();
    return db_doom_calls();
}

/* Call n of the turn of an order of that way at that stage fails; false: there is no such call. */
static bool fail_call(size_t way, unsigned stage, unsigned n)
{
    char id[CLM_ID_SIZE];
    struct clm_err err = {0};

    order_at(way, stage, id);
    db_doom_on(n);
    enum clm_code code = office_turn(&office, &err);
    bool fell = db_doom_off();

    check_turn(code, &err, "call of the database", n);
    office_finish(&office, id, ways[way].state);
    return fell;
}

static void each_call_of_the_database_in_a_turn(void **state)
{
    (void)state;
    for (unsigned n = 1; fail_call(0, 0, n); n++) {
    }
}

/* What is the same in every turn is left out here. */
static void each_call_of_the_database_for_an_order(void **state)
{
    unsigned always = count_calls(); /* there is no order */

    (void)state;
    for (size_t way = 1; way < CLM_ARRAY_LEN(ways); way++) {
        for (unsigned stage = ways[way].first; stage < ways[way].end; stage++) {
            char id[CLM_ID_SIZE];

            order_at(way, stage, id);
            unsigned more = count_calls() - always;

            office_finish(&office, id, ways[way].state);
            for (unsigned n = OPENING; n < OPENING + more + BEFORE; n++) {
                assert_true(fail_call(way, stage, n));
            }
        }
    }
}

static void each_call_of_the_system(void **state)
{
    static const struct {
        const char *name;
        int sys_errno;
        unsigned step;
    } calls[] = {{"malloc", ENOMEM, 13}, {"calloc", ENOMEM, 11}, {"realloc", ENOMEM, 11},
                 {"strdup", ENOMEM, 3},  {"read", EIO, 7},       {"open64", EMFILE, 5},
                 {"write", ENOSPC, 1},   {"fsync", EIO, 1},      {"getrandom", EIO, 1}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(calls); i++) {
        for (unsigned stage = 0; stage < 3; stage++) {
            bool fell = true;

            for (unsigned n = 1 + stage; fell; n += calls[i].step) {
                char id[CLM_ID_SIZE];
                struct clm_err err = {0};

                order_at(2, stage, id);
                clm_sabotage_on(calls[i].name, n, calls[i].sys_errno);
                enum clm_code code = office_turn(&office, &err);

                fell = clm_sabotage_off();
                check_turn(code, &err, calls[i].name, n);
                office_finish(&office, id, "issued");
            }
        }
    }
}

int main(void)
{
#define OFFICE_TEST(f) cmocka_unit_test_setup_teardown(f, open_office, close_office)
    const struct CMUnitTest tests[] = {
        OFFICE_TEST(each_call_of_the_database_in_a_turn),
        OFFICE_TEST(each_call_of_the_database_for_an_order),
        OFFICE_TEST(each_call_of_the_system),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
