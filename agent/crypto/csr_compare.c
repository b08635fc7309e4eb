/* SPDX-License-Identifier: Apache-2.0 */
/* What a CA changed: sentences for people, in the order of importance. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/crypto/holder.h"

#define SENTENCE_MAX 400
#define EACH_MAX     10 /* names of a kind that are told one by one */

struct compare {
    struct clm_strs *out;
    struct clm_err *err;
    enum clm_code code;
};

static void CLM_PRINTF(2, 3) say(struct compare *c, const char *fmt, ...)
{
    char text[SENTENCE_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (c->code == CLM_OK) {
        c->code = clm_strs_add(c->out, text, c->err);
    }
}

/* Says fmt of each element of list that other lacks. */
static void each_missing(struct compare *c, const struct clm_strs *list,
                         const struct clm_strs *other, const char *words)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        if (clm_strs_has(other, list->v[i])) {
            continue;
        }
        if (++n <= EACH_MAX) {
            say(c, "the CA %s '%.300s'", words, list->v[i]);
        }
    }
    if (n > EACH_MAX) {
        say(c, "the CA %s %zu more", words, n - EACH_MAX);
    }
}

static void compare_names(struct compare *c, const struct clm_csr_info *asked,
                          const struct clm_holder *got)
{
    const struct {
        const struct clm_strs *asked;
        const struct clm_strs *got;
        const char *dropped;
        const char *added;
    } kinds[] = {
        {&asked->names.dns, &got->sans.names.dns, "dropped the name", "added the name"},
        {&asked->names.ip, &got->sans.names.ip, "dropped the address", "added the address"},
        {&asked->emails, &got->sans.emails, "dropped the mail address", "added the mail address"},
        {&asked->uris, &got->sans.uris, "dropped the URI", "added the URI"},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(kinds); i++) {
        each_missing(c, kinds[i].asked, kinds[i].got, kinds[i].dropped);
        each_missing(c, kinds[i].got, kinds[i].asked, kinds[i].added);
    }
}

static void list_text(const struct clm_strs *list, char dst[160])
{
    size_t used = 0;

    dst[0] = '\0';
    for (size_t i = 0; i < list->n && used < 150; i++) {
        int n = snprintf(dst + used, 160 - used, "%s'%.64s'", i == 0 ? "" : ", ", list->v[i]);

        used += n > 0 ? (size_t)n : 0;
    }
}

static bool lists_equal(const struct clm_strs *a, const struct clm_strs *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!clm_strs_has(b, a->v[i])) {
            return false;
        }
    }
    return true;
}

static void compare_subject(struct compare *c, const struct clm_subject *asked,
                            const struct clm_subject *got)
{
    static const char *const names[] = {"CN", "O", "OU", "L", "ST", "C", "emailAddress"};

    for (size_t i = 0; i < CLM_SUBJECT__COUNT; i++) {
        char from[160];
        char to[160];

        if (lists_equal(&asked->field[i], &got->field[i])) {
            continue;
        }
        list_text(&asked->field[i], from);
        list_text(&got->field[i], to);
        if (got->field[i].n == 0) {
            say(c, "the CA dropped %s %s from the subject", names[i], from);
        } else if (asked->field[i].n == 0) {
            say(c, "the CA added %s %s to the subject", names[i], to);
        } else {
            say(c, "the CA changed %s from %s to %s", names[i], from, to);
        }
    }
}

static void compare_use(struct compare *c, const struct clm_csr_info *asked,
                        const struct clm_holder *got)
{
    if (asked->eku_server && !got->eku_server) {
        say(c, "the CA dropped the purpose 'server'");
    }
    if (asked->eku_client && !got->eku_client) {
        say(c, "the CA dropped the purpose 'client'");
    }
    if (!asked->eku_client && got->eku_client) {
        say(c, "the CA added the purpose 'client'");
    }
    if (asked->must_staple && !got->must_staple) {
        say(c, "the CA left must-staple out");
    }
    if (!asked->must_staple && got->must_staple) {
        say(c, "the CA added must-staple: the server must staple OCSP answers");
    }
}

enum clm_code clm_csr_compare(const struct clm_csr_info *asked, const struct clm_cert_chain *chain,
                              struct clm_strs *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_holder_done) struct clm_holder got = {.has_eku = false};
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};
    struct compare c = {out, err, clm_holder_from_cert(chain, 0, &got, err)};

    if (c.code == CLM_OK) {
        c.code = clm_cert_info(chain, 0, &info, err);
    }
    if (c.code != CLM_OK) {
        return c.code;
    }
    compare_names(&c, asked, &got);
    compare_subject(&c, &asked->dn, &got.subject);
    compare_use(&c, asked, &got);
    if (strcmp(asked->spki_sha256, info.spki_sha256) != 0) {
        say(&c, "the CA certified another key");
    }
    return c.code;
}
