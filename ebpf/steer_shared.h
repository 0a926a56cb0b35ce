/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/* What the XDP program and its user space share: the shapes of the maps. */
#ifndef PENSTOCK_STEER_SHARED_H
#define PENSTOCK_STEER_SHARED_H

#define STEER_MAX_QUEUES 256

/* Keys of the map `verdicts`: why a frame went to the kernel. */
enum steer_verdict {
	STEER_NOT_IP,
	STEER_NOT_UDP,
	STEER_OTHER_PORT,
	STEER_FRAGMENT,
	STEER_NO_SOCKET,
	STEER_TRUNCATED,
	STEER_VERDICTS
};

#endif
