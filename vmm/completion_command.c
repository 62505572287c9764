/* "vireo completion": the scripts of shells, and the answers to them. */
#include <string.h>

#include "vmm/base/error.h"
#include "vmm/command.h"
#include "vmm/completion.h"
#include "vmm/help.h"
#include "vmm/outcome.h"

/*
 * Bash cuts words at '=' and ':', and replaces only what is behind the last cut.  What stands
 * together on the line is put together first, and the cut is taken off the candidates again.
 */
static const char bash_script[] =
	"# Completion of vireo for bash; written by 'vireo completion bash'.\n"
	"_vireo() {\n"
	"\tlocal words=() lines=() rest word i cur cut head prefix file\n"
	"\trest=${COMP_LINE#*\"${COMP_WORDS[0]}\"}\n"
	"\tfor ((i = 1; i <= COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif [[ $rest == [[:space:]]* || ${#words[@]} -eq 0 ]]; then\n"
	"\t\t\twords+=(\"$word\")\n"
	"\t\telse\n"
	"\t\t\twords[${#words[@]}-1]+=$word\n"
	"\t\tfi\n"
	"\t\trest=${rest#\"${rest%%[![:space:]]*}\"}\n"
	"\t\trest=${rest#\"$word\"}\n"
	"\tdone\n"
	"\tcur=${words[${#words[@]}-1]}\n"
	"\tcut=\n"
	"\tif [[ $COMP_WORDBREAKS == *=* ]]; then cut=${cur%\"${cur##*[=:]}\"}; fi\n"
	"\tmapfile -t lines < <(\"${COMP_WORDS[0]/#\\~/$HOME}\" completion --for \\\n"
	"\t\t\"${words[@]}\" 2>/dev/null)\n"
	"\tCOMPREPLY=()\n"
	"\thead=${lines[0]-}\n"
	"\tfor ((i = 1; i < ${#lines[@]}; i++)); do\n"
	"\t\tword=${lines[i]%%$'\\t'*}\n"
	"\t\tCOMPREPLY+=(\"${word#\"$cut\"}\")\n"
	"\tdone\n"
	"\tif [[ $head == files* ]]; then\n"
	"\t\tprefix=${head#*$'\\t'}\n"
	"\t\twhile IFS= read -r file; do\n"
	"\t\t\tword=$prefix$file\n"
	"\t\t\tword=$(printf %q \"${word#\"$cut\"}\")\n"
	"\t\t\tif [[ -d $file ]]; then word+=/; fi\n"
	"\t\t\tCOMPREPLY+=(\"$word\")\n"
	"\t\tdone < <(compgen -f -- \"${cur#\"$prefix\"}\")\n"
	"\tfi\n"
	"\tif [[ $head == more || ${COMPREPLY[0]-} == */ ]]; then\n"
	"\t\tcompopt -o nospace 2>/dev/null\n"
	"\tfi\n"
	"}\n"
	"complete -F _vireo vireo\n";

static const char zsh_script[] =
	"#compdef vireo\n"
	"# Completion of vireo for zsh; written by 'vireo completion zsh'.\n"
	"_vireo() {\n"
	"\tlocal -a lines candidates\n"
	"\tlocal line head\n"
	"\tlines=(\"${(@f)$(\"${words[1]/#\\~/$HOME}\" completion --for \\\n"
	"\t\t\"${(@Q)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
	"\thead=$lines[1]\n"
	"\tfor line in \"${(@)lines[2,-1]}\"; do\n"
	"\t\tcandidates+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
	"\tdone\n"
	"\tif (( $#candidates )); then\n"
	"\t\tif [[ $head == more ]]; then\n"
	"\t\t\t_describe -V vireo candidates -S ''\n"
	"\t\telse\n"
	"\t\t\t_describe -V vireo candidates\n"
	"\t\tfi\n"
	"\tfi\n"
	"\tif [[ $head == files* ]]; then\n"
	"\t\tcompset -p ${#${head#*$'\\t'}}\n"
	"\t\t_files\n"
	"\tfi\n"
	"}\n"
	"if [[ $funcstack[1] == _vireo ]]; then _vireo \"$@\"; else compdef _vireo vireo; fi\n";

static const char fish_script[] =
	"# Completion of vireo for fish; written by 'vireo completion fish'.\n"
	"function __vireo_complete\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l cur (commandline -ct)\n"
	"\tset -l lines ($words[1] completion --for $words[2..] \"$cur\" 2>/dev/null)\n"
	"\tprintf '%s\\n' $lines[2..]\n"
	"\tif string match -q 'files*' -- $lines[1]\n"
	"\t\tset -l prefix (string split -m 1 \\t -- $lines[1])[2]\n"
	"\t\tset -l start (math (string length -- \"$prefix\") + 1)\n"
	"\t\tfor file in (__fish_complete_path (string sub -s $start -- \"$cur\"))\n"
	"\t\t\tprintf '%s\\n' \"$prefix$file\"\n"
	"\t\tend\n"
	"\tend\n"
	"end\n"
	"complete -c vireo -f -a '(__vireo_complete)'\n";

static const struct {
	const char *name, *script;
} shells[] = {
	{ "bash", bash_script },
	{ "zsh", zsh_script },
	{ "fish", fish_script },
};

static int answer(int n, char *const *words)
{
	if (completion_write(stdout, (unsigned)n, words) == 0)
		return STATUS_OK;
	error_print(stderr);
	return STATUS_FAILED;
}

static int completion_main(int argc, char **argv)
{
	if (argc > 0 && !strcmp(argv[0], "--for"))
		return answer(argc - 1, argv + 1);
	if (argc == 1 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))) {
		completion_command.help(stdout);
		return STATUS_OK;
	}
	if (argc > 1)
		return command_unexpected(&completion_command, argv[1]);
	for (unsigned i = 0; i < ARRAY_SIZE(shells) && argc; i++) {
		if (!strcmp(shells[i].name, argv[0])) {
			fputs(shells[i].script, stdout);
			return STATUS_OK;
		}
	}
	fprintf(stderr, "vireo: completion is for bash, zsh or fish; which one?\n");
	return STATUS_FAILED;
}

static void complete_completion(struct completion *c, unsigned n, char *const *words)
{
	(void)words;
	for (unsigned i = 0; i < ARRAY_SIZE(shells) && n == 1; i++)
		completion_add(c, shells[i].name, "");
}

const struct command completion_command = {
	.name = "completion",
	.summary = "write the completion script of a shell",
	.run = completion_main,
	.help = help_completion,
	.complete = complete_completion,
};
