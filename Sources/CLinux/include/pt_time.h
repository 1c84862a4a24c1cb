/* Clocks that count sleep, and the news that somebody set the one on the wall: every call gives -errno when it fails. */
#ifndef PT_TIME_H
#define PT_TIME_H

#include <stdint.h>

/* Makes a timer readable at a moment of CLOCK_BOOTTIME in nanoseconds; 0 disarms it. The timer is pt_boot_timer's. */
int pt_boot_timer_at(int fd, uint64_t nanoseconds);

/* A descriptor that is readable once the clock on the wall was set, or the machine was resumed. */
int pt_clock_watch(void);
/* Empties a timer or a watch that is readable, and arms the watch again. */
int pt_timer_drain(int fd);
int pt_clock_watch_again(int fd);

#endif
