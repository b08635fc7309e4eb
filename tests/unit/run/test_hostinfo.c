/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of this host: what the kernel says, nothing that is no text, and what may be asked
 * of us. */
#include "tests/unit/run/world.h"

#include <sys/utsname.h>
#include <time.h>

#include "agent/run/hostinfo.h"

static const char *text_of(const struct clm_json *obj, const char *key)
{
    const char *text = clm_json_text(clm_json_get(obj, key));

    return text == NULL ? "" : text;
}

static void host_is_described_by_the_kernel(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *host = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *agent = clm_json_new_object();
    struct utsname uts;
    int64_t offset_s = -1;

    (void)state;
    assert_int_equal(uname(&uts), 0);
    clm_hostinfo_host(host);
    clm_hostinfo_agent(agent);
    assert_string_equal(text_of(host, "hostname"), uts.nodename);
    assert_string_equal(text_of(host, "kernel"), uts.release);
    assert_string_equal(text_of(host, "arch"), uts.machine);
    assert_string_equal(text_of(agent, "arch"), uts.machine);
    assert_string_equal(text_of(agent, "os"), "linux");
    assert_true(text_of(host, "timezone")[0] != '\0');
    assert_int_equal(clm_json_int(host, "utc_offset_s", -86400, 86400, &offset_s, NULL), CLM_OK);
}

static void zone_of_the_process_gives_the_offset(void **state)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *host = clm_json_new_object();
    int64_t offset_s = 0;

    (void)state;
    assert_int_equal(setenv("TZ", "XXX-3:30", 1), 0);
    tzset();
    clm_hostinfo_host(host);
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
    assert_int_equal(clm_json_int(host, "utc_offset_s", -86400, 86400, &offset_s, NULL), CLM_OK);
    assert_int_equal(offset_s, 12600);
}

static void name_of_the_system_is_found_where_it_is(void **state)
{
    static const struct {
        const char *text;
        const char *name; /* NULL: there is none */
    } rows[] = {
        {"ID=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"y\"\n",
         "Debian GNU/Linux 12 (bookworm)"},
        {"PRETTY_NAME=Alpine\n", "Alpine"},
        {"PRETTY_NAME=\"a very long name, which is cut where there is no room\"",
         "a very long name,"},
        {"PRETTY_NAME=\"\"\n", ""},
        {"PRETTY_NAME=", ""},
        {"NAME=\"Debian\"\n", NULL},
        {"", NULL},
        {"PRETTY_NAME=\"\xff\xfe\"\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char name[32];
        size_t size = i == 2 ? 18 : sizeof(name);
        bool found = clm_hostinfo_pretty_name(rows[i].text, name, size);

        if (found != (rows[i].name != NULL) || (found && strcmp(name, rows[i].name) != 0)) {
            fail_msg("row %zu: %d '%s'", i, found, name);
        }
    }
}

static void capabilities_are_what_the_configuration_allows(void **state)
{
    struct clm_config config = {.state_dir = ""};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *few = clm_json_new_array();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *all = clm_json_new_array();
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(1000);

    (void)state;
    clm_hostinfo_capabilities(&config, few);
    assert_int_equal(clm_json_len(few), 1);
    config.policy.allow_leave = true;
    assert_int_equal(clm_strs_add(&config.policy.job_types, "order", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&config.scan.kinds, "nginx", NULL), CLM_OK);
    clm_hostinfo_capabilities(&config, all);
    assert_int_equal(clm_json_print(all, false, &text, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&text),
                        "[\"deploy.retain/1\",\"deploy.leave/1\",\"job.order/1\","
                        "\"target.nginx/1\"]");
    clm_config_done(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_is_described_by_the_kernel),
        cmocka_unit_test(zone_of_the_process_gives_the_offset),
        cmocka_unit_test(name_of_the_system_is_found_where_it_is),
        cmocka_unit_test(capabilities_are_what_the_configuration_allows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
