/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client - the commands' side of the operator API, over HTTP
 *
 * Where and with which token is read from the data directory of a control plane on this machine.
 */
#ifndef CLM_CONTROLPLANE_CLIENT_H
#define CLM_CONTROLPLANE_CLIENT_H

#include "agent/base/buf.h"
#include "agent/base/cli.h"
#include "agent/base/err.h"
#include "agent/base/json.h"

#define CLM_CP_DATA_DEFAULT "/var/lib/clmbot-controlplane"

/* Exit codes: design.md 10. */
#define CLM_CP_EXIT_OK          0
#define CLM_CP_EXIT_FAILED      2
#define CLM_CP_EXIT_CONFIG      4
#define CLM_CP_EXIT_UNREACHABLE 6
#define CLM_CP_EXIT_USAGE       64

/* --data, --json: for the option table of the program. */
extern const struct clm_cli_opt clm_cp_client_opts[];

struct clm_cp_call {
    const char *method;          /* "GET", "POST" */
    const char *path;            /* "/api/v1/agents", with its query */
    const struct clm_json *body; /* NULL: none */
    uint32_t timeout_ms;         /* 0: 30 s */
    int64_t revision;            /* the one that is changed, for If-Match; 0: none */
};

/*
 * clm_cp_call() - one request to the control plane that args name
 *
 * Out     out_json  what it answered, with a 2xx status; an empty object for an empty answer
 * Errors  CONFIG operator.url or operator.token cannot be read; NET, TIMEOUT, AUTH; REMOTE it
 *         answered with a problem: the message is its detail
 */
CLM_MUST_USE enum clm_code clm_cp_call(const struct clm_cli_args *args,
                                       const struct clm_cp_call *call, struct clm_json **out_json,
                                       struct clm_err *err);

/* Prints the error and gives the exit code for it. */
int clm_cp_fail(const struct clm_err *err);
/* Prints JSON on stdout, one line. Gives the exit code. */
int clm_cp_print_json(const struct clm_json *json);
/* The member's text; "-" if it is missing, null or empty. */
const char *clm_cp_text(const struct clm_json *obj, const char *key);

/* One column of a list: a member of its objects, "host.hostname" for one inside another. */
struct clm_cp_column {
    const char *title;
    const char *path;
    bool is_number;
    bool is_fixed; /* never cut off */
};
/* GETs path and prints the list of that name as a table, or the answer with --json. */
int clm_cp_list(const struct clm_cli_args *args, const char *path, const char *member,
                const struct clm_cp_column *columns, size_t n);
/* The member at a dotted path as text, "-" if there is none; lists are joined by blanks. The result
 * is appended to out; a text that is too long for it is cut off. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_cp_show(const struct clm_json *obj, const char *path,
                                       struct clm_buf *out, struct clm_err *err);
/* Prints "title  value" for each row of {title, dotted path}. width: of the titles, negative: rows
 * without a value are left out. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_cp_show_rows(const struct clm_json *obj, const char *const rows[][2],
                                            size_t n, int width, struct clm_err *err);

/* printf() of one line, the line feed added: agents wrote parts of it, so nothing in it steers the
 * terminal. */
void clm_cp_say(const char *fmt, ...) CLM_PRINTF(1, 2);

/* The commands: cmd_*.c. Each is a clm_cli_run_fn. */
int clm_cp_cmd_serve(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_token_create(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_token_list(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_agents_list(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_agents_show(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_agents_change(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_targets(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_certs_list(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_certs_show(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_certs_add(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_configs_list(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_configs_show(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_configs_add(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_configs_edit(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_configs_delete(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_configs_run(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_action(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_jobs_list(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_jobs_show(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_jobs_cancel(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_jobs_watch(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_completion(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_mdoc(const struct clm_cli_args *args, void *ctx);
int clm_cp_cmd_routes(const struct clm_cli_args *args, void *ctx);

/* The options --name, DNS names and addresses, as the object sans. Errors: INVAL, NOMEM. */
CLM_MUST_USE enum clm_code clm_cp_names_option(const struct clm_cli_args *args,
                                               struct clm_json *sans, struct clm_err *err);
/* The options of "certs add" that say how the request is made, as the member "csr" of body; nothing
 * if none is given. Errors: INVAL; those of reading a file. */
CLM_MUST_USE enum clm_code clm_cp_cli_csr(const struct clm_cli_args *args, struct clm_json *body,
                                          struct clm_err *err);

#endif
