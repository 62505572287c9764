/*
 * A driver's side of the interrupts of an echo device over virtio-pci: its MSI-X table, in which
 * vector 'v' sends the message (0xfee00000, v), and the INTx line.
 */
#ifndef TESTS_DRIVER_MSIX_H
#define TESTS_DRIVER_MSIX_H

#include "tests/support/fake_driver.h"

/* Where the capability lies in configuration space.  There is one, or the test ends. */
unsigned driver_msix_find(struct fake_driver *d);

/* The address of a vector's entry.  'd' knows the modern registers, here and below. */
uint64_t driver_msix_entry(struct fake_driver *d, unsigned vector);

/* Fill the whole table and set MSI-X Enable, or clear it. */
void driver_msix_switch(struct fake_driver *d, bool on);

/* How many messages of 'vector' were sent since the last call. */
unsigned driver_msix_take(struct fake_driver *d, unsigned vector);

/* The level of the function's INTx line. */
bool driver_line(struct fake_driver *d);

#endif
