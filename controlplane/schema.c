/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol.md 17.3 in SQLite's words. Times are Unix seconds; JSON is text. PRAGMA user_version is
 * the number of steps that were applied.
 */
#include "controlplane/schema.h"

#include "agent/base/str.h"

static const char version_1_agents[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE agent ("
    " id TEXT PRIMARY KEY, status TEXT NOT NULL," /* pending active disabled quarantined denied */
    " spki TEXT NOT NULL, prev_spki TEXT, last_csr_sha256 TEXT NOT NULL, last_cert TEXT,"
    " device_key TEXT NOT NULL, seal_key TEXT, generation INTEGER NOT NULL,"
    " cert_not_after INTEGER NOT NULL DEFAULT 0, recovery_count INTEGER NOT NULL DEFAULT 0,"
    " recovery_since INTEGER NOT NULL DEFAULT 0, recovery_ok INTEGER NOT NULL DEFAULT 0,"
    " labels TEXT NOT NULL, host TEXT NOT NULL, agent TEXT NOT NULL, caps TEXT NOT NULL,"
    " policy_digest TEXT NOT NULL, machine_id_hash TEXT NOT NULL, token_id TEXT NOT NULL,"
    " enroll_id TEXT NOT NULL UNIQUE, enroll_csr TEXT NOT NULL, enroll_csr_sha256 TEXT NOT NULL,"
    " work_seq INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX agent_enroll ON agent (token_id, enroll_csr_sha256);"
    "CREATE INDEX agent_machine ON agent (machine_id_hash);"

    "CREATE TABLE join_token ("
    " id TEXT PRIMARY KEY, secret BLOB NOT NULL, approval TEXT NOT NULL,"
    " uses INTEGER NOT NULL DEFAULT 0, max_uses INTEGER NOT NULL, host_glob TEXT NOT NULL,"
    " labels TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
    " revoked INTEGER NOT NULL DEFAULT 0);";

static const char version_1_jobs[] =
    "CREATE TABLE job ("
    " id TEXT PRIMARY KEY, agent_id TEXT NOT NULL REFERENCES agent(id), type TEXT NOT NULL,"
    " target TEXT NOT NULL, target_seq INTEGER NOT NULL, state TEXT NOT NULL,"
    " priority INTEGER NOT NULL DEFAULT 50, attempt INTEGER NOT NULL DEFAULT 0,"
    " max_attempts INTEGER NOT NULL, fence INTEGER NOT NULL DEFAULT 0, lease_boot TEXT,"
    " lease_until INTEGER, not_before INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
    " next_eval INTEGER, timeout_s INTEGER NOT NULL, cancel_mode TEXT, cancel_reason TEXT,"
    " phase TEXT, pct INTEGER, certificate_id TEXT, spec TEXT NOT NULL, jws TEXT NOT NULL,"
    " error TEXT, requested_by TEXT NOT NULL, created_at INTEGER NOT NULL,"
    " updated_at INTEGER NOT NULL, UNIQUE (agent_id, target, target_seq));"
    "CREATE INDEX job_offer ON job (agent_id, priority DESC, target_seq) WHERE state = 'queued';"
    "CREATE INDEX job_lease ON job (lease_until)"
    " WHERE state IN ('leased','running','canceling','lost');"
    "CREATE INDEX job_eval ON job (next_eval) WHERE state = 'scheduled';"
    "CREATE INDEX job_certificate ON job (certificate_id);"

    "CREATE TABLE job_result ("
    " job_id TEXT NOT NULL, attempt INTEGER NOT NULL, orphan INTEGER NOT NULL, outcome TEXT,"
    " body TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (job_id, attempt, orphan));"
    "CREATE TABLE job_event ("
    " job_id TEXT NOT NULL, attempt INTEGER NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL,"
    " at INTEGER NOT NULL, PRIMARY KEY (job_id, attempt, seq)) WITHOUT ROWID;"

    "CREATE TABLE idem ("
    " agent_id TEXT NOT NULL, key TEXT NOT NULL, req_sha256 TEXT NOT NULL,"
    " status INTEGER NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY (agent_id, key));"
    "CREATE INDEX idem_at ON idem (at);"

    "CREATE TABLE change (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
    " kind TEXT NOT NULL, id TEXT NOT NULL, what TEXT NOT NULL);"
    "CREATE TABLE inventory (agent_id TEXT PRIMARY KEY, digest TEXT NOT NULL, body TEXT NOT NULL,"
    " at INTEGER NOT NULL);";

static const char version_1_certs[] =
    "CREATE TABLE cert ("
    " id TEXT PRIMARY KEY, agent_id TEXT NOT NULL REFERENCES agent(id), target TEXT NOT NULL,"
    " names TEXT NOT NULL, subject TEXT NOT NULL, key_type TEXT NOT NULL,"
    " connector TEXT NOT NULL, webroot_ref TEXT NOT NULL, on_issue TEXT NOT NULL,"
    " state TEXT NOT NULL, current_sha256 TEXT, deployed_version INTEGER, last_error TEXT,"
    " created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);"
    "CREATE INDEX cert_agent ON cert (agent_id);"
    "CREATE TABLE cert_version ("
    " certificate_id TEXT NOT NULL REFERENCES cert(id), version INTEGER NOT NULL,"
    " sha256 TEXT NOT NULL, spki_sha256 TEXT NOT NULL, key_ref TEXT NOT NULL, pem TEXT NOT NULL,"
    " not_before INTEGER NOT NULL, not_after INTEGER NOT NULL, order_id TEXT NOT NULL,"
    " issued_at INTEGER NOT NULL, issuer TEXT NOT NULL, PRIMARY KEY (certificate_id, version));"
    "CREATE INDEX cert_version_spki ON cert_version (spki_sha256);"

    "CREATE TABLE cert_order ("
    " id TEXT PRIMARY KEY, certificate_id TEXT NOT NULL REFERENCES cert(id),"
    " agent_id TEXT NOT NULL, job_id TEXT NOT NULL, connector TEXT NOT NULL,"
    " csr TEXT NOT NULL, csr_sha256 TEXT NOT NULL, spki_sha256 TEXT NOT NULL,"
    " key_ref TEXT NOT NULL, state TEXT NOT NULL, ca TEXT NOT NULL DEFAULT '{}', error TEXT,"
    " sha256 TEXT, not_after INTEGER, tries INTEGER NOT NULL DEFAULT 0,"
    " next_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, created_at INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX one_open_order ON cert_order (certificate_id)"
    " WHERE state NOT IN ('issued','failed','canceled');"
    "CREATE UNIQUE INDEX order_csr ON cert_order (job_id, csr_sha256);"
    "CREATE INDEX order_due ON cert_order (next_at)"
    " WHERE state NOT IN ('issued','failed','canceled');"
    "CREATE TABLE challenge ("
    " id TEXT PRIMARY KEY, order_id TEXT NOT NULL REFERENCES cert_order(id),"
    " domain TEXT NOT NULL, path TEXT NOT NULL, content TEXT NOT NULL, url TEXT NOT NULL,"
    " state TEXT NOT NULL, error TEXT);"
    "CREATE INDEX challenge_order ON challenge (order_id);";

/* Certificate files of hosts. Rows of a scan that is still coming in are there, too; file_set names
 * the scan that counts. not_after is the earliest of the entries that are served with a key. */
static const char version_2_files[] =
    "CREATE TABLE file_set (agent_id TEXT PRIMARY KEY REFERENCES agent(id), scan_id TEXT NOT NULL,"
    " files INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE file_page (agent_id TEXT NOT NULL, scan_id TEXT NOT NULL, page INTEGER NOT NULL,"
    " files INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (agent_id, scan_id, page))"
    " WITHOUT ROWID;"
    "CREATE TABLE file ("
    " id INTEGER PRIMARY KEY, agent_id TEXT NOT NULL, scan_id TEXT NOT NULL,"
    " page INTEGER NOT NULL, path TEXT NOT NULL, format TEXT NOT NULL, status TEXT NOT NULL,"
    " in_use INTEGER NOT NULL, manager TEXT NOT NULL, locked INTEGER NOT NULL,"
    " not_after INTEGER NOT NULL, problems TEXT NOT NULL, search TEXT NOT NULL,"
    " body TEXT NOT NULL, UNIQUE (agent_id, scan_id, path));"
    "CREATE INDEX file_path ON file (path, agent_id);"
    "CREATE INDEX file_expiry ON file (not_after, path, agent_id);"
    "CREATE TABLE file_cert (sha256 TEXT NOT NULL, file_id INTEGER NOT NULL REFERENCES file(id)"
    " ON DELETE CASCADE, PRIMARY KEY (sha256, file_id)) WITHOUT ROWID;"
    "CREATE INDEX file_cert_file ON file_cert (file_id);";

/* What is to happen at a target; body holds the five steps as they were accepted. */
static const char version_2_configurations[] =
    "CREATE TABLE configuration ("
    " id TEXT PRIMARY KEY, agent_id TEXT NOT NULL REFERENCES agent(id), target TEXT NOT NULL,"
    " revision INTEGER NOT NULL, certificate_id TEXT NOT NULL REFERENCES cert(id),"
    " body TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
    " UNIQUE (agent_id, target));"
    "CREATE UNIQUE INDEX configuration_certificate ON configuration (certificate_id);";

/* How the request of a certificate is made (docs/csr.md); NULL: as certificates always were. */
static const char version_2_requests[] = "ALTER TABLE cert ADD COLUMN csr TEXT;";

/* The leaf that is installed and waits for a restart of its server; NULL: none does. */
static const char version_3_waiting[] = "ALTER TABLE cert ADD COLUMN waiting_sha256 TEXT;";

#define SCRIPTS_MAX 4

/* Each new version adds one row of scripts; a released script is never changed. */
static const char *const steps[][SCRIPTS_MAX] = {
    {version_1_agents, version_1_jobs, version_1_certs, NULL},
    {version_2_files, version_2_configurations, version_2_requests, NULL},
    {version_3_waiting, NULL},
};

static const char seen_tables[] =
    "CREATE TABLE IF NOT EXISTS seen.agent_seen (agent_id TEXT PRIMARY KEY, seen_at INTEGER,"
    " boot_id TEXT, seq INTEGER, version TEXT, status TEXT, remote TEXT) WITHOUT ROWID;";

static enum clm_code apply_step(struct clm_cp_db *db, size_t step, struct clm_err *err)
{
    char pragma[48];
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && steps[step][i] != NULL; i++) {
        code = clm_cp_db_script(db, steps[step][i], err);
    }
    if (code == CLM_OK) {
        code = clm_str_fmt(pragma, sizeof(pragma), err, "PRAGMA user_version=%zu", step + 1);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_script(db, pragma, err);
    }
    return code;
}

enum clm_code clm_cp_schema_apply(struct clm_cp_db *db, struct clm_err *err)
{
    int64_t version = 0;
    enum clm_code code = clm_cp_db_begin(db, true, err);

    if (code == CLM_OK) {
        code = clm_cp_db_get_int(db, 0, &version, err, "PRAGMA user_version", CLM_SQL_NONE);
    }
    if (code == CLM_OK && version > (int64_t)CLM_ARRAY_LEN(steps)) {
        code = clm_err_set(err, CLM_E_CONFIG,
                           "the database has format %lld, this program knows up to %zu: "
                           "install a newer clmbot-controlplane",
                           (long long)version, CLM_ARRAY_LEN(steps));
    }
    for (size_t i = (size_t)version; code == CLM_OK && i < CLM_ARRAY_LEN(steps); i++) {
        code = apply_step(db, i, err);
    }
    if (code == CLM_OK) {
        code = clm_cp_db_commit(db, err);
    }
    if (code != CLM_OK) {
        clm_cp_db_rollback(db);
        return code;
    }
    return clm_cp_db_script(db, seen_tables, err);
}
