/* SPDX-License-Identifier: Apache-2.0 */
/* What peers and the journal send: jobs, plans, inventories, tokens, frames, records, handshakes. */
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/str.h"
#include "agent/crypto/jws.h"
#include "agent/crypto/token.h"
#include "agent/host/dcv.h"
#include "agent/ipc/frame.h"
#include "agent/job/txn_log.h"
#include "agent/job/txn_record.h"
#include "agent/model/job.h"
#include "agent/model/plan.h"
#include "agent/model/target.h"
#include "agent/net/tls_messages.h"
#include "tests/faults/limits/der.h"

#define JOB_SIZE (CLM_JOB_PAYLOAD_MAX - 16)

/* ---- parsers ---- */

static enum clm_code job(const uint8_t *data, size_t len, struct clm_err *err)
{
    struct clm_job_envelope envelope = {.root = NULL};
    struct clm_job_spec spec;
    enum clm_code code = clm_job_envelope_parse((const char *)data, len, &envelope, err);

    if (code == CLM_OK) {
        code = clm_job_spec_parse(&envelope, &spec, err);
        if (code == CLM_OK) {
            clm_job_spec_done(&spec);
        }
    }
    clm_job_envelope_done(&envelope);
    return code;
}

static enum clm_code plan(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    CLM_CLEANUP(clm_plan_done) struct clm_plan found = {.n_steps = 0};
    enum clm_code code = clm_json_parse((const char *)data, len, CLM_JSON_TEXT_MAX, &root, err);

    return code == CLM_OK ? clm_plan_from_json(root, &found, err) : code;
}

static enum clm_code inventory(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    CLM_CLEANUP(clm_inventory_done) struct clm_inventory found = {0};
    enum clm_code code = clm_json_parse((const char *)data, len, CLM_JSON_TEXT_MAX, &root, err);

    return code == CLM_OK ? clm_inventory_from_json(root, &found, err) : code;
}

static enum clm_code no_key(void *ctx, const char *kid, const struct clm_pubkey **out_key,
                            struct clm_err *err)
{
    (void)ctx;
    (void)kid;
    (void)out_key;
    return clm_err_set(err, CLM_E_NOTFOUND, "no such key");
}

static enum clm_code jws(const uint8_t *data, size_t len, struct clm_err *err)
{
    static const struct clm_jws_policy policy = {.typ = CLM_JWS_TYP_JOB, .find_key = no_key};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf payload = CLM_BUF_INIT(CLM_JWS_PAYLOAD_MAX);
    enum clm_code code = clm_json_parse((const char *)data, len, CLM_JSON_TEXT_MAX, &root, err);

    return code == CLM_OK ? clm_jws_verify(root, &policy, &payload, err) : code;
}

static enum clm_code token(const uint8_t *data, size_t len, struct clm_err *err)
{
    struct clm_token found;
    enum clm_code code = clm_token_parse((const char *)data, len, &found, err);

    clm_token_done(&found);
    return code;
}

static enum clm_code dcv(const uint8_t *data, size_t len, struct clm_err *err)
{
    char path[256];
    size_t n = len < sizeof(path) - 1 ? len : sizeof(path) - 1;

    memcpy(path, data, n);
    path[n] = '\0';
    return clm_dcv_check(path, (const char *)data, err);
}

static enum clm_code record(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_txn_record_done) struct clm_txn_record found = {.n_files = 0};

    return clm_txn_record_decode((const char *)data, len, &found, err);
}

static enum clm_code log_file(const uint8_t *data, size_t len, struct clm_err *err)
{
    uint32_t n = 0;
    enum clm_txn_state state = CLM_TXN_PREPARED;

    return clm_txn_log_decode(data, len, "txn_01J9ZK5D0B2M4N6P8Q0R2S4T6V", &n, &state, err);
}

