/*
 * Text as a scalar of a VM file, so that every reader of YAML or JSON takes it for the same text
 * and for no other type.  A '$' is written twice: alone it would name a variable.
 */
#ifndef FILE_YAML_SCALAR_H
#define FILE_YAML_SCALAR_H

#include <stdio.h>

#include "vmm/base/util.h"

/*
 * Write 'text' plain where nobody can misunderstand it, else in double quotes, as JSON does.
 * Returns 0; or -EILSEQ if it is not UTF-8, which no file can hold: nothing was written then.
 */
MUST_USE int yaml_put_text(FILE *out, const char *text);

/*
 * The same for the value of a key in a block mapping at 'indent' spaces: text of several lines
 * stands below, as it is, if it can.
 */
MUST_USE int yaml_put_block(FILE *out, const char *text, unsigned indent);

/* The same for a key, in which a '$' is only that. */
MUST_USE int yaml_put_key(FILE *out, const char *text);

/* The same text with each '$' twice, returned owned; NULL when memory is short. */
char *yaml_double_dollars(const char *text);

/*
 * Write a JSON text (UTF-8) with everything escaped that is not to be seen as it is: JSON lets some
 * of that stand that no file of YAML may have.
 */
void yaml_put_json(FILE *out, const char *json);

/* Is it UTF-8 (no surrogates, nothing overlong)? */
bool yaml_is_utf8(const char *text);

#endif
