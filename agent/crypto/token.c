/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/crypto/token.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#define PREFIX      "clm1."
#define PIN_B64_LEN 44
#define SECRET_LEN  43 /* characters of base64url */
#define URL_MAX     512
#define PROOF_INFO  "clm-enroll-v1"

void clm_token_done(struct clm_token *token)
{
    clm_strs_done(&token->urls);
    clm_wipe(token, sizeof(*token));
}

/* ---- reading ---- */

/* An https URL with a host, without user, query or fragment, and nothing JSON would escape. */
static bool is_base_url(const char *url)
{
    const char *host = url + 8;
    size_t len = strlen(url);

    if (!clm_str_starts(url, "https://") || len > URL_MAX || !clm_str_is_printable(url)) {
        return false;
    }
    return *host != '\0' && *host != '/' && *host != ':' && strpbrk(url, " \"\\@?#<>") == NULL;
}

static enum clm_code read_urls(const struct clm_json *root, struct clm_token *out,
                               struct clm_err *err)
{
    const struct clm_json *list = NULL;
    enum clm_code code = clm_json_array(root, "u", CLM_TOKEN_URLS_MAX, &list, err);

    if (code == CLM_OK && clm_json_len(list) == 0) {
        return clm_err_set(err, CLM_E_PARSE, "it has no URL");
    }
    for (const struct clm_json *node = clm_json_first(list); node != NULL && code == CLM_OK;
         node = clm_json_next(node)) {
        const char *url = clm_json_text(node);

        if (url == NULL || !is_base_url(url)) {
            return clm_err_set(err, CLM_E_PARSE, "a URL of it is not plain https");
        }
        code = clm_strs_add(&out->urls, url, err);
    }
    return code;
}

static enum clm_code read_pin(const char *text, uint8_t dst[CLM_SHA256_SIZE], struct clm_err *err)
{
    /* clm_b64_decode() asks for room before it sees the padding */
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = CLM_BUF_INIT(CLM_SHA256_SIZE + 1);
    enum clm_code code = CLM_E_PARSE;

    if (text != NULL && clm_str_starts(text, CLM_PIN_PREFIX) &&
        strlen(text) == strlen(CLM_PIN_PREFIX) + PIN_B64_LEN) {
        code = clm_b64_decode(text + strlen(CLM_PIN_PREFIX), PIN_B64_LEN, &bytes, err);
    }
    if (code == CLM_E_NOMEM) {
        return code;
    }
    if (code != CLM_OK || bytes.len != CLM_SHA256_SIZE) {
        return clm_err_set(err, CLM_E_PARSE,
                           "a pin of it is not \"sha256/\" and 44 characters of Base64");
    }
    memcpy(dst, bytes.data, CLM_SHA256_SIZE);
    return CLM_OK;
}

static enum clm_code read_pins(const struct clm_json *root, struct clm_token *out,
                               struct clm_err *err)
{
    const struct clm_json *list = NULL;
    enum clm_code code = clm_json_array(root, "pin", CLM_TOKEN_PINS_MAX, &list, err);

    if (code == CLM_OK && clm_json_len(list) == 0) {
        return clm_err_set(err, CLM_E_PARSE, "it has no pin");
    }
    for (const struct clm_json *node = clm_json_first(list); node != NULL && code == CLM_OK;
         node = clm_json_next(node)) {
        code = read_pin(clm_json_text(node), out->pins[out->n_pins++], err);
    }
    return code;
}

/*
 * The JSON tree cannot be wiped, so the secret must not get into it: its characters are taken out
 * of the text and replaced by 'A's first. That what was taken is the value of "s" is proved
 * afterwards: the parsed "s" must be all 'A's.
 */
static enum clm_code take_secret(struct clm_buf *text, uint8_t dst[CLM_TOKEN_SECRET_SIZE])
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf bytes = CLM_BUF_SECRET_INIT(CLM_TOKEN_SECRET_SIZE);
    char *p = text->len == 0 ? NULL : strstr((char *)text->data, "\"s\"");
    enum clm_code code;

    if (p == NULL) {
        return CLM_E_PARSE;
    }
    p += 3;
    p += strspn(p, " \t\r\n:");
    if (*p != '"' || strcspn(p + 1, "\"") != SECRET_LEN) {
        return CLM_E_PARSE;
    }
    code = clm_b64url_decode(p + 1, SECRET_LEN, &bytes, NULL); /* a message could quote it */
    if (code != CLM_OK || bytes.len != CLM_TOKEN_SECRET_SIZE) {
        return code == CLM_E_NOMEM ? code : CLM_E_PARSE;
    }
    memcpy(dst, bytes.data, CLM_TOKEN_SECRET_SIZE);
    memset(p + 1, 'A', SECRET_LEN);
    return CLM_OK;
}