/* All frames of a stream, until one is refused or it ends. */
static enum clm_code frames(const uint8_t *data, size_t len, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf body = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    struct clm_frame_head head = {.kind = CLM_FRAME_EVENT};
    enum clm_code code = CLM_OK;
    int ends[2];
    int room = 4 * 1024 * 1024;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        return CLM_E_IO;
    }
    (void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
    if (send(ends[1], data, len, MSG_DONTWAIT) < 0) {
        code = CLM_E_IO;
    }
    (void)close(ends[1]);
    while (code == CLM_OK && head.kind != CLM_FRAME_END) {
        code = clm_frame_recv(ends[0], 1000, 1000, &head, &body, err);
    }
    (void)close(ends[0]);
    return code;
}

static enum clm_code tls(const uint8_t *data, size_t len, struct clm_err *err)
{
    struct clm_tls_seen seen = CLM_TLS_SEEN_INIT;
    enum clm_code code = clm_tls_message(&seen, data, len, err);

    clm_buf_done(&seen.leaf);
    return code;
}

/* Very many short ones. */
static enum clm_code tls_many(const uint8_t *data, size_t len, struct clm_err *err)
{
    struct clm_tls_seen seen = CLM_TLS_SEEN_INIT;
    enum clm_code code = CLM_OK;

    for (size_t at = 0; at + 8 <= len && code == CLM_OK; at += 8) {
        code = clm_tls_message(&seen, data + at, 8, err);
    }
    clm_buf_done(&seen.leaf);
    return code;
}

/* ---- shapes ---- */

static const char job_head[] =
    "{\"spec_version\":1,\"job_id\":\"job_01J9ZK5D0B2M4N6P8Q0R2S4T6V\",\"tenant\":\"default\","
    "\"agent_id\":\"agt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C\",\"target\":\"nginx:a.example\","
    "\"target_seq\":3,\"issued_at\":\"2026-11-21T01:30:00Z\","
    "\"expires_at\":\"2026-11-22T01:30:00Z\",\"timeout_s\":600,";

#define FLOOD(name, text)                                                                          \
    static void name(struct clm_buf *out, size_t size)                                             \
    {                                                                                              \
        put_flood(out, text, size);                                                                \
    }
#define WRAPPED(name, begin, text, end)                                                            \
    static void name(struct clm_buf *out, size_t size)                                             \
    {                                                                                              \
        put(out, begin);                                                                           \
        put_flood(out, text, size - sizeof(end));                                                  \
        put(out, end);                                                                             \
    }
#define JOB(name, type, spec, fmt, end)                                                            \
    static void name(struct clm_buf *out, size_t size)                                             \
    {                                                                                              \
        put(out, job_head);                                                                        \
        put(out, "\"type\":\"" type "\",\"spec\":{" spec);                                         \
        put_counted(out, fmt, size - sizeof(end));                                                 \
        put(out, end "}}");                                                                        \
    }

JOB(job_names, "order",
    "\"certificate_id\":\"crt_01J9ZK5D0B2M4N6P8Q0R2S4T6V\",\"order_id\":null,"
    "\"subject\":{\"cn\":\"a.example\"},\"sans\":{\"ip\":[],\"dns\":[",
    "\"a%d.example\",",
    "\"a.example\"]},\"key\":{\"type\":\"ec-p256\",\"storage\":\"file\",\"key_ref\":null,"
    "\"reuse\":false},\"dcv\":{\"method\":\"http-01\"},\"on_issue\":\"deploy\",\"deploy\":{}")
JOB(job_connects, "recheck_pinning", "\"sni\":\"a.example\",\"connect\":[", "\"127.0.0.1:%d\",",
    "\"127.0.0.1:1\"]")
JOB(job_members, "scan", "", "\"x%d\":0,", "\"y\":0")
JOB(job_chain, "deploy",
    "\"certificate_id\":\"crt_01J9ZK5D0B2M4N6P8Q0R2S4T6V\",\"sha256\":"
    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"chain_pem\":\"",
    "-----BEGIN CERTIFICATE-----\\n%d", "\"")

