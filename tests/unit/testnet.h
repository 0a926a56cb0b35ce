/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two network namespaces of the test's own, joined by a veth pair: the test lives at the near end. They have
 * no names and are held by nothing but the process, so that nothing is left behind, however the test ends.
 */
#ifndef PENSTOCK_TEST_TESTNET_H
#define PENSTOCK_TEST_TESTNET_H

#include <stddef.h>
#include <stdint.h>

#define TESTNET_INTERFACE "pst0" /* the near end; the far end is pst1 */
#define TESTNET_NEAR4 "10.99.0.1"
#define TESTNET_FAR4 "10.99.0.2"
#define TESTNET_NEAR6 "fd99::1"
#define TESTNET_FAR6 "fd99::2"

struct testnet {
	int near, far; /* namespaces */
	int raw;       /* packet socket on the far end's device */
};

/* Moves the calling thread, and all it will start, into a new near namespace. 0, or -1 with a reason on
 * stdout where the machine does not allow it. */
int testnet_create(struct testnet *net, unsigned int queues);
void testnet_destroy(struct testnet *net);

/* Runs a shell command at the near or the far end; its exit status. */
int testnet_near(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int testnet_far(const struct testnet *net, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* socket(2) at the far end. */
int testnet_far_socket(const struct testnet *net, int family, int type, int protocol);

/* Puts a frame on the wire at the far end, its MAC addresses filled in. 0 or -errno. */
int testnet_send_frame(const struct testnet *net, uint8_t *frame, size_t len);

/* Monotonic time for deadlines. */
uint64_t testnet_now_ns(void);

#endif
