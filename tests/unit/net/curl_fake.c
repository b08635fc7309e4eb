/* SPDX-License-Identifier: Apache-2.0 */
#define CURL_DISABLE_TYPECHECK /* the names are those of functions here */
#include "tests/unit/net/curl_fake.h"

#include <stdarg.h>
#include <string.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo

static struct {
    const char *call; /* NULL: none fails */
    unsigned countdown;
    int rc;
    bool fell;
    const char *tls;
    curl_fake_perform_fn perform;
    struct curl_certinfo *certinfo;
    CURLcode certinfo_rc;
    struct curl_fake_opts opts;
} fake;

void curl_fake_on(const char *call, unsigned n, int rc)
{
    fake.call = call;
    fake.countdown = n;
    fake.rc = rc;
    fake.fell = false;
}

bool curl_fake_off(void)
{
    fake.call = NULL;
    return fake.fell;
}

void curl_fake_set_tls(const char *name)
{
    fake.tls = name;
}

void curl_fake_set_perform(curl_fake_perform_fn perform)
{
    fake.perform = perform;
}

void curl_fake_set_certinfo(struct curl_certinfo *info, CURLcode rc)
{
    fake.certinfo = info;
    fake.certinfo_rc = rc;
}

static bool is_doomed(const char *call)
{
    if (fake.call == NULL || strcmp(fake.call, call) != 0 || fake.countdown == 0 ||
        --fake.countdown > 0) {
        return false;
    }
    fake.fell = true;
    return true;
}

#define WRAP(type, name, failed, params, args)                                                     \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return is_doomed(#name) ? (failed) : __real_##name args;                                   \
    }

WRAP(CURLM *, curl_multi_init, NULL, (void), ())
WRAP(CURLU *, curl_url, NULL, (void), ())
WRAP(struct curl_slist *, curl_slist_append, NULL, (struct curl_slist * list, const char *text),
     (list, text))
WRAP(CURLUcode, curl_url_set, (CURLUcode)fake.rc,
     (CURLU * url, CURLUPart part, const char *text, unsigned flags), (url, part, text, flags))
WRAP(CURLUcode, curl_url_get, (CURLUcode)fake.rc,
     (const CURLU *url, CURLUPart part, char **text, unsigned flags), (url, part, text, flags))

CURL *__real_curl_easy_init(void);
CURL *__wrap_curl_easy_init(void);
CURL *__wrap_curl_easy_init(void)
{
    memset(&fake.opts, 0, sizeof(fake.opts));
    return is_doomed("curl_easy_init") ? NULL : __real_curl_easy_init();
}

/* One argument, of a type that the number of the option tells. */
CURLcode __real_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
    CURLcode rc = (CURLcode)fake.rc;
    va_list args;

    if (is_doomed("curl_easy_setopt")) {
        return rc;
    }
    va_start(args, option);
    if ((int)option < CURLOPTTYPE_OBJECTPOINT) {
        rc = __real_curl_easy_setopt(easy, option, va_arg(args, long));
    } else if (option == CURLOPT_DEBUGFUNCTION) {
        fake.opts.debug = va_arg(args, curl_debug_callback);
        rc = __real_curl_easy_setopt(easy, option, fake.opts.debug);
    } else if (option == CURLOPT_SSL_CTX_FUNCTION) {
        fake.opts.ssl_ctx = va_arg(args, curl_ssl_ctx_callback);
        rc = __real_curl_easy_setopt(easy, option, fake.opts.ssl_ctx);
    } else if ((int)option >= CURLOPTTYPE_OFF_T && (int)option < CURLOPTTYPE_BLOB) {
        rc = __real_curl_easy_setopt(easy, option, va_arg(args, curl_off_t));
    } else {
        void *pointer = va_arg(args, void *);

        if (option == CURLOPT_DEBUGDATA) {
            fake.opts.debug_arg = pointer;
        } else if (option == CURLOPT_SSL_CTX_DATA) {
            fake.opts.ssl_ctx_arg = pointer;
        } else if (option == CURLOPT_ERRORBUFFER) {
            fake.opts.reason = pointer;
        }
        rc = __real_curl_easy_setopt(easy, option, pointer);
    }
    va_end(args);
    return rc;
}

CURLcode __real_curl_easy_getinfo(CURL *easy, CURLINFO info, ...);
CURLcode __wrap_curl_easy_getinfo(CURL *easy, CURLINFO info, ...);
CURLcode __wrap_curl_easy_getinfo(CURL *easy, CURLINFO info, ...)
{
    va_list args;

    va_start(args, info);
    void *out = va_arg(args, void *);
    va_end(args);
    if (is_doomed("curl_easy_getinfo")) {
        return (CURLcode)fake.rc;
    }
    if (info == CURLINFO_CERTINFO && fake.perform != NULL) {
        memcpy(out, &fake.certinfo, sizeof(fake.certinfo));
        return fake.certinfo_rc;
    }
    return __real_curl_easy_getinfo(easy, info, out);
}

CURLcode __real_curl_easy_perform(CURL *easy);
CURLcode __wrap_curl_easy_perform(CURL *easy);
CURLcode __wrap_curl_easy_perform(CURL *easy)
{
    return fake.perform != NULL ? fake.perform(&fake.opts) : __real_curl_easy_perform(easy);
}

curl_version_info_data *__real_curl_version_info(CURLversion age);
curl_version_info_data *__wrap_curl_version_info(CURLversion age);
curl_version_info_data *__wrap_curl_version_info(CURLversion age)
{
    static curl_version_info_data other;

    other = *__real_curl_version_info(age);
    if (fake.tls != NULL) {
        other.ssl_version = fake.tls[0] != '\0' ? fake.tls : NULL;
    }
    return &other;
}
