/* SPDX-License-Identifier: BSD-3-Clause */
#include "port.h"

#include "pci_address.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#define TX_DESCRIPTORS 512
#define MBUF_CACHE 256u
#define LINK_POLL_MS 20

/* "net_pcap0,rx_pcap=f" -> "net_pcap0", "3b:00.0" -> "0000:3b:00.0": by that name the port is found. */
static int port_name(const char *device, char *out, size_t size)
{
	size_t len = strcspn(device, ",");

	if (pci_address(device, out))
		return 0;
	if (len == 0 || len >= size)
		return -EINVAL;
	memcpy(out, device, len);
	out[len] = '\0';
	return 0;
}

/* Why DPDK did not take the device. For a card the usual reason is whose it is. */
static int probe_failed(const char *device, int rc, struct error *err)
{
	static const char text[] = "DPDK cannot open this device";
	char address[PCI_ADDRESS_BYTES], driver[32];
	int holder;

	if (!pci_address(device, address))
		return error_set(err, rc, "%s: %s: %s", device, text,
		    rc == -ENOTSUP || rc == -ENOENT ? "no driver takes it" : strerror(-rc));
	holder = pci_driver(address, driver, sizeof(driver));
	if (holder == -ENODEV)
		return error_set(err, rc, "%s: %s: there is no PCI device %s", device, text, address);
	if (holder != 0)
		return error_set(err, rc, "%s: %s: no driver holds it; dpdk-devbind.py -b vfio-pci %s",
		    device, text, address);
	return error_set(err, rc, "%s: %s: %s; the kernel's driver %s holds it, most cards need vfio-pci",
	    device, text, strerror(-rc), driver);
}

static int find_port(const struct port_options *options, struct port *port, struct error *err)
{
	struct rte_eth_dev_owner owner = {.name = "penstock"};
	char name[RTE_ETH_NAME_MAX_LEN], address[PCI_ADDRESS_BYTES];
	bool pci = pci_address(options->device, address);
	int rc;

	if (port_name(options->device, name, sizeof(name)) < 0)
		return error_set(err, -EINVAL, "\"%s\": not a device name", options->device);
	if (rte_eth_dev_get_port_by_name(name, &port->id) != 0) {
		rc = rte_dev_probe(options->device);
		if (rc < 0)
			return probe_failed(options->device, rc, err);
		port->probed = true;
		if (rte_eth_dev_get_port_by_name(name, &port->id) != 0) {
			(void)rte_eal_hotplug_remove(pci ? "pci" : "vdev", name);
			return error_set(err, -ENODEV, "%s: the device has no Ethernet port", name);
		}
	}
	port->open = true;
	rc = rte_eth_dev_owner_new(&owner.id);
	if (rc == 0)
		rc = rte_eth_dev_owner_set(port->id, &owner);
	if (rc < 0) {
		/* Somebody else's: not to be closed by us. */
		port->open = false;
		return error_set(err, -EBUSY, "%s: the port is in use already", name);
	}
	return 0;
}

static int create_pool(const struct port_options *options, struct port *port, struct error *err)
{
	uint32_t mbufs = options->mbufs * options->queues;
	uint32_t cache = mbufs / 2 < MBUF_CACHE ? mbufs / 2 : MBUF_CACHE;
	int node = options->node >= 0 ? options->node : rte_eth_dev_socket_id(port->id);
	char name[RTE_MEMPOOL_NAMESIZE];

	/* The mbufs that a port had before may still be there. */
	for (uint32_t i = 0; i == 0 || rte_mempool_lookup(name) != NULL; i++)
		(void)snprintf(name, sizeof(name), "rx%" PRIxPTR ".%u", (uintptr_t)port, i);
	port->pool = rte_pktmbuf_pool_create(name, mbufs, cache, 0, options->data_room, node);
	if (port->pool == NULL)
		return error_set(err, -rte_errno, "%s: no memory for %u mbufs of %u bytes on node %d: %s",
		    options->device, mbufs, options->data_room, node, rte_strerror(rte_errno));
	return 0;
}

/* Virtio filters VLANs from the moment that it can, starting with none: all are let in. Other cards do so only when
 * told to. */
static bool filters_vlans(const struct rte_eth_dev_info *info)
{
	return strcmp(info->driver_name, "net_virtio") == 0 &&
	       (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_FILTER) != 0;
}

static int accept_vlans(const struct port_options *options, const struct port *port, struct error *err)
{
	for (uint16_t id = 0; id <= RTE_ETHER_MAX_VLAN_ID; id++) {
		int rc = rte_eth_dev_vlan_filter(port->id, id, 1);

		if (rc < 0)
			return error_set(
			    err, rc, "%s: letting VLAN %u in: %s", options->device, id, strerror(-rc));
	}
	return 0;
}

