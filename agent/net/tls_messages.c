/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net/tls_messages.h"

#include "agent/base/str.h"

enum {
    SERVER_HELLO = 2,
    CERTIFICATE = 11,
    CERTIFICATE_REQUEST = 13,
    SERVER_HELLO_DONE = 14,
    FINISHED = 20,
    EXT_SUPPORTED_VERSIONS = 43,
};

/* A cursor over foreign bytes. A read beyond the end marks it bad and yields 0 or an empty part. */
struct cursor {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static uint32_t take_int(struct cursor *in, size_t bytes)
{
    uint32_t value = 0;

    if (in->bad || in->left < bytes) {
        in->bad = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++) {
        value = (value << 8) | in->at[i];
    }
    in->at += bytes;
    in->left -= bytes;
    return value;
}

/* A part whose length stands in front of it in length_bytes bytes. */
static struct cursor take_part(struct cursor *in, size_t length_bytes)
{
    size_t len = take_int(in, length_bytes);

    if (in->bad || in->left < len) {
        in->bad = true;
        return (struct cursor){.bad = true};
    }
    struct cursor part = {.at = in->at, .left = len};
    in->at += len;
    in->left -= len;
    return part;
}

static void skip(struct cursor *in, size_t len)
{
    if (in->bad || in->left < len) {
        in->bad = true;
        return;
    }
    in->at += len;
    in->left -= len;
}

static enum clm_code read_server_hello(struct clm_tls_seen *seen, struct cursor in,
                                       struct clm_err *err)
{
    uint32_t version = take_int(&in, 2);

    skip(&in, 32); /* random */
    (void)take_part(&in, 1);
    skip(&in, 3); /* cipher suite, compression */
    if (in.bad) {
        return CLM_OK;
    }
    struct cursor extensions = take_part(&in, 2); /* absent before 1.2 */
    while (!extensions.bad && extensions.left > 0) {
        uint32_t type = take_int(&extensions, 2);
        struct cursor body = take_part(&extensions, 2);
        if (type == EXT_SUPPORTED_VERSIONS && !body.bad && body.left == 2) {
            version = take_int(&body, 2);
        }
    }
    if (version < 0x0300 || version > 0x0304) {
        return CLM_OK;
    }
    if (version == 0x0300) {
        return clm_str_copy(seen->version, sizeof(seen->version), "SSL 3", err);
    }
    return clm_str_fmt(seen->version, sizeof(seen->version), err, "1.%u", version - 0x0301);
}

static enum clm_code read_certificate(struct clm_tls_seen *seen, struct cursor in,
                                      struct clm_err *err)
{
    const bool is_13 = seen->version[0] == '1' && seen->version[2] == '3';
    uint32_t count = 0;
    struct cursor leaf = {.left = 0};

    if (is_13) {
        (void)take_part(&in, 1); /* certificate_request_context */
    }
    struct cursor list = take_part(&in, 3);
    while (!in.bad && !list.bad && list.left > 0) {
        struct cursor cert = take_part(&list, 3);
        if (is_13) {
            (void)take_part(&list, 2); /* extensions */
        }
        if (count == 0) {
            leaf = cert;
        }
        count++;
    }
    if (in.bad || list.bad || leaf.left == 0) {
        return CLM_OK;
    }
    clm_buf_reset(&seen->leaf);
    seen->chain_len = count;
    return clm_buf_add(&seen->leaf, leaf.at, leaf.left, err);
}

enum clm_code clm_tls_message(struct clm_tls_seen *seen, const uint8_t *data, size_t len,
                              struct clm_err *err)
{
    struct cursor in = {.at = data, .left = len};
    uint32_t type = take_int(&in, 1);
    uint32_t body_len = take_int(&in, 3);

    if (in.bad || body_len != in.left) {
        return CLM_OK;
    }
    switch (type) {
    case SERVER_HELLO:
        return read_server_hello(seen, in, err);
    case CERTIFICATE:
        return read_certificate(seen, in, err);
    case CERTIFICATE_REQUEST:
        seen->asks_client = true;
        return CLM_OK;
    case SERVER_HELLO_DONE:
    case FINISHED:
        seen->is_finished = true;
        return CLM_OK;
    default:
        return CLM_OK;
    }
}
