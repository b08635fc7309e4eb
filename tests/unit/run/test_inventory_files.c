/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate files on their way to the control plane: sent once, in pages, and not where unwanted. */
#include <sys/resource.h>

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

/* 201 of them in one event. */
static void many_files(struct clm_buf *event)
{
    assert_int_equal(clm_buf_add_str(event, "{\"kind\":\"files\",\"files\":[", NULL), CLM_OK);
    for (int i = 0; i < 201; i++) {
        assert_int_equal(clm_buf_add_str(event, i > 0 ? "," : "", NULL), CLM_OK);
        assert_int_equal(clm_buf_add_str(event, KEY_FILE("/etc/x"), NULL), CLM_OK);
    }
    assert_int_equal(clm_buf_add_str(event, "]}", NULL), CLM_OK);
    assert_true(event->len < 65536); /* else it is no event */
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

    many_files(&event);
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

static void a_page_is_sent_again_where_the_control_plane_asks_for_patience(void **state)
{
    static const struct exchange busy[] = {
        {"PUT", "/1", NULL, 503, NULL, "{\"code\":\"draining\"}", NULL, NULL, 0},
        PUT("/1", "\"last\":true", 204, NULL),
    };
    static const struct exchange final[] = {
        {"PUT", "/1", NULL, 400, NULL, "{\"code\":\"schema\"}", NULL, NULL, 4000},
    };
    struct fixture *f = *state;
    int64_t start_ms = clm_clock_mono_ms();

    assert_int_equal(take(f, ONE_FILE, BOOT_A, busy, N(busy)), CLM_OK);
    assert_true(clm_clock_mono_ms() - start_ms >= 1000);
    assert_int_equal(take(f, TWO_FILES, BOOT_A, final, N(final)), CLM_E_REMOTE);
}

static void a_first_page_that_is_refused_ends_the_upload(void **state)
{
    static const struct exchange list[] = {PUT("/1", NULL, 400, "{\"code\":\"schema\"}")};
    CLM_CLEANUP(clm_buf_done) struct clm_buf event = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    struct fixture *f = *state;

    many_files(&event);
    assert_int_equal(take(f, clm_buf_str(&event), BOOT_A, list, N(list)), CLM_E_REMOTE);
}

static void what_follows_nonsense_is_not_read(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(take(f, "{\"kind\":\"files\",\"files\":[{\"path\":1}," KEY_FILE("/x") "]}",
                          BOOT_A, NULL, 0),
                     CLM_E_PARSE);
}

static void a_damaged_note_is_none(void **state)
{
    static const char note[] = "{\"digest\":7,\"refused_boot\":[]}";
    static const struct exchange list[] = {PUT("/1", NULL, 204, NULL)};
    struct fixture *f = *state;
    char path[PATH_MAX];

    assert_int_equal(clm_net_path(&f->home.config, path, NULL, "files.sent"), CLM_OK);
    assert_int_equal(clm_fs_replace(path, note, strlen(note), 0600, NULL), CLM_OK);
    assert_int_equal(take(f, ONE_FILE, BOOT_A, list, 1), CLM_OK);
    assert_int_equal(take(f, ONE_FILE, BOOT_A, NULL, 0), CLM_OK);
    assert_int_equal(take(f, TWO_FILES, "", list, 1), CLM_OK); /* whoever has no boot asks, too */
}

static void a_disk_that_is_full_sends_nothing(void **state)
{
    struct fixture *f = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf many = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
    const char *events[] = {ONE_FILE, NULL};
    struct rlimit old;

    many_files(&many);
    events[1] = clm_buf_str(&many); /* more than stdio keeps in memory */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < N(events); i++) {
        const struct host_row rows[] = {{CLM_OP_CERTS, NULL, events[i], "{}", NULL, CLM_OK}};
        const struct rlimit tiny = {.rlim_cur = 10, .rlim_max = old.rlim_max};
        struct clm_err err = {0};

        job_world_host(f, rows, N(rows));
        clm_api_free(f->api);
        f->http = (struct script){.n = 0};
        f->api = script_api(&f->http);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
        enum clm_code code =
            clm_inventory_files_take(&f->home.config, f->link, f->api, BOOT_A, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_not_equal(code, CLM_OK);
        assert_non_null(strstr(err.msg, "write 'files.found'"));
        clm_link_free(f->link);
        f->link = NULL;
    }
    (void)signal(SIGXFSZ, SIG_DFL);
}

static void a_state_directory_with_too_long_a_name_is_told(void **state)
{
    struct fixture *f = *state;
    char *dir = f->home.config.state_dir;
    size_t len = strlen(dir);

    for (size_t room = 10; room < 16; room++) { /* for neither of both names, for one of them */
        struct clm_err err = {0};
        size_t slashes = sizeof(f->home.config.state_dir) - 1 - room - len;

        memset(dir + len, '/', slashes);
        dir[len + slashes] = '\0';
        enum clm_code code = clm_inventory_files_take(&f->home.config, NULL, NULL, BOOT_A, &err);
        clm_inventory_files_forget(&f->home.config);
        dir[len] = '\0';
        assert_int_equal(code, CLM_E_LIMIT);
    }
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
        TEST(a_page_is_sent_again_where_the_control_plane_asks_for_patience),
        TEST(a_first_page_that_is_refused_ends_the_upload),
        TEST(what_follows_nonsense_is_not_read),
        TEST(a_damaged_note_is_none),
        TEST(a_disk_that_is_full_sends_nothing),
        TEST(a_state_directory_with_too_long_a_name_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
