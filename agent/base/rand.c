/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/rand.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

enum clm_code clm_rand_bytes(void *dst, size_t len, struct clm_err *err)
{
    uint8_t *p = dst;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return clm_err_set(err, CLM_E_IO, "the kernel gives no random bytes: %s",
                               n == 0 ? "no data" : strerror(errno));
        }
        p += n;
        len -= (size_t)n;
    }
    return CLM_OK;
}

uint32_t clm_rand_below(uint32_t below)
{
    uint32_t limit;
    uint32_t value;

    if (below == 0) {
        return 0;
    }
    limit = UINT32_MAX - UINT32_MAX % below; /* a multiple of below */
    do {
        if (clm_rand_bytes(&value, sizeof(value), NULL) != CLM_OK) {
            return (uint32_t)((uint64_t)clm_clock_now_ms() * 2654435761U) % below;
        }
    } while (value >= limit);
    return value % below;
}

enum clm_code clm_ulid_new(char *dst, struct clm_err *err)
{
    uint64_t ms = (uint64_t)clm_clock_now_ms();
    uint8_t bits[16];
    enum clm_code code = clm_rand_bytes(bits + 6, 10, err);

    dst[0] = '\0';
    if (code != CLM_OK) {
        return code;
    }
    for (int i = 0; i < 6; i++) {
        bits[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
    /* 26 digits hold 130 bits: the first two are zero. */
    for (int i = 0; i < 26; i++) {
        int value = 0;

        for (int bit = 5 * i - 2; bit < 5 * i + 3; bit++) {
            value = value * 2 + (bit < 0 ? 0 : bits[bit / 8] >> (7 - bit % 8) & 1);
        }
        dst[i] = crockford[value];
    }
    dst[26] = '\0';
    return CLM_OK;
}

static int is_prefix(const char *prefix)
{
    size_t len = strspn(prefix, "abcdefghijklmnopqrstuvwxyz");

    return len >= 2 && len <= 4 && prefix[len] == '\0';
}

enum clm_code clm_id_new(const char *prefix, char *dst, struct clm_err *err)
{
    char ulid[CLM_ULID_SIZE];
    enum clm_code code;

    dst[0] = '\0';
    if (!is_prefix(prefix)) {
        return clm_err_set(err, CLM_E_INVAL, "identifier prefix is not 2 to 4 lower-case letters");
    }
    code = clm_ulid_new(ulid, err);
    return code != CLM_OK ? code : clm_str_fmt(dst, CLM_ID_SIZE, err, "%s_%s", prefix, ulid);
}

int clm_id_is_valid(const char *prefix, const char *text)
{
    size_t len = strlen(prefix);

    return is_prefix(prefix) && strncmp(text, prefix, len) == 0 && text[len] == '_' &&
           strlen(text + len + 1) == 26 && strspn(text + len + 1, crockford) == 26;
}
