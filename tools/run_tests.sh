#!/usr/bin/env bash
# Run every test with the given Python: the numerical core first, then the nodes in a process of their own
# (rclpy keeps state per process). Both run, whatever the first one says. Further arguments go to pytest.
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
run test --ignore=test/ros "$@"
if [ -d test/ros ]; then run test/ros "$@"; fi
exit $status
