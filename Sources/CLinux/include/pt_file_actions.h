/* What posix_spawn does with descriptors and only glibc's extensions show. */
#pragma once

#include <spawn.h>

/* The program gets none of the descriptors from first on, whoever left them open. */
int pt_file_actions_close_from(posix_spawn_file_actions_t *actions, int first);
