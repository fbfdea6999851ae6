# @TEST-DOC: A WebSocket client for which the process has too few descriptors is refused with an error, on both sides; having none at all left does not end the process either, and once others are gone it serves again.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: WEBSOCKET_PORT
#
# @TEST-EXEC: sh -c 'ulimit -n 250; exec node -x manager %INPUT'
# @TEST-EXEC: wait-for test -s manager/pid
# @TEST-EXEC: ws-many $WEBSOCKET_PORT $(cat manager/pid) exhaust 50 >exhaust
# @TEST-EXEC: btest-diff exhaust
# @TEST-EXEC: kill $(cat manager/pid)
# @TEST-EXEC: btest-bg-wait 60
# @TEST-EXEC: test "$(cat manager/rc)" = 0
# @TEST-EXEC: grep -q 'ZeroMQ: cannot start a node: too few file descriptors are left: [0-9]* of 250 are open' manager/.stderr

@load cluster-test

event zeek_init()
	{
	Cluster::listen_websocket(Cluster::WebSocketServerOptions($listen_addr=127.0.0.1, $listen_port=to_port(getenv("WEBSOCKET_PORT"))));
	local f = open("pid");
	print f, getpid();
	close(f);
	}
