/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/dashboard.h"

#include <string.h>

#include "controlplane/handlers.h"

/* Nothing from elsewhere, no inline script, no framing. */
#define CSP                                                                                        \
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "               \
    "form-action 'self'; frame-ancestors 'none'"

static const char *const types[][2] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".txt", "text/plain; charset=utf-8"},
};

static const char *type_of(const char *name)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(types); i++) {
        if (clm_str_ends(name, types[i][0])) {
            return types[i][1];
        }
    }
    return "application/octet-stream";
}

CLM_CP_HANDLER(clm_cp_get_dashboard)
{
    const char *name = req->param[0] != '\0' ? req->param : "index.html";

    for (const struct clm_cp_file *file = clm_cp_dashboard_files; file->name != NULL; file++) {
        if (strcmp(file->name, name) == 0) {
            (void)clm_cp_answer_empty(answer, 200);
            answer->content_type = type_of(name);
            clm_cp_answer_header(answer, "Content-Security-Policy", CSP);
            clm_cp_answer_header(answer, "Referrer-Policy", "no-referrer");
            clm_cp_answer_header(answer, "Cache-Control", "no-cache");
            return clm_buf_add(&answer->body, file->data, file->len, err);
        }
    }
    return clm_cp_answer_problem(req, answer, CLM_CP_NOT_FOUND, "no file '%s'", name);
}
