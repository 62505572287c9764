/*
 * Tests that need a vhost of a real kernel.  They are in suites called real_...; tests/vhost/check
 * runs those in the test bed, where each must run.  Elsewhere one that finds no node is skipped.
 */
#ifndef TESTS_REAL_VHOST_H
#define TESTS_REAL_VHOST_H

/*
 * Open the node, e.g. "/dev/vhost-net".  Without it the test ends here: skipped, or failed in the
 * bed.
 */
int real_vhost_open(const char *path);

/* The same without opening it. */
void real_vhost_need(const char *path);

#endif
