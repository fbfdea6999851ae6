#!/bin/sh
# Usage: ZEEK_SOURCE=<Zeek's source tree> zeek-own.sh [-j JOBS] [TEST ...]
#
# Runs Zeek's own cluster tests, unchanged, twice: with Zeek's own backend (the
# plugin is loaded but disabled) and with the plugin in its place. Prints both
# results for every test and fails if the plugin fails one that the built-in
# backend passes.
#
# The source tree has to be built, in its folder build, with the Zeek that the
# plugin was built for. The plugin is that of this clone's build folder, or of
# $ZEEKZMQ_BUILD.
#
# TEST is a folder or file below testing/btest. Output goes to $ZEEK_OWN_OUT, a new
# temporary folder by default.

here=$(cd "$(dirname "$0")" && pwd)
jobs=1
if [ "$1" = -j ]; then
    jobs=$2
    shift 2
fi

if [ -z "$ZEEK_SOURCE" ]; then
    echo "SKIPPED: set ZEEK_SOURCE to a built Zeek source tree to run Zeek's own cluster tests" >&2
    exit 0
fi

if [ ! -x "$ZEEK_SOURCE/build/src/zeek" ]; then
    echo "$ZEEK_SOURCE is not built: there is no build/src/zeek" >&2
    exit 1
fi

plugin=${ZEEKZMQ_BUILD:-$here/../build}
if [ ! -e "$plugin/__zeek_plugin__" ]; then
    echo "no plugin in $plugin: build it first, or set ZEEKZMQ_BUILD" >&2
    exit 1
fi
plugin=$(cd "$plugin" && pwd)

out=${ZEEK_OWN_OUT:-$(mktemp -d)}
mkdir -p "$out"

base=$ZEEK_SOURCE/testing/btest
if [ $# = 0 ]; then
    for folder in zeromq generic telemetry publish-on-change websocket; do
        [ -d "$base/cluster/$folder" ] && set -- "$@" "cluster/$folder"
    done
fi

# Zeek's configuration with our plugin in it, and all that is written elsewhere.
sed -e "s#^TmpDir .*#TmpDir = $out/tmp\\
StateFile = $out/failed.dat#" \
    -e "s#^ZEEK_PLUGIN_PATH=.*#ZEEK_PLUGIN_PATH=$plugin\\
ZEEK_PLUGIN_ACTIVATE=Zeek::ZeroMQ_Go#" \
    -e "s#^TMPDIR=.*#TMPDIR=$out/tmp#" \
    "$base/btest.cfg" >"$out/btest.cfg"

results() {
    sed -n -E 's/^(\[#[0-9]+\] )?([A-Za-z0-9_.-]+) \.\.\. (ok|failed|not available).*/\2 \3/p' "$out/$1.log" |
        sed 's/not available/skipped/' | sort
}

for kind in builtin plugin; do
    echo "running with: $kind" >&2
    mkdir -p "$out/tmp"
    disable=
    [ $kind = builtin ] && disable=1
    (cd "$base" && BTEST_TEST_BASE="$base" ZEEKZMQ_DISABLE=$disable \
        btest -c "$out/btest.cfg" -j "$jobs" -d -f "$out/$kind.diag" "$@") >"$out/$kind.log" 2>&1
    results $kind >"$out/$kind.results"
    mv "$out/tmp" "$out/$kind.tmp"
done

join -a 1 -a 2 -e missing -o 0,1.2,2.2 "$out/builtin.results" "$out/plugin.results" >"$out/table"
{
    echo "test built-in plugin"
    cat "$out/table"
} | awk '{ printf "%-60s %-10s %s\n", $1, $2, $3 }'
echo "logs, diagnostics and working folders: $out" >&2

worse=$(awk '$2 == "ok" && $3 != "ok"' "$out/table" | wc -l)
total=$(wc -l <"$out/table")
if [ "$total" = 0 ]; then
    echo "no test ran, see $out/plugin.log" >&2
    exit 1
fi
echo "$total tests, $worse of them only pass with the built-in backend" >&2
[ "$worse" = 0 ]
