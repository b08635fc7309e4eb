/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot explain": each line of the story in both of its forms, and what is to be done next. */
#include "tests/unit/main/inventory.h"
#include "tests/unit/main/stage.h"

#define ANSWER(services, more) "{\"inventory\":" INVENTORY(services, "") more "}"
#define ASKED(answer)                                                                              \
    {                                                                                              \
        {                                                                                          \
            .ask = "explain", .reply = (answer)                                                    \
        }                                                                                          \
    }
#define GOOD_PLAN   ",\"plan\":{\"ok\":true,\"steps\":4}"
#define A_TARGET(x) SERVICE("nginx", "", TARGET("nginx:a", x))
#define LINE        "explain nginx:a --no-probe"
#define NAMES                                                                                      \
    "\"1.example\",\"2.example\",\"3.example\",\"4.example\",\"5.example\",\"6.example\","         \
    "\"7.example\",\"8.example\",\"9.example\""

static const char whole[] = ANSWER(
    SERVICE("nginx",
            ",\"version\":\"1.22\",\"running\":true,\"pid\":77,\"exe\":\"/usr/sbin/nginx\","
            "\"user\":\"root\",\"unit\":\"nginx.service\",\"config_paths\":[\"/etc/n\"],"
            "\"remarks\":[\"include is missing\"]",
            TARGET("nginx:a", ",\"manageable\":true,\"reasons\":[\"a remark\"],"
                              "\"store_type\":\"jks\",\"alias\":\"tls\",\"managed_by\":\"certbot\","
                              "\"configured_at\":\"/etc/n:12\""
                              ",\"certificate\":{\"sha256\":\"" HASH
                              "\",\"subject\":\"CN=a\",\"sans\":[\"a.example\",\"b.example\"],"
                              "\"not_after\":\"" LATER "\",\"issuer\":\"CN=CA\","
                              "\"key\":\"ec-p256\",\"chain_ok\":true,\"key_matches\":true}" SHOWS(
                                  ENDPOINT ",{\"addr\":\"127.0.0.2\",\"port\":444}",
                                  SERVED(HASH) ",{\"result\":\"timeout\"}"))),
    GOOD_PLAN
    ",\"files\":[{\"role\":\"certificate\",\"path\":\"/l\",\"real_path\":\"/r\",\"perm\":\"0644 "
    "root:root\"},{\"role\":\"key\",\"path\":\"/k\",\"real_path\":\"/k\",\"problem\":\"not "
    "there\"},{}],\"policy\":[{\"rule\":\"policy.targets\",\"allowed\":true},{\"rule\":\"x\","
    "\"allowed\":false,\"message\":\"write roots\"},{\"allowed\":false},{\"allowed\":true}],"
    "\"generations\":[{\"version\":0,\"sha256\":\"" HASH "\",\"origin\":\"imported\"},"
    "{\"version\":1,\"origin\":\"deployed\",\"installed\":true}],"
    "\"history\":[{\"at\":1799999000,\"result\":\"succeeded\",\"txid\":\"t\"},{\"at\":5}]");

static const char jobs[] =
    "{\"jobs\":[{\"target\":\"nginx:b\",\"job_id\":\"job_0\"},{\"target\":\"nginx:a\","
    "\"job_id\":\"job_1\",\"type\":\"deploy\",\"outcome\":\"succeeded\",\"state\":\"finished\"}]}";

