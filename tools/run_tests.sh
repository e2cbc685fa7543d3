#!/usr/bin/env bash
# Run every test with the given Python: the numerical core first, on all cores, then the nodes one by one in a process
# of their own (rclpy keeps state per process, and nodes wait for each other). Both run, whatever the first one says.
# Further arguments go to pytest; `-n 0` among them runs the core in one process, for a debugger.
set -u
python=$1
shift

status=0
run() {
  "$python" -m pytest "$@"
  local code=$?
  # 5: nothing selected, which is fine when arguments select tests of the other run
  [ $code -eq 5 ] && [ "$selecting" = yes ] && code=0
  [ $code -eq 0 ] || status=$code
}

selecting=$([ $# -gt 0 ] && echo yes || echo no)
run test --ignore=test/ros --numprocesses auto --maxprocesses 4 "$@"
if [ -d test/ros ]; then run test/ros "$@"; fi
exit $status
