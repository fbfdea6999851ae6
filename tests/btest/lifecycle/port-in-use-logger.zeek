# @TEST-DOC: When a logger's port is taken it ends with an error that names the endpoint and the reason, and a code that is not zero.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: btest-bg-run occupant "occupy $LOG_PORT"
# @TEST-EXEC: wait-for test -e occupant/occupied
# @TEST-EXEC-FAIL: CLUSTER_NODE=logger-1 timeout 60 zeek -b %INPUT 2>err
# @TEST-EXEC: kill $(cat occupant/occupied); btest-bg-wait -k 10 || true
# @TEST-EXEC: grep -qF "tcp://127.0.0.1:${LOG_PORT%/tcp}" err
# @TEST-EXEC: grep error err >errors
# @TEST-EXEC: btest-diff errors

@load cluster-test
