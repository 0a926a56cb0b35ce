/* SPDX-License-Identifier: BSD-3-Clause */
#include "steer.h"

#include "steer.skel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(STEER_VERDICTS <= STEER_MAX_QUEUES, "one array of keys for both maps");

#define PORT_WORDS (65536u / 32)
#define XDP_MTU_BYTES 3498 /* the most that fits one page with the headroom XDP needs */

struct steer {
	struct steer_bpf *bpf;
	int link; /* file descriptor of the bpf_link; its end detaches */
	int cpus;
	bool generic;
};

const char *steer_verdict_name(enum steer_verdict verdict)
{
	static const char *const names[] = {
	    [STEER_NOT_IP] = "not_ip",
	    [STEER_NOT_UDP] = "not_udp",
	    [STEER_OTHER_PORT] = "other_port",
	    [STEER_FRAGMENT] = "fragment",
	    [STEER_NO_SOCKET] = "no_socket",
	    [STEER_TRUNCATED] = "truncated",
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == STEER_VERDICTS, "a name for each verdict");

	return names[verdict];
}

/* The interface must be there and up; its MTU is for the message of a failed attach. */
static int inspect(const char *interface, int *ifindex, int *mtu, struct error *err)
{
	struct ifreq request = {0};
	int rc = 0, fd;

	*ifindex = (int)if_nametoindex(interface);
	if (*ifindex == 0)
		return error_set(err, -ENODEV, "%s: no such interface", interface);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, -errno, "%s: socket: %s", interface, strerror(errno));
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		rc = error_set(err, -errno, "%s: flags: %s", interface, strerror(errno));
	else if ((request.ifr_flags & IFF_UP) == 0)
		rc = error_set(
		    err, -ENETDOWN, "%s: the interface is down; `ip link set %s up`", interface, interface);
	else if (ioctl(fd, SIOCGIFMTU, &request) < 0)
		rc = error_set(err, -errno, "%s: MTU: %s", interface, strerror(errno));
	*mtu = request.ifr_mtu;
	(void)close(fd);
	return rc;
}

static int set_ports(const struct steer *steer, const uint16_t *udp_ports, size_t n)
{
	uint32_t words[PORT_WORDS] = {0};
	int rc;

	for (size_t i = 0; i < n; i++)
		words[udp_ports[i] / 32] |= 1u << udp_ports[i] % 32;
	for (uint32_t i = 0; i < PORT_WORDS; i++) {
		if (words[i] == 0)
			continue;
		rc = bpf_map__update_elem(
		    steer->bpf->maps.ports, &i, sizeof(i), &words[i], sizeof(words[i]), BPF_ANY);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int attach(struct steer *steer, int ifindex, uint32_t mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode);

	steer->link =
	    bpf_link_create(bpf_program__fd(steer->bpf->progs.xsk_def_prog), ifindex, BPF_XDP, &options);
	return steer->link < 0 ? steer->link : 0;
}

static int attach_error(const char *interface, int ifindex, int mtu, int rc, struct error *err)
{
	uint32_t id = 0;

	if (bpf_xdp_query_id(ifindex, 0, &id) == 0 && id != 0)
		return error_set(err, -EBUSY,
		    "%s: XDP program %u is attached already; if nothing needs it, `ip link set %s xdp off`",
		    interface, id, interface);
	if (rc == -ERANGE || mtu > XDP_MTU_BYTES)
		return error_set(err, -E2BIG,
		    "%s: the MTU of the interface (%d), or of its veth peer, is too large for XDP; at most "
		    "%d",
		    interface, mtu, XDP_MTU_BYTES);
	if (rc == -ENOSPC)
		return error_set(err, rc,
		    "%s: it has fewer receive queues than its veth peer has transmit queues", interface);
	return error_set(err, rc, "%s: attaching the XDP program: %s", interface, strerror(-rc));
}

static int load_and_attach(
    struct steer *steer, const char *interface, const uint16_t *udp_ports, size_t n_ports, struct error *err)
{
	int ifindex = 0, mtu = 0, rc;

	rc = inspect(interface, &ifindex, &mtu, err);
	if (rc < 0)
		return rc;
	steer->cpus = libbpf_num_possible_cpus();
	if (steer->cpus < 0)
		return error_set(err, steer->cpus, "counting CPUs: %s", strerror(-steer->cpus));
	steer->bpf = steer_bpf__open_and_load();
	if (steer->bpf == NULL && (errno == EPERM || errno == EACCES))
		return error_set(err, -EPERM,
		    "%s: loading the XDP program needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW",
		    interface);
	if (steer->bpf == NULL)
		return error_set(err, -errno, "%s: loading the XDP program: %s", interface, strerror(errno));
	rc = set_ports(steer, udp_ports, n_ports);
	if (rc < 0)
		return error_set(err, rc, "%s: setting the UDP ports: %s", interface, strerror(-rc));
	rc = attach(steer, ifindex, XDP_FLAGS_DRV_MODE);
	if (rc == -EOPNOTSUPP) {
		steer->generic = true;
		rc = attach(steer, ifindex, XDP_FLAGS_SKB_MODE);
	}
	return rc < 0 ? attach_error(interface, ifindex, mtu, rc, err) : 0;
}

int steer_open(
    const char *interface, const uint16_t *udp_ports, size_t n_ports, struct steer **out, struct error *err)
{
	struct steer *steer = calloc(1, sizeof(*steer));
	libbpf_print_fn_t print;
	int rc;

	*out = NULL;
	if (steer == NULL)
		return error_set(err, -ENOMEM, "%s: out of memory", interface);
	steer->link = -1;
	/* libbpf would write to stderr what the error says. */
	print = libbpf_set_print(NULL);
	rc = load_and_attach(steer, interface, udp_ports, n_ports, err);
	(void)libbpf_set_print(print);
	if (rc < 0) {
		steer_close(steer);
		return rc;
	}
	*out = steer;
	return 0;
}

const char *steer_mode(const struct steer *steer)
{
	return steer->generic ? "generic" : "native";
}

/* One system call for all keys; the values of a key are one per CPU. */
static int read_map(const struct bpf_map *map, uint32_t n, int cpus, uint64_t *sums)
{
	uint64_t *values = calloc((size_t)n * (size_t)cpus, sizeof(*values));
	uint32_t keys[STEER_MAX_QUEUES], next, count = n;
	int rc;

	if (values == NULL)
		return -ENOMEM;
	rc = bpf_map_lookup_batch(bpf_map__fd(map), NULL, &next, keys, values, &count, NULL);
	/* -ENOENT: there are no more keys than these. */
	if (rc == -ENOENT && count == n)
		rc = 0;
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		sums[keys[i]] = 0;
		for (int cpu = 0; cpu < cpus; cpu++)
			sums[keys[i]] += values[i * (uint32_t)cpus + (uint32_t)cpu];
	}
	free(values);
	return rc;
}

int steer_counters(const struct steer *steer, struct steer_counters *out)
{
	int rc = read_map(steer->bpf->maps.redirected, STEER_MAX_QUEUES, steer->cpus, out->redirected);

	if (rc == 0)
		rc = read_map(steer->bpf->maps.verdicts, STEER_VERDICTS, steer->cpus, out->passed);
	return rc;
}

void steer_close(struct steer *steer)
{
	if (steer == NULL)
		return;
	if (steer->link >= 0)
		(void)close(steer->link);
	steer_bpf__destroy(steer->bpf);
	free(steer);
}
