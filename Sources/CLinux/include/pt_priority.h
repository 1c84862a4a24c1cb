/* Whose turn the CPU is. */
#pragma once

/* A thread (0: the calling one) runs before everything that is not of real time; so do threads and processes that it
 * makes from then on. */
int pt_precede(int thread);

/* The calling thread waits for its turn like everybody. */
int pt_wait_in_turn(void);
