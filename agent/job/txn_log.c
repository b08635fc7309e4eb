/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/job/txn_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/crc32c.h"
#include "agent/base/fs.h"

/* Bytes of a record, little endian: 0 magic, 4 number from 1, 8 state, 12 zero, 16 unix ms,
 * 24 zero, 28 CRC-32C of bytes 0..27, started with the CRC-32C of the transaction's id. */
#define MAGIC  0x314A4C43u /* "CLJ1" */
#define AT_CRC 28u

static const char *const state_names[CLM_TXN_STATE__COUNT] = {
    [CLM_TXN_NONE] = "none",         [CLM_TXN_PREPARED] = "prepared",
    [CLM_TXN_SWAPPING] = "swapping", [CLM_TXN_SWAPPED] = "swapped",
    [CLM_TXN_RELOADED] = "reloaded", [CLM_TXN_COMMITTED] = "committed",
    [CLM_TXN_UNDOING] = "undoing",   [CLM_TXN_UNDONE] = "undone",
    [CLM_TXN_KEPT] = "kept",
};

/* Which states may follow: a bit each. A state may be repeated by a recovery that died. Without a
 * reload nothing is between SWAPPED and the end. */
#define BIT(s) (1u << (unsigned)(s))
static const unsigned followers[CLM_TXN_STATE__COUNT] = {
    [CLM_TXN_NONE] = BIT(CLM_TXN_PREPARED),
    [CLM_TXN_PREPARED] = BIT(CLM_TXN_SWAPPING) | BIT(CLM_TXN_UNDOING),
    [CLM_TXN_SWAPPING] = BIT(CLM_TXN_SWAPPED) | BIT(CLM_TXN_UNDOING),
    [CLM_TXN_SWAPPED] =
        BIT(CLM_TXN_RELOADED) | BIT(CLM_TXN_COMMITTED) | BIT(CLM_TXN_KEPT) | BIT(CLM_TXN_UNDOING),
    [CLM_TXN_RELOADED] = BIT(CLM_TXN_COMMITTED) | BIT(CLM_TXN_KEPT) | BIT(CLM_TXN_UNDOING),
    [CLM_TXN_COMMITTED] = 0,
    [CLM_TXN_UNDOING] = BIT(CLM_TXN_UNDOING) | BIT(CLM_TXN_UNDONE),
    [CLM_TXN_UNDONE] = 0,
    [CLM_TXN_KEPT] = 0,
};

static bool may_follow(enum clm_txn_state state, unsigned next)
{
    return next < CLM_TXN_STATE__COUNT && (followers[state] & BIT(next)) != 0;
}

const char *clm_txn_state_name(enum clm_txn_state state)
{
    return (unsigned)state < CLM_TXN_STATE__COUNT ? state_names[state] : "unknown";
}

static void put32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t seed_of(const char *txid)
{
    return clm_crc32c(0, txid, strlen(txid));
}

static void encode(uint8_t *p, uint32_t seed, uint32_t n, enum clm_txn_state state, int64_t now_ms)
{
    memset(p, 0, CLM_TXN_LOG_RECORD);
    put32(p, MAGIC);
    put32(p + 4, n);
    p[8] = (uint8_t)state;
    put32(p + 16, (uint32_t)(uint64_t)now_ms);
    put32(p + 20, (uint32_t)((uint64_t)now_ms >> 32));
    put32(p + AT_CRC, clm_crc32c(seed, p, AT_CRC));
}

/* True if slot i holds a whole record of this transaction. */
static bool is_good(const uint8_t *data, uint32_t i, uint32_t seed)
{
    const uint8_t *p = data + (size_t)i * CLM_TXN_LOG_RECORD;

    return get32(p) == MAGIC && get32(p + 4) == i + 1 &&
           get32(p + AT_CRC) == clm_crc32c(seed, p, AT_CRC);
}

enum clm_code clm_txn_log_decode(const uint8_t *data, size_t len, const char *txid, uint32_t *out_n,
                                 enum clm_txn_state *out_state, struct clm_err *err)
{
    uint32_t seed = seed_of(txid);
    enum clm_txn_state state = CLM_TXN_NONE;
    uint32_t n = 0;

