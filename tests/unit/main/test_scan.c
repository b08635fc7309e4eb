/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot scan": the table, its remarks, and answers that are none. */
#include "tests/unit/main/inventory.h"
#include "tests/unit/main/stage.h"

#define SCAN(inventory)                                                                            \
    {                                                                                              \
        {                                                                                          \
            .ask = "scan", .reply = (inventory)                                                    \
        }                                                                                          \
    }
#define OK_TARGET                                                                                  \
    TARGET("nginx:a", ",\"manageable\":true" CERT("CN=a", "", LATER) SHOWS(ENDPOINT, SERVED(HASH)))

static void table_has_services_and_their_targets(void **state)
{
    static const struct stage_case cases[] = {
        {SCAN(INVENTORY(
             SERVICE(
                 "nginx", ",\"version\":\"1.22\",\"running\":true,\"config_paths\":[\"/etc/n\"]",
                 OK_TARGET
                 "," TARGET("nginx:b", CERT("", "\"b.example\"", GONE) SHOWS(ENDPOINT, SERVED(OTHER))) "," TARGET(
                     "nginx:c",
                     CERT("", "\"192.0.2.7\"", SOON)
                         SHOWS(
                             ENDPOINT,
                             "{\"result\":\"refused\"}")) "," TARGET("nginx:d",
                                                                     CERT("", "", LATER) SHOWS(
                                                                         "",
                                                                         "")) "," TARGET("nginx:e",
                                                                                         "")) "," SERVICE("apache",
                                                                                                          "",
                                                                                                          ""),
             "")),
         "scan --no-probe",
         CLM_EXIT_GOOD,
         {"TARGET ", "nginx 1.22  /etc/n\n", "  nginx:a   CN=a              90 d  yes      yes\n",
          "  nginx:b   b.example      expired  another  no\n",
          "  nginx:c   192.0.2.7         10 d  refused  no\n",
          "  nginx:d   no name           90 d  -        no\n",
          "  nginx:e   none readable           -        no\n",
          "apache                                       stopped\n",
          "0 other listening services, scanned in 12 ms\n"},
         NULL,
         NULL},
        {SCAN(
             INVENTORY(SERVICE("nginx", ",\"running\":true,\"remarks\":[\"include is missing\"]",
                               TARGET("nginx:a",
                                      ",\"manageable\":true,\"reasons\":[\"no "
                                      "key\",\"a link\"]") "," TARGET("nginx:b",
                                                                      ",\"reasons\":[\"an "
                                                                      "option\"]")) "," SERVICE("ot"
                                                                                                "he"
                                                                                                "r",
                                                                                                ","
                                                                                                "\""
                                                                                                "re"
                                                                                                "ma"
                                                                                                "rk"
                                                                                                "s"
                                                                                                "\""
                                                                                                ":["
                                                                                                "\""
                                                                                                "of"
                                                                                                " a"
                                                                                                "no"
                                                                                                "th"
                                                                                                "er"
                                                                                                "\""
                                                                                                "]",
                                                                                                ""),
                       ",\"errors\":[{\"path\":\"/etc/"
                       "x\",\"code\":\"E_SCAN\",\"detail\":\"unreadable\"}]")),
         "scan --no-probe",
         CLM_EXIT_GOOD,
         {"  note: nginx@/etc: include is missing\n  note: nginx:a: no key\n"
          "  note: nginx:a: a link\n  not manageable: nginx:b: an option\n"
          "  error: /etc/x: unreadable\n1 other listening service, scanned in 12 ms\n"},
         "of another",
         NULL},
        {SCAN(INVENTORY("", "")),
         "scan",
         CLM_EXIT_GOOD,
         {"No server that clmbot knows runs here.\n0 other"},
         "TARGET",
         NULL},
        {SCAN(INVENTORY("", "")), "scan nginx apache", CLM_EXIT_GOOD, {"No server"}, "other", NULL},
        {SCAN(INVENTORY(SERVICE("nginx", "", OK_TARGET), "")),
         "scan --no-probe --json",
         CLM_EXIT_GOOD,
         {"\"schema\": \"clmbot.scan\"", "\"nginx:a\""},
         NULL,
         NULL},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

/* Port 1 of this host: nobody listens there. */
static void handshakes_are_made_unless_they_are_not_wanted(void **state)
{
    static const char quiet[] = INVENTORY(
        SERVICE("nginx", "",
                TARGET("nginx:a", CERT("CN=a", "", LATER) ",\"endpoints\":[{\"addr\":\"127.0.0.1\","
                                                          "\"port\":1,\"timeout_ms\":500}]")),
        "");
    static const struct stage_case cases[] = {
        {SCAN(quiet), "scan", CLM_EXIT_GOOD, {"90 d  refused  no\n"}, NULL, NULL},
        {SCAN(quiet), "scan --no-probe", CLM_EXIT_GOOD, {"90 d  -       no\n"}, NULL, NULL},
    };
    static const struct stage_case by_config = {
        SCAN(quiet), "scan", CLM_EXIT_GOOD, {"90 d  -       no\n"}, NULL, NULL};
    static struct stage s;

    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
    stage_open(&s, "scan:\n  probe: false\n");
    stage_try(&s, &by_config, 1);
    stage_close(&s);
}

static void what_goes_wrong_is_said(void **state)
{
    static const struct stage_case cases[] = {
        {SCAN("{}"), "scan", CLM_EXIT_FAILED, {NULL}, "TARGET", "clmbot: "},
        {{{.ask = "scan", .fail = STAGE_FAIL("permission", "not now", "wait")}},
         "scan --json",
         CLM_EXIT_FAILED,
         {NULL},
         "{",
         "clmbot: not now\n        wait\n"},
        {SCAN(INVENTORY("", "")),
         "scan nginx word",
         CLM_EXIT_USAGE,
         {NULL},
         "No server",
         "clmbot: there is no kind 'word'; there are "},
        {{{.ask = "hello", .fail = STAGE_FAIL("conflict", "a rollback is under way", "")}},
         "scan",
         CLM_EXIT_FAILED,
         {NULL},
         NULL,
         "clmbot: a rollback is under way\n"},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

static int setup(void **state)
{
    static struct stage s;

    stage_open(&s, "");
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    stage_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_has_services_and_their_targets),
        cmocka_unit_test(handshakes_are_made_unless_they_are_not_wanted),
        cmocka_unit_test(what_goes_wrong_is_said),
    };

    return cmocka_run_group_tests_name("main_scan", tests, setup, teardown);
}
