# @TEST-DOC: A thousand WebSocket clients, one after another, leave no descriptor, thread or memory behind.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: WEBSOCKET_PORT
#
# @TEST-EXEC: node -x manager %INPUT
# @TEST-EXEC: wait-for test -s manager/pid
# @TEST-EXEC: ws-many $WEBSOCKET_PORT $(cat manager/pid) churn 400 1000 >growth
# @TEST-EXEC: kill $(cat manager/pid)
# @TEST-EXEC: btest-bg-wait 60
# Less than two kilobytes of memory for each. The thread is one of the Go runtime's, which
# come and go.
# @TEST-EXEC: awk '{ exit ! ($1 <= 0 && $2 <= 3 && $3 < 2000) }' growth || { echo "growth of descriptors, threads, kilobytes: $(cat growth)"; exit 1; } >&2

@load cluster-test

event zeek_init()
	{
	Cluster::listen_websocket(Cluster::WebSocketServerOptions($listen_addr=127.0.0.1, $listen_port=to_port(getenv("WEBSOCKET_PORT"))));
	local f = open("pid");
	print f, getpid();
	close(f);
	}