    if (len != CLM_TXN_LOG_SIZE) {
        return clm_err_set(err, CLM_E_PARSE, "log has %zu bytes, not %u", len, CLM_TXN_LOG_SIZE);
    }
    for (; n < CLM_TXN_LOG_RECORDS && is_good(data, n, seed); n++) {
        unsigned next = data[(size_t)n * CLM_TXN_LOG_RECORD + 8];

        if (!may_follow(state, next)) {
            return clm_err_set(err, CLM_E_PARSE, "log record %u: state %u after '%s'", n + 1, next,
                               clm_txn_state_name(state));
        }
        state = (enum clm_txn_state)next;
    }
    for (uint32_t i = n + 1; i < CLM_TXN_LOG_RECORDS; i++) {
        if (is_good(data, i, seed)) {
            return clm_err_set(err, CLM_E_PARSE, "log record %u is damaged", n + 1);
        }
    }
    *out_n = n;
    *out_state = state;
    return CLM_OK;
}

enum clm_code clm_txn_log_create(const char *path, const char *txid, int64_t now_ms,
                                 struct clm_err *err)
{
    uint8_t data[CLM_TXN_LOG_SIZE] = {0};

    encode(data, seed_of(txid), 1, CLM_TXN_PREPARED, now_ms);
    /* Written, not only fallocate(2)d: where that is not supported the blocks are there as well. */
    return clm_fs_create(path, data, sizeof(data), 0600, err);
}

void clm_txn_log_close(struct clm_txn_log *log)
{
    clm_fs_close_p(&log->fd);
}

enum clm_code clm_txn_log_open(const char *path, const char *txid, struct clm_txn_log *out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_INIT(CLM_TXN_LOG_SIZE);
    enum clm_code code = clm_fs_read(path, CLM_TXN_LOG_SIZE, &data, err);

    if (code == CLM_E_LIMIT) {
        return clm_err_set(err, CLM_E_PARSE, "log is longer than %u bytes", CLM_TXN_LOG_SIZE);
    }
    if (code == CLM_OK) {
        code = clm_txn_log_decode(data.data, data.len, txid, &out->n, &out->state, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    clm_txn_log_close(out);
    out->fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (out->fd < 0 && errno != EROFS) {
        return clm_err_sys(err, errno, "open '%s'", path);
    }
    out->seed = seed_of(txid);
    out->is_broken = out->fd < 0;
    return CLM_OK;
}

enum clm_code clm_txn_log_append(struct clm_txn_log *log, enum clm_txn_state state, int64_t now_ms,
                                 struct clm_err *err)
{
    uint8_t record[CLM_TXN_LOG_RECORD];
    ssize_t n;

    if (log->is_broken) {
        return clm_err_set(err, CLM_E_IO, "the journal's log could not be written before");
    }
    if (log->n >= CLM_TXN_LOG_RECORDS) {
        return clm_err_set(err, CLM_E_LIMIT, "the journal's log is full");
    }
    if (!may_follow(log->state, (unsigned)state)) {
        return clm_err_set(err, CLM_E_INVAL, "the journal's log: '%s' after '%s'",
                           clm_txn_state_name(state), clm_txn_state_name(log->state));
    }
    encode(record, log->seed, log->n + 1, state, now_ms);
    if (clm_fs_point("log", log->fd, clm_txn_state_name(state)) != 0) {
        log->is_broken = true;
        return clm_err_sys(err, errno, "write the journal's log");
    }
    n = pwrite(log->fd, record, sizeof(record), (off_t)log->n * (off_t)CLM_TXN_LOG_RECORD);
    if (n != (ssize_t)sizeof(record)) {
        log->is_broken = true;
        return clm_err_sys(err, n < 0 ? errno : EIO, "write the journal's log");
    }
    if (clm_fs_point("logsync", log->fd, clm_txn_state_name(state)) != 0 ||
        fdatasync(log->fd) != 0) {
        log->is_broken = true;
        return clm_err_sys(err, errno, "flush the journal's log");
    }
    log->n++;
    log->state = state;
    return CLM_OK;
}
