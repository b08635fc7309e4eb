/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/notify.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/str.h"

void clm_notify(const char *state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path == NULL ? 0 : strlen(path);

    if (len < 2 || len >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(addr.sun_path, path, len);
    if (path[0] == '@') {
        addr.sun_path[0] = '\0'; /* the abstract name space, unix(7) */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&addr,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    (void)close(fd);
}

int64_t clm_notify_watchdog_ms(void)
{
    const char *usec_text = getenv("WATCHDOG_USEC");
    const char *pid_text = getenv("WATCHDOG_PID");
    int64_t usec = 0;
    int64_t pid = (int64_t)getpid();

    if (usec_text == NULL || clm_str_to_int(usec_text, 1, INT64_MAX, &usec, NULL) != CLM_OK) {
        return 0;
    }
    if (pid_text != NULL &&
        (clm_str_to_int(pid_text, 1, INT32_MAX, &pid, NULL) != CLM_OK || pid != getpid())) {
        return 0;
    }
    return usec / 2000 > 0 ? usec / 2000 : 1;
}
