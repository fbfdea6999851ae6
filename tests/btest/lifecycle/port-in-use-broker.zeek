# @TEST-DOC: When one of the broker's ports is taken the process ends with an error that names the endpoint and the reason, and a code that is not zero.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: btest-bg-run occupant "occupy $XPUB_PORT"
# @TEST-EXEC: wait-for test -e occupant/occupied
# @TEST-EXEC-FAIL: CLUSTER_NODE=manager timeout 60 zeek -b %INPUT 2>xpub.err
# @TEST-EXEC: kill $(cat occupant/occupied); btest-bg-wait -k 10 || true
# @TEST-EXEC: rm -r occupant .bgprocs
# @TEST-EXEC: btest-bg-run occupant "occupy $XSUB_PORT"
# @TEST-EXEC: wait-for test -e occupant/occupied
# @TEST-EXEC-FAIL: CLUSTER_NODE=manager timeout 60 zeek -b %INPUT 2>xsub.err
# @TEST-EXEC: kill $(cat occupant/occupied); btest-bg-wait -k 10 || true
# @TEST-EXEC: grep -qF "tcp://127.0.0.1:${XPUB_PORT%/tcp}" xpub.err
# @TEST-EXEC: grep -qF "tcp://127.0.0.1:${XSUB_PORT%/tcp}" xsub.err
# @TEST-EXEC: grep error xpub.err | grep -v "No logger" >xpub.errors
# @TEST-EXEC: grep error xsub.err | grep -v "No logger" >xsub.errors
# @TEST-EXEC: btest-diff xpub.errors
# @TEST-EXEC: btest-diff xsub.errors

@load cluster-test
