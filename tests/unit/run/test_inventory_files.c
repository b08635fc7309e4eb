/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate files on their way to the control plane: sent once, in pages, and not where unwanted. */
#include "agent/run/inventory_files.h"
#include "tests/unit/run/job_world.h"

#define BOOT_A "01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define BOOT_B "01J9ZK3W5V7M2Q8R4T6Y0X1B3D"
#define KEY_FILE(path)                                                                             \
    "{\"path\":\"" path "\",\"perm\":\"0600 root:root\",\"in_use\":false,\"used_by\":[],"          \
    "\"locked\":false,\"format\":\"pem\",\"status\":\"monitored\",\"manager\":null,\"entries\":["  \
    "{\"alias\":null,\"kind\":\"key\",\"certificate\":null,\"chain_ok\":null,"                     \
    "\"key_matches\":null}],\"problems\":[],\"links\":[\"/link\"],\"served_by\":[],\"more\":3}"
#define ONE_FILE "{\"kind\":\"files\",\"files\":[" KEY_FILE("/etc/a.key") "]}"
#define TWO_FILES                                                                                  \
    "{\"kind\":\"files\",\"files\":[" KEY_FILE("/etc/a.key") "," KEY_FILE("/etc/b.key") "]}"
#define PUT(page, has, status, body)                                                               \
    {                                                                                              \
        "PUT", page, has, status, NULL, body, NULL, NULL, 0                                        \
    }

/* One search that finds what event says; exactly these requests are made. */
static enum clm_code take(struct fixture *f, const char *event, const char *boot,
                          const struct exchange *list, size_t n)
{
    const struct host_row rows[] = {{CLM_OP_CERTS, NULL, event, "{}", NULL, CLM_OK}};

    job_world_host(f, rows, N(rows));
    clm_api_free(f->api);
    f->http = (struct script){.list = list, .n = n};
    f->api = script_api(&f->http);
    enum clm_code code = clm_inventory_files_take(&f->home.config, f->link, f->api, boot, NULL);
    assert_int_equal(f->http.at, n);
    clm_link_free(f->link);
    f->link = NULL;
    return code;
}

static void what_did_not_change_is_not_sent_again(void **state)
{
    static const struct exchange once[] = {PUT("/1", "\"last\":true", 204, NULL)};
    static const struct exchange again[] = {PUT("/1", "/etc/b.key", 204, NULL)};
    struct fixture *f = *state;

    assert_int_equal(take(f, ONE_FILE, BOOT_A, once, N(once)), CLM_OK);
    assert_non_null(strstr(f->http.body, "\"schema\":1"));
    assert_non_null(strstr(f->http.body, "\"page\":1"));
    assert_null(strstr(f->http.body, "/link")); /* what the protocol does not name stays here */
    assert_null(strstr(f->http.body, "\"more\""));
    assert_int_equal(take(f, ONE_FILE, BOOT_A, NULL, 0), CLM_OK);
    assert_int_equal(take(f, ONE_FILE, BOOT_B, NULL, 0), CLM_OK);
    assert_int_equal(take(f, TWO_FILES, BOOT_B, again, N(again)), CLM_OK);
    clm_inventory_files_forget(&f->home.config);
    assert_int_equal(take(f, TWO_FILES, BOOT_B, again, N(again)), CLM_OK);
}

static void nothing_found_is_told_as_an_empty_page(void **state)
{
    static const struct exchange list[] = {PUT("/1", "\"files\":[]", 204, NULL)};
    struct fixture *f = *state;

    assert_int_equal(take(f, NULL, BOOT_A, list, N(list)), CLM_OK);
    assert_int_equal(take(f, NULL, BOOT_A, NULL, 0), CLM_OK);
}

static void an_older_control_plane_is_left_in_peace_until_the_next_start(void **state)
{
    static const int refusals[] = {404, 405};
    struct fixture *f = *state;

    for (size_t i = 0; i < N(refusals); i++) {
        const struct exchange refused[] = {
            PUT("/1", NULL, refusals[i], "{\"code\":\"not-found\"}")};
        const struct exchange taken[] = {PUT("/1", NULL, 204, NULL)};

        clm_inventory_files_forget(&f->home.config);
        assert_int_equal(take(f, ONE_FILE, BOOT_A, refused, 1), CLM_OK);
        f->http = (struct script){.list = NULL};
        assert_int_equal(take(f, TWO_FILES, BOOT_A, NULL, 0), CLM_OK);
        assert_int_equal(take(f, ONE_FILE, BOOT_B, taken, 1), CLM_OK);
    }
}

static void what_could_not_be_sent_is_sent_the_next_time(void **state)
{
    static const struct exchange gone[] = {PUT("/1", NULL, 0, NULL)};
    static const struct exchange bad[] = {PUT("/1", NULL, 400, "{\"code\":\"schema\"}")};
    static const struct exchange good[] = {PUT("/1", NULL, 204, NULL)};
    struct fixture *f = *state;

    assert_int_equal(take(f, ONE_FILE, BOOT_A, gone, 1), CLM_E_NET);
    assert_int_equal(take(f, ONE_FILE, BOOT_A, bad, 1), CLM_E_REMOTE);
    assert_int_equal(take(f, ONE_FILE, BOOT_A, good, 1), CLM_OK);
}

static void many_files_come_in_pages_of_a_hundred(void **state)
{
    static const struct exchange list[] = {
        PUT("/1", "\"last\":false", 204, NULL),
        PUT("/2", "\"last\":false", 204, NULL),
        PUT("/3", "\"last\":true", 204, NULL),
    };
    CLM_CLEANUP(clm_buf_done) struct clm_buf event = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    struct fixture *f = *state;

    assert_int_equal(clm_buf_add_str(&event, "{\"kind\":\"files\",\"files\":[", NULL), CLM_OK);
    for (int i = 0; i < 201; i++) {
        assert_int_equal(clm_buf_add_str(&event, i > 0 ? "," : "", NULL), CLM_OK);
        assert_int_equal(clm_buf_add_str(&event, KEY_FILE("/etc/x"), NULL), CLM_OK);
    }
    assert_int_equal(clm_buf_add_str(&event, "]}", NULL), CLM_OK);
    assert_true(event.len < 65536); /* else it is no event */
    assert_int_equal(take(f, clm_buf_str(&event), BOOT_A, list, N(list)), CLM_OK);
}

static void a_search_that_is_off_asks_nobody(void **state)
{
    struct fixture *f = *state;

    (void)snprintf(f->home.config.scan.files.mode, sizeof(f->home.config.scan.files.mode), "off");
    assert_int_equal(take(f, ONE_FILE, BOOT_A, NULL, 0), CLM_OK);
}

static void a_page_of_nonsense_is_an_error_and_sends_nothing(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(take(f, "{\"kind\":\"files\",\"files\":[{\"path\":1}]}", BOOT_A, NULL, 0),
                     CLM_E_PARSE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, job_world_setup, job_world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_did_not_change_is_not_sent_again),
        TEST(nothing_found_is_told_as_an_empty_page),
        TEST(an_older_control_plane_is_left_in_peace_until_the_next_start),
        TEST(what_could_not_be_sent_is_sent_the_next_time),
        TEST(many_files_come_in_pages_of_a_hundred),
        TEST(a_search_that_is_off_asks_nobody),
        TEST(a_page_of_nonsense_is_an_error_and_sends_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
