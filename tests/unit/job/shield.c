/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/job/shield.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/sabotage.h"

#define EDIT "edited"

static struct clm_io real; /* the scene's; here it is called unharmed */

#define UNHARMED(name, params, args)                                                               \
    static enum clm_code unharmed_##name params                                                    \
    {                                                                                              \
        bool was_on = clm_sabotage_pause();                                                        \
        enum clm_code code = real.name args;                                                       \
                                                                                                   \
        clm_sabotage_resume(was_on);                                                               \
        return code;                                                                               \
    }

UNHARMED(run,
         (void *ctx, const char *const *argv, uint32_t timeout_ms, int *out_status,
          struct clm_buf *output, struct clm_err *err),
         (ctx, argv, timeout_ms, out_status, output, err))
UNHARMED(run_env,
         (void *ctx, const struct clm_program *program, int *out_status, struct clm_buf *output,
          struct clm_err *err),
         (ctx, program, out_status, output, err))
UNHARMED(unit_reload, (void *ctx, const char *name, uint32_t timeout_ms, struct clm_err *err),
         (ctx, name, timeout_ms, err))
UNHARMED(unit_restart, (void *ctx, const char *name, uint32_t timeout_ms, struct clm_err *err),
         (ctx, name, timeout_ms, err))
UNHARMED(probe,
         (void *ctx, const struct clm_endpoint *endpoint, struct clm_observation *out,
          struct clm_err *err),
         (ctx, endpoint, out, err))

void shield(struct scene *scene)
{
    struct clm_io *io = &scene->server.io;

    real = *io;
    io->run = unharmed_run;
    io->run_env = unharmed_run_env;
    io->unit_reload = unharmed_unit_reload;
    io->unit_restart = unharmed_unit_restart;
    io->probe = unharmed_probe;
}

void shield_watch(void *arg, const char *op, int dir_fd, const char *name)
{
    struct shield_editor *editor = arg;

    (void)name;
    if (!editor->is_done && dir_fd >= 0 && strcmp(op, editor->op) == 0) {
        bool was_on = clm_sabotage_pause();

        editor->is_done = true;
        scene_write(editor->path, EDIT, strlen(EDIT), 0600);
        clm_sabotage_resume(was_on);
    }
}

bool shield_is_edited(const char *path)
{
    const struct clm_buf edited = {
        .data = (uint8_t[]){EDIT}, .len = strlen(EDIT), .cap = sizeof(EDIT)};

    return scene_holds(path, &edited);
}

bool shield_is_kept(const struct scene *scene)
{
    DIR *dir = opendir(scene->etc);
    struct dirent *entry;
    bool is_kept = false;

    while (dir != NULL && !is_kept && (entry = readdir(dir)) != NULL) {
        char path[PATH_MAX];

        (void)snprintf(path, sizeof(path), "%.3000s/%s", scene->etc, entry->d_name);
        is_kept = entry->d_type == DT_REG && shield_is_edited(path);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return is_kept;
}
