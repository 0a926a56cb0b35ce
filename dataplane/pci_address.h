/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCI address that a DPDK device string may begin with, and who holds the device. Any thread; files of sysfs are
 * read, nothing is opened for use. */
#ifndef PENSTOCK_PCI_ADDRESS_H
#define PENSTOCK_PCI_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define PCI_ADDRESS_BYTES 13u /* "0000:3b:00.0" */

/* Whether `device` is a PCI device: "3b:00.0", "0000:3b:00.0" or "pci:0000:3b:00.0", alone or before ",args". Then
 * `out` is the address in full, which is how DPDK and sysfs call the device. */
bool pci_address(const char *device, char out[PCI_ADDRESS_BYTES]);

/* The kernel driver that holds the device at the full address: "vfio-pci". -ENODEV: there is no such device; -ENOENT: no
 * driver holds it. */
int pci_driver(const char *address, char *out, size_t size);

#endif