static int configure(const struct port_options *options, struct port *port, struct error *err)
{
	const uint64_t checksums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	const uint64_t spread = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP;
	uint16_t rx_descriptors = options->descriptors, tx_descriptors = TX_DESCRIPTORS;
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	uint16_t n_tx;
	int rc;

	rc = rte_eth_dev_info_get(port->id, &info);
	if (rc < 0)
		return error_set(
		    err, rc, "%s: reading what the port offers: %s", options->device, strerror(-rc));
	(void)snprintf(port->driver, sizeof(port->driver), "%s", info.driver_name);
	if (options->queues > info.max_rx_queues)
		return error_set(err, -EINVAL, "%s: the port has %u rx queues, %u are asked for",
		    options->device, info.max_rx_queues, options->queues);
	rc = create_pool(options, port, err);
	if (rc < 0)
		return rc;
	conf.rxmode.offloads = info.rx_offload_capa & checksums;
	port->hw_ip_checksum = (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0;
	port->hw_udp_checksum = (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_UDP_CKSUM) != 0;
	if (filters_vlans(&info))
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
	if (options->queues > 1 && (info.flow_type_rss_offloads & spread) != 0) {
		port->rss = true;
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads & spread;
	}
	/* Acknowledgements leave by the queue that the frames came by. */
	n_tx = info.max_tx_queues < options->queues ? info.max_tx_queues : options->queues;
	port->n_tx = n_tx;
	rc = rte_eth_dev_configure(port->id, options->queues, n_tx, &conf);
	if (rc < 0)
		return error_set(err, rc, "%s: configuring %u rx queues: %s", options->device,
		    options->queues, strerror(-rc));
	rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx_descriptors, &tx_descriptors);
	for (uint16_t q = 0; rc == 0 && q < options->queues; q++)
		rc = rte_eth_rx_queue_setup(port->id, q, rx_descriptors,
		    (unsigned int)rte_eth_dev_socket_id(port->id), NULL, port->pool);
	for (uint16_t q = 0; rc == 0 && q < n_tx; q++)
		rc = rte_eth_tx_queue_setup(
		    port->id, q, tx_descriptors, (unsigned int)rte_eth_dev_socket_id(port->id), NULL);
	if (rc < 0)
		return error_set(err, rc, "%s: setting up the queues: %s", options->device, strerror(-rc));
	rc = rte_eth_dev_start(port->id);
	if (rc < 0)
		return error_set(err, rc, "%s: starting the port: %s", options->device, strerror(-rc));
	return filters_vlans(&info) ? accept_vlans(options, port, err) : 0;
}

int port_open(const struct port_options *options, struct port *port, struct error *err)
{
	int rc;

	*port = (struct port){0};
	rc = find_port(options, port, err);
	if (rc == 0)
		rc = configure(options, port, err);
	if (rc < 0)
		port_close(port);
	return rc;
}

bool port_wait_link(const struct port *port, uint32_t timeout_ms)
{
	const struct timespec pause = {.tv_nsec = LINK_POLL_MS * 1000000};
	struct rte_eth_link link;

	for (uint32_t waited = 0;; waited += LINK_POLL_MS) {
		if (rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP)
			return true;
		if (waited >= timeout_ms)
			return false;
		(void)nanosleep(&pause, NULL);
	}
}

void port_describe_link(const struct port *port, char *out, size_t size)
{
	struct rte_ether_addr mac;
	struct rte_eth_link link;
	char speed[32] = "";

	*out = '\0';
	if (rte_eth_macaddr_get(port->id, &mac) != 0 || rte_eth_link_get_nowait(port->id, &link) != 0)
		return;
	if (link.link_status == RTE_ETH_LINK_UP && link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		(void)snprintf(speed, sizeof(speed), ", %u Mbit/s", link.link_speed);
	(void)snprintf(out, size, RTE_ETHER_ADDR_PRT_FMT ", link %s%s", RTE_ETHER_ADDR_BYTES(&mac),
	    link.link_status == RTE_ETH_LINK_UP ? "up" : "down", speed);
}

void port_close(struct port *port)
{
	struct rte_eth_dev_info info;

	if (port->open) {
		struct rte_device *device = rte_eth_dev_info_get(port->id, &info) == 0 ? info.device : NULL;

		(void)rte_eth_dev_stop(port->id);
		(void)rte_eth_dev_close(port->id);
		if (port->probed && device != NULL)
			(void)rte_dev_remove(device);
	}
	rte_mempool_free(port->pool);
	*port = (struct port){0};
}
