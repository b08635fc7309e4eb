/* SPDX-License-Identifier: Apache-2.0 */
/* "clmbot run", "host", "recover", "_loopback" and "_job": what they say and how they end when what
 * they are for fails. */
#include "tests/unit/main/stage.h"

#include <string.h>
#include <unistd.h>

#include "agent/host/host.h"
#include "agent/host/serve.h"
#include "agent/ipc/server.h"
#include "agent/net/loopback.h"
#include "agent/run/run.h"

/* What the parts answer. */
static struct {
    enum clm_code server, open, serve, recover, run, supervise, loopback;
    const char *found[3]; /* targets that a recovery has to do with */
    bool is_boot;
} world;

static enum clm_code answer(enum clm_code code, const char *who, struct clm_err *err)
{
    return code == CLM_OK ? CLM_OK : clm_err_set(err, code, "%s says no", who);
}

enum clm_code __wrap_clm_server_from_fd_take(int fd, struct clm_server **out, struct clm_err *err);
enum clm_code __wrap_clm_server_from_fd_take(int fd, struct clm_server **out, struct clm_err *err)
{
    assert_int_equal(fd, 1000);
    *out = NULL;
    return answer(world.server, "server", err);
}

enum clm_code __wrap_clm_host_open(const struct clm_config *config, const struct clm_io *io,
                                   struct clm_probe_route *route, struct clm_host **out,
                                   struct clm_err *err);
enum clm_code __wrap_clm_host_open(const struct clm_config *config, const struct clm_io *io,
                                   struct clm_probe_route *route, struct clm_host **out,
                                   struct clm_err *err)
{
    assert_ptr_equal(io->policy, &config->policy);
    assert_ptr_equal(io->ctx, route);
    *out = NULL;
    return answer(world.open, "host", err);
}

enum clm_code __wrap_clm_host_serve(struct clm_host *host, struct clm_server *server,
                                    struct clm_probe_route *route, struct clm_err *err);
enum clm_code __wrap_clm_host_serve(struct clm_host *host, struct clm_server *server,
                                    struct clm_probe_route *route, struct clm_err *err)
{
    (void)host;
    (void)server;
    (void)route;
    return answer(world.serve, "service", err);
}

enum clm_code __wrap_clm_host_recover(struct clm_host *host, bool boot, struct clm_json *out_list,
                                      struct clm_err *err);
enum clm_code __wrap_clm_host_recover(struct clm_host *host, bool boot, struct clm_json *out_list,
                                      struct clm_err *err)
{
    (void)host;
    for (size_t i = 0; i < CLM_ARRAY_LEN(world.found) && world.found[i] != NULL; i++) {
        struct clm_json *one = clm_json_add_object(out_list);

        clm_json_set_str(one, "target", world.found[i]);
        clm_json_set_str(one, "outcome", "rolled_back");
    }
    world.is_boot = boot;
    return answer(world.recover, "recovery", err);
}

enum clm_code __wrap_clm_run_main(const struct clm_config *config, struct clm_err *err);
enum clm_code __wrap_clm_run_main(const struct clm_config *config, struct clm_err *err)
{
    assert_non_null(config);
    return answer(world.run, "agent", err);
}

enum clm_code __wrap_clm_run_supervise(const struct clm_config *config, struct clm_err *err);
enum clm_code __wrap_clm_run_supervise(const struct clm_config *config, struct clm_err *err)
{
    assert_non_null(config);
    return answer(world.supervise, "supervisor", err);
}

enum clm_code __wrap_clm_loopback_serve(int conn, struct clm_err *err);
enum clm_code __wrap_clm_loopback_serve(int conn, struct clm_err *err)
{
    assert_int_equal(conn, STDIN_FILENO);
    return answer(world.loopback, "loopback", err);
}

static struct stage s;

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    stage_open(&s, "");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stage_close(&s);
    return 0;
}

