#define _GNU_SOURCE
#include "pt_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_inner(int outer, uint32_t uid, uint32_t gid)
{
	int locked = 0;
	int inner;

	if (ioctl(outer, TIOCSPTLCK, &locked) < 0)
		return -1;
	/* By the outer end and not by a path, which might be another's. */
	inner = ioctl(outer, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (inner < 0)
		return -1;
	if (fchown(inner, uid, gid) == 0 && fchmod(inner, 0600) == 0)
		return inner;
	close(inner);
	return -1;
}

int pt_terminal_pair(uint32_t uid, uint32_t gid, int *outer, int *inner)
{
	int error;

	*outer = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*outer < 0)
		return -errno;
	*inner = open_inner(*outer, uid, gid);
	if (*inner >= 0)
		return 0;
	error = -errno;
	close(*outer);
	return error;
}

int pt_terminal_size(int fd, struct pt_terminal_size *size)
{
	struct winsize window;

	if (ioctl(fd, TIOCGWINSZ, &window) < 0)
		return -errno;
	*size = (struct pt_terminal_size){ window.ws_row, window.ws_col };
	return 0;
}

int pt_terminal_resize(int fd, struct pt_terminal_size size)
{
	struct winsize window = { .ws_row = size.rows, .ws_col = size.columns };

	return ioctl(fd, TIOCSWINSZ, &window) < 0 ? -errno : 0;
}
