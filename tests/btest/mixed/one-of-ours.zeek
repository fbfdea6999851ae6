# @TEST-DOC: Everything but one worker has the built-in backend: all events, logs, node_up and node_down arrive.
#
# @TEST-REQUIRES: need-builtin
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: node ZEEKZMQ_DISABLE=1 manager $FILES/mixed.zeek
# @TEST-EXEC: node ZEEKZMQ_DISABLE=1 logger-1 $FILES/mixed.zeek
# @TEST-EXEC: node worker-1 $FILES/mixed.zeek
# @TEST-EXEC: node ZEEKZMQ_DISABLE=1 worker-2 $FILES/mixed.zeek
# @TEST-EXEC: wait-for test -e manager/engine-checked -a -e logger-1/engine-checked -a -e worker-1/engine-checked -a -e worker-2/engine-checked
# @TEST-EXEC: for n in manager logger-1 worker-1 worker-2; do echo "$n: $(cat $n/engine-checked)"; done >engines
# @TEST-EXEC: btest-diff engines
# @TEST-EXEC: sh $FILES/mixed-results
# @TEST-EXEC: btest-diff events
# @TEST-EXEC: btest-diff nodes
# @TEST-EXEC: btest-diff rows