WRAPPED(plan_steps, "{\"target\":\"nginx:a\",\"steps\":[", "{\"kind\":\"file_put\"},", "{}]}")
WRAPPED(inventory_services, "{\"services\":[", "{},", "{}]}")
WRAPPED(inventory_targets, "{\"services\":[{\"kind\":\"nginx\",\"targets\":[",
        "{\"target\":\"nginx:a\"},", "{}]}]}")
WRAPPED(jws_signatures, "{\"payload\":\"\",\"signatures\":[",
        "{\"protected\":\"e30\",\"signature\":\"\"},", "{}]}")
WRAPPED(jws_payload, "{\"signatures\":[{\"protected\":\"e30\",\"signature\":\"\"}],\"payload\":\"",
        "A", "\"}")
FLOOD(letters, "A")
FLOOD(dots, ".")
FLOOD(token_like, "clm1.")
FLOOD(dcv_path, "/.well-known/acme-challenge/")
FLOOD(record_open, "{\"files\":[")
WRAPPED(record_files, "{\"v\":1,\"files\":[", "{},", "{}]}")

static void nul_bytes(struct clm_buf *out, size_t size)
{
    static const uint8_t none[1024] = {0};

    while (out->len + sizeof(none) <= size) {
        put_bytes(out, none, sizeof(none));
    }
}

static void frame_small(struct clm_buf *out, size_t size)
{
    const struct clm_frame_head head = {.body_len = 2, .kind = CLM_FRAME_EVENT};
    uint8_t bytes[CLM_FRAME_HEAD_SIZE];

    clm_frame_head_encode(&head, bytes);
    while (out->len + sizeof(bytes) + 2 <= size) {
        put_bytes(out, bytes, sizeof(bytes));
        put(out, "{}");
    }
}

static void frame_full(struct clm_buf *out, size_t size)
{
    const struct clm_frame_head head = {.body_len = CLM_FRAME_BODY_MAX, .kind = CLM_FRAME_EVENT};
    uint8_t bytes[CLM_FRAME_HEAD_SIZE];

    clm_frame_head_encode(&head, bytes);
    while (out->len + sizeof(bytes) + CLM_FRAME_BODY_MAX <= size) {
        put_bytes(out, bytes, sizeof(bytes));
        put_flood(out, "x", out->len + CLM_FRAME_BODY_MAX);
    }
}

static void frame_huge(struct clm_buf *out, size_t size)
{
    put_bytes(out, "\xff\xff\xff\xff", 4);
    put_flood(out, "\x01", size);
}

