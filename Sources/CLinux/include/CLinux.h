/* System calls that Swift cannot see, or cannot make safely in a multithreaded process.
 * Every function returns a non-negative result, or -errno. */
#pragma once

#include "pt_bpf.h"
#include "pt_epoll.h"
#include "pt_file_actions.h"
#include "pt_landlock.h"
#include "pt_mount.h"
#include "pt_netns.h"
#include "pt_priority.h"
#include "pt_process.h"
#include "pt_seccomp.h"
#include "pt_spawn.h"
#include "pt_tc.h"
#include "pt_terminal.h"
#include "pt_time.h"
#include "pt_unix.h"
