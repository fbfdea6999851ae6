# @TEST-DOC: Ten WebSocket clients at once: each gets the events for its topic, and they cost fewer descriptors and threads than with the built-in backend.
#
# @TEST-REQUIRES: need-builtin
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: WEBSOCKET_PORT
# @TEST-PORT: XPUB_PORT_2
# @TEST-PORT: XSUB_PORT_2
# @TEST-PORT: WEBSOCKET_PORT_2
#
# @TEST-EXEC: node -x -d ours manager %INPUT
# @TEST-EXEC: node -x -d builtin ZEEKZMQ_DISABLE=1 XPUB_PORT=$XPUB_PORT_2 XSUB_PORT=$XSUB_PORT_2 WEBSOCKET_PORT=$WEBSOCKET_PORT_2 manager %INPUT
# @TEST-EXEC: wait-for test -s ours/pid -a -s builtin/pid
# @TEST-EXEC: ws-many $WEBSOCKET_PORT $(cat ours/pid) exchange 10 >exchange
# @TEST-EXEC: btest-diff exchange
# @TEST-EXEC: ws-many $WEBSOCKET_PORT $(cat ours/pid) cost 10 >cost
# @TEST-EXEC: ws-many $WEBSOCKET_PORT_2 $(cat builtin/pid) cost 10 >cost-builtin
# @TEST-EXEC: kill $(cat ours/pid builtin/pid)
# @TEST-EXEC: btest-bg-wait 60
# @TEST-EXEC: paste cost cost-builtin >both
# @TEST-EXEC: awk '{ exit ! ($1 < $3 && $2 < $4) }' both || { echo "descriptors and threads for each client, ours and the built-in's: $(cat both)"; exit 1; } >&2
# At most these: of Zeek's server a socket and a pipe; of the broker two connections; of
# the client two connections, two sockets' eventfds and two wakers.
# @TEST-EXEC: awk '{ exit ! ($1 <= 11.5) }' cost

@load cluster-test

global hail: event(who: string) &is_used;

event zeek_init()
	{
	Cluster::listen_websocket(Cluster::WebSocketServerOptions($listen_addr=127.0.0.1, $listen_port=to_port(getenv("WEBSOCKET_PORT"))));
	local f = open("pid");
	print f, getpid();
	close(f);
	}

event hail(who: string) { }
