/* A directory of a test's own, which goes with all that is in it. */
#ifndef TESTS_TEMP_TREE_H
#define TESTS_TEMP_TREE_H

enum { TEMP_TREE_SIZE = 64 };

/* Make one, and write its path.  A failure fails the test. */
void temp_tree_make(char path[TEMP_TREE_SIZE]);

/* Remove it, as far as that can be.  Returns 0 if nothing is left. */
int temp_tree_remove(const char *path);

#endif