static enum clm_code read_members(const struct clm_json *root, struct clm_token *out,
                                  struct clm_err *err)
{
    static const char *const members[] = {"v", "u", "pin", "id", "s", "exp", NULL};
    const char *id = NULL;
    const char *blank = NULL;
    int64_t version = 0;
    enum clm_code code = clm_json_only(root, members, err);

    if (code == CLM_OK) {
        code = clm_json_int(root, "v", 0, CLM_JSON_INT_MAX, &version, err);
    }
    if (code == CLM_OK && version != 1) {
        return clm_err_set(err, CLM_E_PARSE, "it has version %lld; this clmbot knows 1",
                           (long long)version);
    }
    if (code == CLM_OK) {
        code = clm_json_str(root, "s", SECRET_LEN, &blank, err);
    }
    if (code == CLM_OK && (strlen(blank) != SECRET_LEN || blank[strspn(blank, "A")] != '\0')) {
        return clm_err_set(err, CLM_E_PARSE, "it has no secret of 32 bytes");
    }
    if (code == CLM_OK) {
        code = clm_json_str(root, "id", CLM_ID_SIZE - 1, &id, err);
    }
    if (code == CLM_OK && !clm_id_is_valid("tok", id)) {
        return clm_err_set(err, CLM_E_PARSE, "its id is not 'tok_' and 26 characters");
    }
    if (code == CLM_OK) {
        code = clm_str_copy(out->id, sizeof(out->id), id, err);
    }
    if (code == CLM_OK) {
        code = clm_json_int(root, "exp", 0, CLM_JSON_INT_MAX, &out->exp_s, err);
    }
    return code;
}

static enum clm_code parse(const char *text, size_t len, struct clm_token *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf json = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;
    enum clm_code code;

    if (len > CLM_TOKEN_TEXT_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "it is longer than %u bytes", CLM_TOKEN_TEXT_MAX);
    }
    if (len < strlen(PREFIX) || memcmp(text, PREFIX, strlen(PREFIX)) != 0) {
        return clm_err_set(err, CLM_E_PARSE, "it does not start with '%s'", PREFIX);
    }
    code = clm_b64url_decode(text + strlen(PREFIX), len - strlen(PREFIX), &json, NULL);
    if (code == CLM_OK && memchr(json.data, 0, json.len) != NULL) {
        code = CLM_E_PARSE;
    }
    if (code == CLM_OK) {
        code = take_secret(&json, out->secret);
    }
    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "no memory");
    }
    if (code != CLM_OK) {
        return clm_err_set(err, CLM_E_PARSE, "it is damaged: copy it again as a whole");
    }
    code = clm_json_parse(clm_buf_str(&json), json.len, CLM_TOKEN_TEXT_MAX, &root, err);
    if (code == CLM_OK) {
        code = read_members(root, out, err);
    }
    if (code == CLM_OK) {
        code = read_urls(root, out, err);
    }
    if (code == CLM_OK) {
        code = read_pins(root, out, err);
    }
    return code;
}

enum clm_code clm_token_parse(const char *text, size_t len, struct clm_token *out,
                              struct clm_err *err)
{
    enum clm_code code;

    *out = (struct clm_token){.n_pins = 0};
    while (len > 0 && isspace((unsigned char)text[len - 1])) {
        len--;
    }
    while (len > 0 && isspace((unsigned char)text[0])) {
        text++;
        len--;
    }
    code = parse(text, len, out, err);
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "join token");
}

/* ---- making ---- */

static enum clm_code check(const struct clm_token *token, struct clm_err *err)
{
    if (token->urls.n == 0 || token->urls.n > CLM_TOKEN_URLS_MAX || token->n_pins == 0 ||
        token->n_pins > CLM_TOKEN_PINS_MAX || !clm_id_is_valid("tok", token->id) ||
        token->exp_s < 0 || token->exp_s > CLM_JSON_INT_MAX) {
        return clm_err_set(err, CLM_E_INVAL,
                           "join token needs 1 to %d URLs, 1 to %d pins, an id and an expiry",
                           CLM_TOKEN_URLS_MAX, CLM_TOKEN_PINS_MAX);
    }
    for (size_t i = 0; i < token->urls.n; i++) {
        if (!is_base_url(token->urls.v[i])) {
            return clm_err_set(err, CLM_E_INVAL, "join token: '%.200s' is not a plain https URL",
                               clm_str_is_printable(token->urls.v[i]) ? token->urls.v[i] : "...");
        }
    }
    return CLM_OK;
}

/* Written as text, not as a tree: the tree could not be wiped. check() let no character through
 * that JSON would escape. */
static enum clm_code write_json(const struct clm_token *token, struct clm_buf *out,
                                struct clm_err *err)
{
    enum clm_code code = clm_buf_add_str(out, "{\"v\":1,\"u\":[", err);

