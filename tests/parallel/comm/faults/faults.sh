#!/bin/sh
# faults.sh PROGRAM LAUNCHER...: however a rank goes wrong, the whole job ends soon, with the exit code
# and the words that docs/communication.md promises.
set -u
program=$1
shift
failures=0

# expect FAULT EXIT_CODE TEXT
expect() {
  output=$(timeout 30 $launcher "$program" "$1" 2>&1)
  code=$?
  if [ "$code" -ne "$2" ]; then
    echo "$1: exit code $code instead of $2"
    failures=$((failures + 1))
  fi
  case $output in
    *"$3"*) ;;
    *)
      echo "$1: no \"$3\" in:"
      echo "$output"
      failures=$((failures + 1))
      ;;
  esac
}

launcher=$*
expect none 0 ""
expect throw 4 "i/o error: rank 1 cannot write"
expect kill 137 "signal 9"
# Ranks 0 and 2 both wait; whichever gives up first ends the job.
expect absent 5 "waits for rank 1, no answer within 1.5 s"
expect absent 5 "weft: warning: all_reduce sum f32[100000] (call 1) on axis dp: rank "
exit $failures
