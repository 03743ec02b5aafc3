#!/bin/sh
# Usage: quietly.sh LOG "what is happening" COMMAND [ARGUMENT]...
# Runs the command with its output in LOG, and shows one line; on failure the end of LOG too, but
# without addresses, which are settings of the machine.
set -u
log=$1
what=$2
shift 2

mkdir -p "$(dirname "$log")"
printf '%s ... ' "$what"
start=$(date +%s)
if "$@" >"$log" 2>&1; then
    echo "$(($(date +%s) - start)) s"
else
    status=$?
    echo "failed"
    grep -v '^ *Looking in ' "$log" |
        sed -e 's|[a-z+]*://[^ )"]*|(address)|g' -e "s|host='[^']*'|host|g" | tail -n 60
    echo "-- $what failed; all of its output is in $log"
    exit $status
fi
