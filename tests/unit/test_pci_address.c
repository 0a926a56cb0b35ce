/* SPDX-License-Identifier: BSD-3-Clause */
#include "pci_address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void addresses(void **state)
{
	static const char *const cases[][2] = {
	    {"0000:3b:00.0", "0000:3b:00.0"},
	    {"3b:00.1", "0000:3b:00.1"},
	    {"0:3:1f.7", "0000:03:1f.7"},
	    {"pci:0001:AF:0b.2", "0001:af:0b.2"},
	    {"pci:00:02.0", "0000:00:02.0"},
	    {"ffff:ff:1f.7", "ffff:ff:1f.7"},
	    {"0000:00:03.0,vectorized=1", "0000:00:03.0"},
	    {"00:03.0,", "0000:00:03.0"},
	    {"00:03.0,mac=52:54:00:00:00:01", "0000:00:03.0"},
	};
	char out[PCI_ADDRESS_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!pci_address(cases[i][0], out))
			fail_msg("%s", cases[i][0]);
		assert_string_equal(out, cases[i][1]);
	}
}

static void others(void **state)
{
	static const char *const cases[] = {"", "pci:", "net_ring0", "net_af_xdp",
	    "net_pcap0,rx_pcap=00:03.0", "0000:3b:00", "0000:3b:00.", "0000:3b:00.8", "0000:3b:00.0x",
	    "0000:3b:20.0", "0000:100:00.0", "10000:00:00.0", "0000:3b:00.00", ":3b:00.0", "3b::00.0",
	    " 3b:00.0", "3b:-1.0", "0x0:3b:00.0", "vdev:3b:00.0", "3b", "3b:", "dead:beef", "net:00:03.0",
	    "a:b:c:d.0"};
	char out[PCI_ADDRESS_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (pci_address(cases[i], out))
			fail_msg("%s: %s", cases[i], out);
}

static void nobody_holds_nothing(void **state)
{
	char driver[32];

	(void)state;
	assert_int_equal(pci_driver("ffff:ff:1f.7", driver, sizeof(driver)), -ENODEV);
	assert_int_equal(pci_driver("0123456789012345678901234567890123456789012345678901234567890123456789",
	                     driver, sizeof(driver)),
	    -ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(others),
	    cmocka_unit_test(nobody_holds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
