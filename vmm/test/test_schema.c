#include "vmm/test/test_schema.h"

#include <errno.h>

#include "vmm/base/error.h"
#include "vmm/file/config_json.h"

#if HAVE_JANSSON

#include <jansson.h>
#include <stdlib.h>

/*
 * All but the VM, which is put below $defs.  tests/vmm/test_command_test.sh compares its names with
 * those that the reader allows (test_key.c, test_steps.c).  In here ' stands for ".
 */
#define REF(name) "{'$ref':'#/$defs/" name "'}"
#define STEP(name, value, options) \
	"{'type':'object','required':['" name "'],'properties':{'" name "':" value options \
	"},'additionalProperties':false}"
#define TIMEOUT ",'timeout':" REF("time")

static const char frame[] =
	"{'$schema':'https://json-schema.org/draft/2020-12/schema','title':'Vireo test file',"
	"'type':'object','properties':{"
	"'include':" REF("words") ",'defaults':" REF("test") ",'tests':{'type':'object',"
	"'propertyNames':{'pattern':'^[^./\\\\[\\\\]#][^/\\\\[\\\\]#]{0,99}$'},"
	"'additionalProperties':" REF("test") "}},'additionalProperties':false,'$defs':{"
	"'text':{'type':['string','number','boolean']},"
	"'words':{'anyOf':[" REF("text") ",{'type':'array','items':" REF("text") "}]},"
	"'pairs':{'type':'object','additionalProperties':" REF("text") "},"
	"'time':{'anyOf':[{'type':'number','exclusiveMinimum':0},"
	"{'type':'string','pattern':'^[0-9]+(\\\\.[0-9]*)?(ms|s|m|h)?$'}," REF("variable") "]},"
	"'patterns':{'anyOf':[" REF("text") ",{'type':'array','minItems':1,'items':" REF("text")
	"}]},"
	"'settings':{'type':'object','propertyNames':{'pattern':'^[a-z_]+\\\\..+'}},";

static const char test_part[] =
	"'test':{'type':'object','properties':{"
	"'vm':{'description':'a VM as in a VM file, or the name of one, or of several',"
	"'anyOf':[" REF("vm") "," REF("words") "]},"
	"'set':{'description':'settings by name, such as vm.memory, over those of the VM',"
	"'$ref':'#/$defs/settings'},"
	"'matrix':{'description':'one test for each combination of these values',"
	"'$ref':'#/$defs/settings'},"
	"'exclude':{'description':'combinations that are left out','type':['array','object']},"
	"'steps':{'type':'array','items':" REF("step") "},"
	"'tags':" REF("words") ",'env':" REF("pairs") ",'timeout':" REF("time") ","
	"'root':{'description':'a guest that Vireo makes: host, none or ./DIR',"
	"'$ref':'#/$defs/text'},"
	"'modules':{'description':'of its kernel: a directory','$ref':'#/$defs/text'},"
	"'copy':{'description':'into its initramfs: FILE or FILE=PATH','$ref':'#/$defs/words'},"
	"'expect':{'description':'how the guest ends',"
	"'enum':['poweroff','panic','reset','crash']},"
	"'status':{'anyOf':[{'type':'integer','minimum':0,'maximum':119}," REF("variable") "]},"
	"'fail_on':{'description':'panic, oops, bug, warn, lockup, or /REGEX/',"
	"'$ref':'#/$defs/words'},"
	"'strict_kernel':{'anyOf':[{'enum':[true,false,'yes','no','on','off']},"
	REF("variable") "]},"
	"'requires':" REF("words") ","
	"'retries':{'anyOf':[{'type':'integer','minimum':0,'maximum':100}," REF("variable") "]},"
	"'repeat':{'anyOf':[{'type':'integer','minimum':1,'maximum':10000}," REF("variable") "]}},"
	"'additionalProperties':false},";

static const char step_part[] =
	"'step':{'anyOf':["
	"{'enum':['wait','poweroff','power_button','pause','resume','reset','nmi']},"
	STEP("expect", REF("patterns"), ",'not':" REF("text") TIMEOUT) ","
	STEP("send", REF("text"), TIMEOUT) ","
	STEP("run", REF("patterns"), ",'stdout':" REF("text") ",'stderr':" REF("text")
	     ",'status':{'type':'integer','minimum':0,'maximum':255},'stdin':" REF("text")
	     ",'env':" REF("pairs") ",'cwd':" REF("text") TIMEOUT) ","
	STEP("copy_in", REF("text"), ",'to':" REF("text") TIMEOUT) ","
	STEP("copy_out", REF("text"), ",'to':" REF("text") TIMEOUT) ","
	STEP("wait", "{'enum':['ready','end',null]}", TIMEOUT) ","
	STEP("sleep", REF("time"), "") ","
	STEP("poweroff", "{'type':'null'}", TIMEOUT) ","
	STEP("power_button", "{'type':'null'}", "") ","
	STEP("pause", "{'type':'null'}", "") ","
	STEP("resume", "{'type':'null'}", "") ","
	STEP("reset", "{'type':'null'}", "") ","
	STEP("nmi", "{'type':'null'}", "") "]}}}";

static json_t *load_frame(void)
{
	char *text = NULL;
	json_t *top;

	if (asprintf(&text, "%s%s%s", frame, test_part, step_part) < 0)
		return NULL;
	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	top = json_loads(text, 0, NULL);
	free(text);
	return top;
}

/* The schema of VM files; NULL without memory. */
static json_t *load_vm(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	json_t *vm = NULL;
	int r;

	if (!out)
		return NULL;
	r = config_write_schema(out);
	if (fclose(out) == 0 && r == 0)
		vm = json_loads(text, 0, NULL);
	free(text);
	return vm;
}

int test_schema_write(FILE *out)
{
	json_t *top = load_frame(), *vm = load_vm(), *defs = json_object_get(top, "$defs");
	/* References are from the top. */
	bool good = defs && vm && json_object_update(defs, json_object_get(vm, "$defs")) == 0 &&
		    json_object_del(vm, "$defs") == 0 && json_object_del(vm, "$schema") == 0 &&
		    json_object_set(defs, "vm", vm) == 0 &&
		    json_dumpf(top, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF;

	json_decref(vm);
	json_decref(top);
	return good ? 0 : error_set(ENOMEM, "write the schema of test files");
}

#else

int test_schema_write(FILE *out)
{
	return config_write_schema(out);
}

#endif
