#!/bin/sh
# faults.sh PROGRAM LAUNCHER...: however a rank goes wrong, the whole job ends soon, with the exit code
# and the words that docs/communication.md promises.
set -u
program=$1
shift
failures=0

# expect FAULT EXIT_CODE TEXT...
expect() {
  fault=$1
  expected=$2
  shift 2
  output=$(timeout 30 $launcher "$program" "$fault" 2>&1)
  code=$?
  if [ "$code" -ne "$expected" ]; then
    echo "$fault: exit code $code instead of $expected"
    failures=$((failures + 1))
  fi
  for text in "$@"; do
    case $output in
      *"$text"*) ;;
      *)
        echo "$fault: no \"$text\" in:"
        echo "$output"
        failures=$((failures + 1))
        ;;
    esac
  done
}

launcher=$*
expect none 0 ""
expect throw 4 "i/o error: rank 1 cannot write"
expect kill 137 "signal 9"
# Ranks 0 and 2 both wait; whichever gives up first ends the job.
expect absent 5 "waits for rank 1, no answer within 1.5 s" \
  "weft: warning: all_reduce sum f32[100000] (call 1) on axis dp: rank "
exit $failures
