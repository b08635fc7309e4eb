/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_world - a main process that is connected, and starts nothing but what is noted in f.started
 *
 * Linked with -Wl,--wrap=clm_children_start,--wrap=clm_poller_start,--wrap=clm_poller_ask: see
 * CMakeLists.txt.
 */
#ifndef CLM_TESTS_RUN_AGENT_WORLD_H
#define CLM_TESTS_RUN_AGENT_WORLD_H

#include "tests/support/sabotage.h"
#include "tests/unit/run/authority.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "agent/ipc/frame.h"
#include "agent/run/agent.h"
#include "agent/run/inventory.h"
#include "agent/run/job_child.h"
#include "agent/run/record.h"
#include "agent/run/spool.h"

#define NOW_MS 1000000
#define C_JOB  "job_01J9ZK3W5V7M2Q8R4T6Y0X1B3E"
#define D_JOB  "job_01J9ZK3W5V7M2Q8R4T6Y0X1B3F"

static struct {
    struct home home;
    char dir[PATH_MAX];
    struct clm_agent agent;
    char started[256]; /* ids, each with a space behind */
    enum clm_code start_code;
    enum clm_code poller_code;
    enum clm_code ask_code;
    unsigned asked;
    uint32_t asked_wait_s;
    int64_t now_s;
} f;

/* ---- in place of processes ---- */

enum clm_code __wrap_clm_children_start(struct clm_children *children, const char *id,
                                        const char *target, struct clm_err *err);
enum clm_code __wrap_clm_children_start(struct clm_children *children, const char *id,
                                        const char *target, struct clm_err *err)
{
    struct clm_child *child = children->list;
    size_t len = strlen(f.started);

    (void)snprintf(f.started + len, sizeof(f.started) - len, "%s ", id);
    if (f.start_code != CLM_OK) {
        return clm_err_set(err, f.start_code, "no process");
    }
    while (child->pid != 0) {
        child++;
    }
    child->pid = getpid(); /* of somebody who is no child: never reaped */
    (void)snprintf(child->id, sizeof(child->id), "%s", id);
    (void)snprintf(child->target, sizeof(child->target), "%s", target);
    return CLM_OK;
}

enum clm_code __wrap_clm_poller_start(const struct clm_config *config, const char *boot_id,
                                      struct clm_poller *out, struct clm_err *err);
enum clm_code __wrap_clm_poller_start(const struct clm_config *config, const char *boot_id,
                                      struct clm_poller *out, struct clm_err *err)
{
    (void)config;
    assert_int_equal(strlen(boot_id), CLM_ULID_SIZE - 1);
    *out = (struct clm_poller){.fd = -1};
    return f.poller_code == CLM_OK ? CLM_OK : clm_err_set(err, f.poller_code, "no poller");
}

enum clm_code __wrap_clm_poller_ask(struct clm_poller *poller, const struct clm_json *body,
                                    uint32_t wait_s, struct clm_err *err);
enum clm_code __wrap_clm_poller_ask(struct clm_poller *poller, const struct clm_json *body,
                                    uint32_t wait_s, struct clm_err *err)
{
    assert_non_null(body);
    f.asked++;
    f.asked_wait_s = wait_s;
    poller->is_busy = f.ask_code == CLM_OK;
    return f.ask_code == CLM_OK ? CLM_OK : clm_err_set(err, f.ask_code, "the poller is gone");
}

/* ---- fixture ---- */

static inline int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    home_open(&f.home);
    assert_int_equal(clm_net_path(&f.home.config, f.dir, NULL, "identity"), CLM_OK);
    become_agent(f.dir, 1);
    assert_int_equal(clm_agent_open(&f.agent, &f.home.config, NULL), CLM_OK);
    f.now_s = clm_clock_now_s();
    f.agent.state = CLM_AGENT_CONNECTED;
    f.agent.poller.is_busy = true;
    f.agent.next_scan_s = INT64_MAX;
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    clm_agent_close(&f.agent);
    home_close(&f.home);
    return 0;
}

static inline void anew(void)
{
    assert_int_equal(teardown(NULL), 0);
    assert_int_equal(setup(NULL), 0);
}

static inline int64_t tick(void)
{
    f.started[0] = '\0';
    return clm_agent_tick(&f.agent, NOW_MS, f.now_s);
}

static inline void run_one(const char *id, const char *target)
{
    assert_int_equal(__wrap_clm_children_start(&f.agent.children, id, target, NULL), CLM_OK);
}

static inline void nobody_runs(void)
{
    memset(f.agent.children.list, 0, sizeof(f.agent.children.list));
}

static inline void offer(const char *id, const char *type, const char *target, int64_t priority)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    struct clm_record record;

    clm_json_set_str(obj, "job_id", id);
    clm_json_set_str(obj, "type", type);
    clm_json_set_str(obj, "target", target);
    clm_json_set_int(obj, "priority", priority);
    assert_int_equal(clm_record_from_offer(obj, &record, NULL), CLM_OK);
    assert_int_equal(clm_record_save(&f.home.config, &record, NULL), CLM_OK);
    clm_record_done(&record);
}

static inline void set_int(const char *id, const char *key, int64_t value)
{
    struct clm_record record;

    assert_int_equal(clm_record_load(&f.home.config, id, &record, NULL), CLM_OK);
    clm_json_set_int(record.root, key, value);
    assert_int_equal(clm_record_save(&f.home.config, &record, NULL), CLM_OK);
    clm_record_done(&record);
}

static inline void set_str(const char *id, const char *key, const char *value)
{
    struct clm_record record;

    assert_int_equal(clm_record_load(&f.home.config, id, &record, NULL), CLM_OK);
    clm_json_set_str(record.root, key, value);
    assert_int_equal(clm_record_save(&f.home.config, &record, NULL), CLM_OK);
    clm_record_done(&record);
}

static inline int64_t get_int(const char *id, const char *key)
{
    struct clm_record record;

    assert_int_equal(clm_record_load(&f.home.config, id, &record, NULL), CLM_OK);
    int64_t value = clm_record_int(&record, key);
    clm_record_done(&record);
    return value;
}

static inline void put_in_place_of(const char *name, const char *text)
{
    char path[PATH_MAX];
    char old[PATH_MAX + 8];

    assert_int_equal(clm_net_path(&f.home.config, path, NULL, "%s", name), CLM_OK);
    (void)snprintf(old, sizeof(old), "%s.old", path);
    (void)rename(path, old);
    assert_int_equal(clm_fs_replace(path, text, strlen(text), 0600, NULL), CLM_OK);
}

#endif
