#!/bin/bash
# The reports of 'vireo test', made of recorded results, as their readers see them: XML and its schema,
# JSON, TAP, and the page in a browser.  Usage: test_report_test.sh VIREO [PICTURE.png]
# With PICTURE.png the picture of the docs is written there, too ('make docs-screenshot').
here=$(cd "$(dirname "$0")" && pwd)
case ${2:-} in '' | /*) picture=${2:-} ;; *) picture=$PWD/$2 ;; esac
# shellcheck source=tests/vmm/cli.sh disable=SC2154
. "$here/cli.sh" "$1"

if ! "$vireo" help test >/dev/null 2>&1; then
	skip "reports of recorded results" "this Vireo has no 'vireo test'"
	echo "1..$n"
	exit 0
fi

cp -r "$here/report/results" recorded
# 190 KB of console, in the middle of which is what matters: byte 90000.
console=$(echo recorded/runs/15-*)/console.log
yes '[   12.000000] task kworker/0:1 is still waiting for the disk' | head -c 90000 >"$console"
printf '%s\n' '[   12.250000] INFO: task jbd2/vda1-8:113 blocked for more than 10 seconds.' >>"$console"
yes '[   12.500000] task kworker/0:1 is still waiting for the disk' | head -n 1600 >>"$console"

expect "makes reports of recorded results" 125 '^14 passed, 2 failed, 1 timed out, 1 broken, 1 skipped, 0 not run, 1 flaky: ' \
	"$vireo" test --merge recorded --results results
[ -e results/report.html ] || { echo "1..$n"; exit 1; }

json() { python3 -c "
import json
r = json.load(open('results/results.json'))
t = r['tests']
assert $1, [x['title'] for x in t]" 2>out; }
if command -v python3 >/dev/null; then
	json "len(t) == 19 and r['complete'] and r['version'] == 1"
	verdict $? "JSON: all tests are there"
	json "sum(x['flaky'] for x in t) == 4"
	verdict $? "JSON: each attempt at a flaky test is marked"
else
	skip "JSON: all tests are there" "python3 is not installed"
fi

grep -cE '^(not )?ok [0-9]+ - ' results/results.tap >points
[ "$(sed -n 's/^1\.\.//p' results/results.tap)" = "$(cat points)" ]
verdict $? "TAP: as many points as the plan says"

if command -v xmllint >/dev/null; then
	xmllint --noout --nonet --schema "$here/report/junit.xsd" results/junit.xml >out 2>&1
	verdict $? "JUnit: valid, with a console of any bytes in it"
	xmllint --xpath 'count(//testcase[failure or error])' results/junit.xml >count 2>err
	[ "$(cat count)" = 4 ]
	verdict $? "JUnit: what went wrong is a failure or an error"
else
	skip "JUnit: valid, with a console of any bytes in it" "xmllint is not installed"
fi

! grep -qiE '<[a-z][^>]* src=|<script|<link|@import|url\(|href="[^#.]' results/report.html
verdict $? "page: loads nothing and has no script"
[ "$(stat -c %s results/report.html)" -lt 400000 ]
verdict $? "page: long consoles are cut"

if ! command -v chromium >/dev/null; then
	skip "page: in a browser" "chromium is not installed"
	echo "1..$n"
	exit $failed
fi
export HOME=$dir XDG_RUNTIME_DIR=$dir
# browse WHAT...: the page, in a browser that says what its console says
browse() {
	nice -n 10 timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
		--user-data-dir="$dir/profile" --enable-logging=stderr --v=0 "$@" "file://$dir/results/report.html" \
		2>browser
}
browse --dump-dom >dom
grep ':CONSOLE' browser >out
[ -s dom ] && [ ! -s out ]
verdict $? "page: a browser finds no mistake, and nothing that it must not run"
grep -q '<title>vireo test: 4 of 19 went wrong</title>' dom && ! grep -qiE '<(script|img)|onerror="' dom
verdict $? "page: hostile consoles added no element and no script"
[ "$(grep -o '<details class="run' dom | wc -l)" = 19 ]
verdict $? "page: each run has its details"
grep -q '<mark class="o">INFO: task jbd2/vda1-8:113 blocked for more than 10 seconds.</mark>' dom
verdict $? "page: what offended is marked in the middle of a long console"

browse --window-size=1080,1880 --screenshot="$dir/light.png"
browse --window-size=1080,1880 --blink-settings=preferredColorScheme=0 --screenshot="$dir/dark.png"
for theme in light dark; do
	"$here/report/png.py" check $theme.png >out 2>&1
	verdict $? "page: there is something to be seen ($theme)"
done
! cmp -s light.png dark.png
verdict $? "page: dark pages are dark"
if [ -n "$picture" ]; then
	"$here/report/png.py" shrink light.png "$picture"
	[ "$(stat -c %s "$picture")" -lt 200000 ]
	verdict $? "the picture of the docs is small"
fi
echo "1..$n"
exit $failed