/* One thing fails: the exit status is that of its code, and the log says why. */
static void a_service_ends_with_the_status_of_its_error(void **state)
{
    static const struct {
        const char *line;
        enum clm_code *fails;
        enum clm_code code;
        int status;
        const char *says;
    } rows[] = {
        {"run", &world.run, CLM_OK, CLM_EXIT_GOOD, ""},
        {"run", &world.run, CLM_E_NET, CLM_EXIT_OFFLINE, "agent says no"},
        {"run --spawn-host", &world.run, CLM_E_NET, CLM_EXIT_GOOD, ""},
        {"run --spawn-host", &world.supervise, CLM_E_CONFIG, CLM_EXIT_CONFIG, "supervisor says no"},
        {"host --fd 1000", &world.serve, CLM_OK, CLM_EXIT_GOOD, ""},
        {"host --fd 1000", &world.server, CLM_E_INVAL, CLM_EXIT_FAILED, "server says no"},
        {"host --fd 1000", &world.open, CLM_E_IO, CLM_EXIT_FAILED, "host says no"},
        {"host --fd 1000", &world.serve, CLM_E_IO, CLM_EXIT_FAILED, "service says no"},
        {"host", &world.serve, CLM_OK, CLM_EXIT_FAILED, "LISTEN_FDS"},
        {"_loopback", &world.loopback, CLM_OK, CLM_EXIT_GOOD, ""},
        {"_loopback", &world.loopback, CLM_E_PERM, CLM_EXIT_FAILED, "loopback says no"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        memset(&world, 0, sizeof(world));
        *rows[i].fails = rows[i].code;
        assert_int_equal(stage_run(&s, rows[i].line), rows[i].status);
        assert_string_equal(s.out, "");
        stage_has(s.err, rows[i].says);
        assert_true((s.err[0] == '\0') == (rows[i].says[0] == '\0'));
    }
}

static void recover_says_what_it_did(void **state)
{
    (void)state;
    assert_int_equal(stage_run(&s, "recover"), CLM_EXIT_GOOD);
    assert_string_equal(s.out, "nothing to recover\n");
    assert_false(world.is_boot);
    world.found[0] = "nginx:a";
    world.found[1] = "nginx:b";
    assert_int_equal(stage_run(&s, "recover --boot"), CLM_EXIT_GOOD);
    assert_string_equal(s.out, "nginx:a: rolled_back\nnginx:b: rolled_back\n");
    assert_true(world.is_boot);
    world.recover = CLM_E_IO; /* what was done is told even so: no journal tells of it any more */
    assert_int_equal(stage_run(&s, "recover"), CLM_EXIT_FAILED);
    assert_string_equal(s.out, "nginx:a: rolled_back\nnginx:b: rolled_back\n");
    assert_string_equal(s.err, "clmbot: recovery says no\n");
    world.found[0] = NULL;
    assert_int_equal(stage_run(&s, "recover"), CLM_EXIT_FAILED);
    assert_string_equal(s.out, "");
    assert_string_equal(s.err, "clmbot: recovery says no\n");
    world.open = CLM_E_IO;
    assert_int_equal(stage_run(&s, "recover"), CLM_EXIT_FAILED);
    assert_string_equal(s.err, "clmbot: host says no\n");
    world.open = CLM_E_CONFLICT;
    assert_int_equal(stage_run(&s, "recover"), CLM_EXIT_FAILED);
    stage_has(s.err, "clmbot: host says no\n        the host half is at work; it has recovered ");
}

static void without_a_configuration_nothing_starts(void **state)
{
    static const char *const lines[] = {"run", "run --spawn-host", "host --fd 1000", "recover",
                                        "_job job_1"};
    static struct stage bad;

    (void)state;
    stage_open(&bad, "nonsense: 1\n");
    for (size_t i = 0; i < CLM_ARRAY_LEN(lines); i++) {
        assert_int_equal(stage_run(&bad, lines[i]), CLM_EXIT_CONFIG);
        assert_string_equal(bad.out, "");
        stage_has(bad.err, "nonsense");
    }
    stage_close(&bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_service_ends_with_the_status_of_its_error, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(recover_says_what_it_did, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_configuration_nothing_starts, setup, teardown),
    };

    return cmocka_run_group_tests_name("main_services", tests, NULL, NULL);
}
