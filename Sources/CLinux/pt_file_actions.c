#define _GNU_SOURCE
#include "pt_file_actions.h"

int pt_file_actions_close_from(posix_spawn_file_actions_t *actions, int first)
{
	return -posix_spawn_file_actions_addclosefrom_np(actions, first);
}