static void story_has_all_that_is_known(void **state)
{
    static const struct stage_case cases[] = {
        {{{.ask = "explain", .reply = whole}, {.ask = "agent:jobs", .reply = jobs}},
         LINE,
         CLM_EXIT_GOOD,
         {"nginx:a\nFound\n  nginx 1.22 runs as process 77 of unit nginx.service\n"
          "  program /usr/sbin/nginx, user root\n  configured at /etc/n:12\n"
          "  note: include is missing\n",
          "Files\n  certificate /l -> /r, 0644 root:root\n  key         /k, not there\n"
          "  ?           ?, ?\n  format      jks, alias tls\n",
          "Certificate\n  CN=a\n  names a.example, b.example\n  issued by CN=CA, key ec-p256\n"
          "  time left: 90 d\n  chain in order, key belongs to it\n",
          "Served\n  127.0.0.1 port 443, name a.example: the certificate of the file, "
          "0123456789ab\n  127.0.0.2 port 444, name none: timeout\n",
          "Manageable\n  yes\n  a remark\n  renewed by certbot\n",
          "Policy\n  policy.targets: allowed\n  write roots\n  refused\n  ?: allowed\n",
          "Kept\n  version 0, 0123456789ab, imported\n  version 1, -, deployed, installed\n"
          "  last change 16 min ago: succeeded\n  last job job_1, deploy: succeeded\n",
          "Next\n  nothing: 'clmbot plan nginx:a' shows"},
         "job_0",
         NULL},
        {{{.ask = "explain", .reply = whole}, {.ask = "agent:jobs", .reply = jobs}},
         LINE " --json",
         CLM_EXIT_GOOD,
         {"\"schema\": \"clmbot.explain\"", "\"service\": {", "\"files\": [", "\"history\": [",
          "\"at\": \"2027-01-15T07:43:20Z\"", "\"txid\": \"t\"", "\"last_job\": {", "job_1",
          "\"next\": \"nothing: "},
         "job_0",
         NULL},
        {ASKED(ANSWER(A_TARGET(""), "")),
         LINE,
         CLM_EXIT_ATTENTION,
         {"  nginx runs as process 0, in no unit\n",
          "  configured at \nFiles\nCertificate\n"
          "  none that can be read\nServed\n"
          "  nowhere that a handshake could show\n"
          "Manageable\n  no\nPolicy\nKept\n"
          "  nothing: clmbot has not installed anything",
          "Next\n  see why it is not manageable\n"},
         "last",
         NULL},
        {{{.ask = "explain",
           .reply = ANSWER(A_TARGET(",\"store_type\":\"pem\",\"endpoints\":[" ENDPOINT
                                    "]" CERT("", NAMES, GONE)),
                           ",\"history\":[{}]")},
          {.ask = "agent:jobs",
           .reply = "{\"jobs\":[{\"target\":\"nginx:a\",\"state\":\"running\"}]}"}},
         LINE,
         CLM_EXIT_ATTENTION,
         {"  format      pem\n", "  no subject, many names\n  names 1.example, ", "8.example ...\n",
          "  expired\n  chain not in order, key is not known to belong to it\n",
          "  127.0.0.1 port 443, name a.example: not asked\n", "  last change 20833 d ago: ?\n",
          "  last job ?, ?: running\n"},
         "9.example",
         NULL},
        {ASKED(ANSWER(A_TARGET(CERT("CN=a", "", LATER)), "")),
         LINE,
         CLM_EXIT_ATTENTION,
         {"  CN=a\n  names none\n"},
         NULL,
         NULL},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

static void next_step_is_the_one_that_matters_most(void **state)
{
    static const struct stage_case cases[] = {
        {ASKED(ANSWER(A_TARGET(CERT("", "", GONE) SHOWS(ENDPOINT, SERVED(OTHER))), "")),
         LINE,
         CLM_EXIT_DIFFERS,
         {"another certificate than the file, fedcba987654\n", "Next\n  reload the server: "},
         NULL,
         NULL},
        {ASKED(ANSWER(A_TARGET(SHOWS(ENDPOINT, SERVED(OTHER))), GOOD_PLAN)),
         LINE,
         CLM_EXIT_GOOD,
         {"the certificate of the file, fedc", "Next\n  nothing: "},
         NULL,
         NULL},
        {ASKED(ANSWER(A_TARGET(CERT("", "", GONE)),
                      ",\"plan\":{\"ok\":false,\"message\":\"no write root\"}")),
         LINE,
         CLM_EXIT_ATTENTION,
         {"Next\n  no write root\n"},
         NULL,
         NULL},
        {ASKED(ANSWER(A_TARGET(CERT("", "", GONE)), GOOD_PLAN)),
         LINE,
         CLM_EXIT_ATTENTION,
         {"Next\n  order a new certificate: this one has expired\n"},
         NULL,
         NULL},
        {ASKED(ANSWER(A_TARGET(CERT("", "", SOON)), GOOD_PLAN)),
         LINE " --json",
         CLM_EXIT_ATTENTION,
         {"\"history\": []", "\"last_job\": null",
          "\"next\": \"order a new certificate: this one expires soon\""},
         NULL,
         NULL},
    };
    stage_try(*state, cases, CLM_ARRAY_LEN(cases));
}

/* Port 1 of this host: nobody listens there. */
static void handshakes_are_made_unless_they_are_not_wanted(void **state)
{
    static const char quiet[] =
        ANSWER(A_TARGET(CERT("CN=a", "", LATER) ",\"endpoints\":[{\"addr\":\"127.0.0.1\","
                                                "\"port\":1,\"timeout_ms\":500}]"),
               GOOD_PLAN);
    static const struct stage_case asked = {
        ASKED(quiet), "explain nginx:a", CLM_EXIT_GOOD, {"name none: refused\n"}, NULL, NULL};
    static const struct stage_case by_config = {
        ASKED(quiet), "explain nginx:a", CLM_EXIT_GOOD, {"not asked\n"}, NULL, NULL};
    static struct stage s;

    stage_try(*state, &asked, 1);
    stage_open(&s, "scan:\n  probe: false\n");
    stage_try(&s, &by_config, 1);
    stage_close(&s);
}

static void what_goes_wrong_is_said(void **state)
{
    static const struct stage_case cases[] = {
        {ASKED("{}"), LINE, CLM_EXIT_FAILED, {NULL}, "Found", "clmbot: "},
        {ASKED("{\"inventory\":{}}"), LINE, CLM_EXIT_FAILED, {NULL}, "Found", "clmbot: "},
        {ASKED(ANSWER(A_TARGET(""), "")),
         "explain nginx:b --no-probe",
         CLM_EXIT_FAILED,
         {NULL},
         "Found",
         "clmbot: the answer has no target 'nginx:b'\n"},
        {{{.ask = "explain", .fail = STAGE_FAIL("not-found", "no such target", "see scan")}},
         LINE,
         CLM_EXIT_FAILED,
         {NULL},
         NULL,
         "clmbot: no such target\n        see scan\n"},
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
        cmocka_unit_test(story_has_all_that_is_known),
        cmocka_unit_test(next_step_is_the_one_that_matters_most),
        cmocka_unit_test(handshakes_are_made_unless_they_are_not_wanted),
        cmocka_unit_test(what_goes_wrong_is_said),
    };

    return cmocka_run_group_tests_name("main_explain", tests, setup, teardown);
}
