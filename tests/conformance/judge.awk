# Arguments: claims, results, waivers.tsv, lists of rows.  Prints a line per row:
#
#   area, id, level, section, requirement, state, result, where
#
# state: covered, waived, permission (a MAY that needs neither) or missing.  result, of what is covered: passed,
# failed, skipped (the host cannot run any of its tests) or lost (no test of that name ran).  where: the tests
# with the result of each, or the reason of the waiver.
BEGIN {
	FS = OFS = "\t"
}

FNR == 1 {
	area = FILENAME
	sub(/^.*\//, "", area)
	sub(/\.tsv$/, "", area)
}

FILENAME == ARGV[1] {
	n_claims[$1]++
	part_of[$1, n_claims[$1]] = $2
	test_of[$1, n_claims[$1]] = $3
	place_of[$1, n_claims[$1]] = $4
	next
}

# The worst of all runs of a test; what ran and what was skipped counts as having run.
function worse(a, b) {
	if (a == "failed" || b == "failed")
		return "failed"
	if (a == "passed" || b == "passed")
		return "passed"
	return b
}

FILENAME == ARGV[2] {
	result[$1, $2] = worse(result[$1, $2], $3)
	result[$1, "*"] = worse(result[$1, "*"], $3)
	# A test that a macro made may have more to its name.
	n_tests[$1]++
	name[$1, n_tests[$1]] = $2
	result_by_number[$1, n_tests[$1]] = $3
	next
}

FILENAME == ARGV[3] {
	if (FNR > 1)
		reason[$1] = $2
	next
}

function result_of_family(part, stem, i, all) {
	all = "lost"
	for (i = 1; i <= n_tests[part]; i++)
		if (name[part, i] == stem || index(name[part, i], stem "_") == 1)
			all = all == "lost" ? result_by_number[part, i] : \
				worse(all, result_by_number[part, i])
	return all
}

function result_of_claim(part, test) {
	if (test ~ /.\*$/)
		return result_of_family(part, substr(test, 1, length(test) - 1))
	return (part, test) in result ? result[part, test] : "lost"
}

function judge_covered(id, i, one, all, where) {
	all = "skipped"
	for (i = 1; i <= n_claims[id]; i++) {
		one = result_of_claim(part_of[id, i], test_of[id, i])
		if (one == "failed" || all == "failed")
			all = "failed"
		else if (one == "lost" || all == "lost")
			all = "lost"
		else if (one == "passed")
			all = "passed"
		where = where (i > 1 ? "; " : "") place_of[id, i] " (" one ")"
	}
	return all OFS where
}

FNR > 1 {
	if ($1 in n_claims)
		verdict = "covered" OFS judge_covered($1)
	else if ($1 in reason)
		verdict = "waived" OFS "-" OFS reason[$1]
	else if ($2 == "MAY")
		verdict = "permission" OFS "-" OFS "a permission, which obliges to nothing"
	else
		verdict = "missing" OFS "-" OFS "-"
	print area, $1, $2, $3, $4, verdict
}
