#!/bin/sh
# faults.sh PROGRAM MPIRUN...: however a rank goes wrong, the whole job ends soon, with the exit code
# and the words that docs/communication.md promises.
set -u
program=$1
shift
failures=0

# expect FAULT EXIT_CODE TEXT
expect() {
  output=$(timeout 30 $mpirun "$program" "$1" 2>&1)
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

mpirun=$*
expect none 0 ""
expect throw 4 "i/o error: rank 1 cannot write"
expect kill 137 "signal 9"
expect absent 5 "peer error: all_reduce sum f32[100000] (call 1) on axis dp: rank 0 waits for rank 1, no answer within 0.5 s"
exit $failures
