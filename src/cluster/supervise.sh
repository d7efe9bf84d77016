#!/bin/sh
# Starts a background process of k8ts again when it dies, as systemd does on other machines; a shell takes a hundredth of the memory that Node would.
# usage: sh supervise.sh RECORD DATA_DIR COMMAND [ARG ...]
# RECORD is the file in which the process says how it is (src/cluster/daemon.ts). One that ends in order (0) stays ended, and so does one that was never ready:
# whoever asked for it is told why.
record=$1
home=$2
shift 2
attempt=0
delay=1
while :; do
  began=$(date +%s)
  K8TS_ATTEMPT=$attempt "$@" &
  # The pipe to the starter is the process's own: it tells of its end, too.
  exec 3>/dev/null
  wait $!
  code=$?
  [ "$code" -ne 0 ] || exit 0
  if [ "$attempt" -eq 0 ] && ! grep -q '"ready":true' "$record" 2>/dev/null; then exit "$code"; fi
  [ -d "$home" ] || exit "$code"
  [ $(($(date +%s) - began)) -lt 300 ] || delay=1
  attempt=$((attempt + 1))
  printf '{"level":40,"time":"%s","component":"supervisor","exitCode":%d,"attempt":%d,"delaySeconds":%d,"msg":"the process ended and is started again"}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$code" "$attempt" "$delay" >&2
  sleep "$delay"
  [ -d "$home" ] || exit "$code"
  delay=$((delay * 2))
  [ "$delay" -le 60 ] || delay=60
done
