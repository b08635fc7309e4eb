/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/str.h"
#include "controlplane/client.h"

/* "90", "90s", "15m", "12h", "7d" in seconds. */
static enum clm_code parse_ttl(const char *text, int64_t *out_s, struct clm_err *err)
{
    static const struct {
        char unit;
        int64_t factor;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char digits[16];
    size_t len = strlen(text);
    int64_t factor = 1;

    for (size_t i = 0; len > 0 && i < CLM_ARRAY_LEN(units); i++) {
        if (text[len - 1] == units[i].unit) {
            factor = units[i].factor;
            len--;
            break;
        }
    }
    if (len >= sizeof(digits)) {
        return clm_err_set(err, CLM_E_INVAL, "--ttl '%s' is too long", text);
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (clm_str_to_int(digits, 1, 604800, out_s, NULL) != CLM_OK) {
        return clm_err_set(err, CLM_E_INVAL, "--ttl '%s' is not a time such as 30m, 1h or 7d",
                           text);
    }
    *out_s *= factor;
    return CLM_OK;
}

int clm_cp_cmd_token_create(const struct clm_cli_args *args, void *ctx)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    struct clm_err err = {0};
    int64_t ttl_s = 0;
    const char *host_glob = clm_cli_str(args, "host", NULL);

    (void)ctx;
    if (parse_ttl(clm_cli_str(args, "ttl", "1h"), &ttl_s, &err) != CLM_OK) {
        (void)clm_cp_fail(&err);
        return CLM_CP_EXIT_USAGE;
    }
    clm_json_set_int(body, "ttl_s", ttl_s);
    clm_json_set_int(body, "uses", clm_cli_int(args, "uses", 1));
    clm_json_set_str(body, "approval", clm_cli_has(args, "manual") ? "manual" : "auto");
    if (host_glob != NULL) {
        clm_json_set_str(body, "host_glob", host_glob);
    }
    const struct clm_cp_call call = {.method = "POST", .path = "/api/v1/tokens", .body = body};

    if (clm_cp_call(args, &call, &answer, &err) != CLM_OK) {
        return clm_cp_fail(&err);
    }
    if (clm_cli_has(args, "json")) {
        return clm_cp_print_json(answer);
    }
    /* The token alone on stdout, so that it can be piped into a file. */
    (void)printf("%s\n", clm_cp_text(answer, "token"));
    if (isatty(STDERR_FILENO) != 0) {
        (void)fprintf(stderr, "%s, good until %s. On the host: clmbot enroll --token-file FILE\n",
                      clm_cp_text(answer, "id"), clm_cp_text(answer, "expires_at"));
    }
    return CLM_CP_EXIT_OK;
}

int clm_cp_cmd_token_list(const struct clm_cli_args *args, void *ctx)
{
    static const struct clm_cp_column columns[] = {
        {"TOKEN", "id", .is_fixed = true},           {"USES", "uses", .is_number = true},
        {"MAX", "max_uses", .is_number = true},      {"APPROVAL", "approval", .is_fixed = true},
        {"EXPIRES", "expires_at", .is_fixed = true}, {"HOSTS", "host_glob", .is_fixed = false},
    };

    (void)ctx;
    return clm_cp_list(args, "/api/v1/tokens", "tokens", columns, CLM_ARRAY_LEN(columns));
}