/* A handshake message: type, length in three bytes. */
static void tls_head(struct clm_buf *out, unsigned type, size_t len)
{
    const uint8_t head[] = {(uint8_t)type, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

    put_bytes(out, head, sizeof(head));
}

/* Certificate of TLS 1.2: a list of empty certificates. */
static void tls_empty_certs(struct clm_buf *out, size_t size)
{
    size_t list = (size - 7) / 3 * 3;

    tls_head(out, 11, list + 3);
    put_bytes(out, (const uint8_t[]){(uint8_t)(list >> 16), (uint8_t)(list >> 8), (uint8_t)list},
              3);
    while (out->len < list + 7) {
        put_bytes(out, "\0\0\0", 3);
    }
}

static void tls_one_cert(struct clm_buf *out, size_t size)
{
    size_t cert = size - 10;
    size_t list = cert + 3;

    tls_head(out, 11, list + 3);
    put_bytes(out, (const uint8_t[]){(uint8_t)(list >> 16), (uint8_t)(list >> 8), (uint8_t)list},
              3);
    put_bytes(out, (const uint8_t[]){(uint8_t)(cert >> 16), (uint8_t)(cert >> 8), (uint8_t)cert},
              3);
    put_flood(out, "x", size);
}

static void tls_extensions(struct clm_buf *out, size_t size)
{
    tls_head(out, 2, size - 4);
    put_bytes(out, "\x03\x03", 2);
    put_flood(out, "r", out->len + 32);
    put_bytes(out, "\0\x13\x01\0", 4);
    put_u16(out, (unsigned)(size - out->len - 2));
    while (out->len + 4 <= size) {
        put_bytes(out, "\xfa\xfa\0\0", 4);
    }
}

#define ROW(parser, shape, parse, make, size, verdict)                                             \
    {                                                                                              \
        parser, shape, parse, make, size, verdict, 0, 0, NULL                                      \
    }

const struct limits_row limits_message_rows[] = {
    ROW("job", "names", job, job_names, JOB_SIZE, LIMITS_REFUSED),
    ROW("job", "addresses", job, job_connects, JOB_SIZE, LIMITS_REFUSED),
    ROW("job", "members", job, job_members, JOB_SIZE, LIMITS_REFUSED),
    ROW("job", "chain", job, job_chain, JOB_SIZE, LIMITS_REFUSED),
    ROW("plan", "steps", plan, plan_steps, CLM_JSON_TEXT_MAX, LIMITS_REFUSED),
    ROW("inventory", "services", inventory, inventory_services, CLM_JSON_TEXT_MAX, LIMITS_ANY),
    ROW("inventory", "targets", inventory, inventory_targets, CLM_JSON_TEXT_MAX, LIMITS_ANY),
    ROW("jws", "signatures", jws, jws_signatures, CLM_JSON_TEXT_MAX, LIMITS_REFUSED),
    ROW("jws", "payload", jws, jws_payload, CLM_JSON_TEXT_MAX, LIMITS_REFUSED),
    ROW("token", "letters", token, letters, CLM_TOKEN_TEXT_MAX, LIMITS_REFUSED),
    ROW("token", "dots", token, dots, CLM_TOKEN_TEXT_MAX, LIMITS_REFUSED),
    ROW("token", "beginnings", token, token_like, CLM_TOKEN_TEXT_MAX, LIMITS_REFUSED),
    ROW("token", "far too long", token, letters, (size_t)1024 * 1024, LIMITS_REFUSED),
    ROW("dcv token", "paths", dcv, dcv_path, 65536, LIMITS_REFUSED),
    ROW("dcv token", "letters", dcv, letters, 65536, LIMITS_REFUSED),
    ROW("frame", "small ones", frames, frame_small, 65536, LIMITS_READ),
    ROW("frame", "full ones", frames, frame_full, 150000, LIMITS_READ),
    ROW("frame", "length of gigabytes", frames, frame_huge, 65536, LIMITS_REFUSED),
    ROW("frame", "zeros", frames, nul_bytes, 65536, LIMITS_REFUSED),
    ROW("journal plan", "nested", record, record_open, CLM_TXN_RECORD_MAX, LIMITS_REFUSED),
    ROW("journal plan", "files", record, record_files, CLM_TXN_RECORD_MAX, LIMITS_REFUSED),
    ROW("journal plan", "letters", record, letters, CLM_TXN_RECORD_MAX, LIMITS_REFUSED),
    ROW("journal log", "zeros", log_file, nul_bytes, (size_t)1024 * 1024, LIMITS_REFUSED),
    ROW("journal log", "letters", log_file, letters, (size_t)1024 * 1024, LIMITS_REFUSED),
    ROW("handshake", "empty certificates", tls, tls_empty_certs, 262144, LIMITS_ANY),
    ROW("handshake", "one certificate", tls, tls_one_cert, 262144, LIMITS_REFUSED),
    ROW("handshake", "extensions", tls, tls_extensions, 65000, LIMITS_ANY),
    ROW("handshake", "zeros", tls_many, nul_bytes, (size_t)1024 * 1024, LIMITS_ANY),
    {.parser = NULL},
};