    for (size_t i = 0; i < token->urls.n && code == CLM_OK; i++) {
        code = clm_buf_addf(out, err, "%s\"%s\"", i > 0 ? "," : "", token->urls.v[i]);
    }
    if (code == CLM_OK) {
        code = clm_buf_add_str(out, "],\"pin\":[", err);
    }
    for (size_t i = 0; i < token->n_pins && code == CLM_OK; i++) {
        char pin[CLM_PIN_SIZE];

        clm_pin_text(token->pins[i], pin);
        code = clm_buf_addf(out, err, "%s\"%s\"", i > 0 ? "," : "", pin);
    }
    if (code == CLM_OK) {
        code = clm_buf_addf(out, err, "],\"id\":\"%s\",\"s\":\"", token->id);
    }
    if (code == CLM_OK) {
        code = clm_b64url_encode(token->secret, sizeof(token->secret), out, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_addf(out, err, "\",\"exp\":%lld}", (long long)token->exp_s);
    }
    return code;
}

enum clm_code clm_token_make(const struct clm_token *token, struct clm_buf *out,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf json = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(CLM_TOKEN_TEXT_MAX);
    enum clm_code code = check(token, err);

    assert(out->secret);
    if (code == CLM_OK) {
        code = write_json(token, &json, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add_str(&text, PREFIX, err);
    }
    if (code == CLM_OK) {
        code = clm_b64url_encode(json.data, json.len, &text, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add(out, text.data, text.len, err);
    }
    return code == CLM_OK ? CLM_OK : clm_err_wrap(err, code, "make a join token");
}

void clm_token_add_pins(const struct clm_token *token, struct clm_json *array)
{
    for (size_t i = 0; i < token->n_pins; i++) {
        char pin[CLM_PIN_SIZE];

        clm_pin_text(token->pins[i], pin);
        clm_json_add_str(array, pin);
    }
}

/* ---- proof and pins ---- */

enum clm_code clm_token_proof(const struct clm_token *token, const char *nonce,
                              const uint8_t *csr_der, size_t csr_len,
                              char dst[CLM_TOKEN_PROOF_SIZE], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf message = CLM_BUF_INIT(2048);
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_TOKEN_PROOF_SIZE);
    const struct clm_hkdf in = {
        .ikm = token->secret, .ikm_len = sizeof(token->secret), .info = PROOF_INFO};
    uint8_t key[CLM_SHA256_SIZE];
    uint8_t mac[CLM_SHA256_SIZE];
    char csr_hash[CLM_SHA256_HEX_SIZE];
    enum clm_code code;

    clm_sha256_hex(csr_der, csr_len, csr_hash);
    code = clm_buf_addf(&message, err, "%s\n%s\n%s\n%s\n", PROOF_INFO, token->id, nonce, csr_hash);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "proof of the join token");
    }
    clm_hkdf_sha256(&in, key, sizeof(key));
    clm_hmac_sha256(key, sizeof(key), message.data, message.len, mac);
    clm_wipe(key, sizeof(key));
    code = clm_b64url_encode(mac, sizeof(mac), &text, err);
    return code == CLM_OK ? clm_str_copy(dst, CLM_TOKEN_PROOF_SIZE, clm_buf_str(&text), err) : code;
}

static bool is_pinned(const struct clm_token *token, const char *spki_sha256)
{
    char pin[CLM_SHA256_HEX_SIZE];
    bool is_found = false;

    for (size_t i = 0; i < token->n_pins; i++) {
        clm_hex_encode(token->pins[i], CLM_SHA256_SIZE, pin);
        is_found |= strcmp(pin, spki_sha256) == 0;
    }
    return is_found;
}

enum clm_code clm_token_pin_check(const struct clm_token *token, const struct clm_cert_chain *chain,
                                  struct clm_buf *out_pem, struct clm_err *err)
{
    size_t n_kept = 0;

    for (size_t i = 0; i < clm_cert_chain_count(chain); i++) {
        CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};
        enum clm_code code = clm_cert_info(chain, i, &info, err);

        if (code != CLM_OK) {
            return code;
        }
        if (!is_pinned(token, info.spki_sha256)) {
            continue;
        }
        if (!info.is_ca) {
            return clm_err_set(err, CLM_E_CRYPTO, "pinned certificate '%s' is not a CA's",
                               info.subject);
        }
        code = clm_cert_chain_pem(chain, i, out_pem, err);
        if (code != CLM_OK) {
            return code;
        }
        n_kept++;
    }
    if (n_kept == 0) {
        return clm_err_set(err, CLM_E_CRYPTO,
                           "none of the %zu CA certificates the server sent is pinned in the join "
                           "token; the token is for another server, or someone is in between",
                           clm_cert_chain_count(chain));
    }
    return CLM_OK;
}
