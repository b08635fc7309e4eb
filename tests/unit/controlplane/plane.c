/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controlplane/plane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/base/fs.h"

static void open_with(struct plane *plane, int64_t now_s, bool on_disk)
{
    struct clm_err err = {0};

    (void)snprintf(plane->dir, sizeof(plane->dir), "/tmp/clmbot-cp-test.XXXXXX");
    assert_non_null(mkdtemp(plane->dir));
    assert_int_equal(clm_cp_conf_init(&plane->conf, &err), CLM_OK);
    assert_int_equal(clm_cp_pki_open(plane->dir, now_s, &plane->pki, &err), CLM_OK);
    assert_int_equal(clm_cp_db_open(on_disk ? plane->dir : "", &plane->db, &err), CLM_OK);
    plane->tx = (struct clm_cp_tx){.db = plane->db, .conf = &plane->conf, .pki = plane->pki};
    assert_int_equal(clm_cp_tx_begin(&plane->tx, true, &err), CLM_OK);
    plane->tx.now_s = now_s;
    assert_int_equal(
        clm_cp_db_exec(plane->db, &err,
                       "INSERT INTO agent (id, status, spki, last_csr_sha256, device_key,"
                       " generation, labels, host, agent, caps, policy_digest, machine_id_hash,"
                       " token_id, enroll_id, enroll_csr, enroll_csr_sha256, created_at)"
                       " VALUES (?1, 'active', 'aa', '', '{}', 1, '{}', '{}', '{}', '[]', '', '',"
                       " 'tok', 'enr', '', '', 0)",
                       CLM_SQL(clm_sql_text(TEST_AGENT))),
        CLM_OK);
}

void plane_open(struct plane *plane, int64_t now_s)
{
    open_with(plane, now_s, false);
}

void plane_open_on_disk(struct plane *plane, int64_t now_s)
{
    open_with(plane, now_s, true);
    assert_int_equal(clm_cp_tx_commit(&plane->tx, NULL), CLM_OK);
}

void plane_close(struct plane *plane)
{
    clm_cp_tx_done(&plane->tx);
    clm_cp_db_free(plane->db);
    clm_cp_pki_free(plane->pki);
    clm_cp_conf_done(&plane->conf);
    assert_int_equal(clm_fs_remove_dir(plane->dir, NULL), CLM_OK);
}
