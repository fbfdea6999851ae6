# @TEST-DOC: A WebSocket client can publish as soon as it was acknowledged, and gets what the nodes publish to its topic.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: WEBSOCKET_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: wait-for grep -q ready manager/out
# @TEST-EXEC: btest-bg-run client-1 "ws-client $WEBSOCKET_PORT test.ws. hail one >out"
# @TEST-EXEC: wait-for grep -q reply client-1/out
# @TEST-EXEC: btest-bg-run client-2 "ws-client $WEBSOCKET_PORT test.ws. hail two >out"
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: sort client-1/out >client-1.out
# @TEST-EXEC: btest-diff client-1.out
# @TEST-EXEC: sort client-2/out >client-2.out
# @TEST-EXEC: btest-diff client-2.out

# @TEST-START-FILE common.zeek
@load cluster-test

global hail: event(who: string);
global reply: event(to: string, from: string);
global bye: event();
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1" };
global bye_seen = F;

event Test::everyone_up()
	{
	Cluster::listen_websocket(Cluster::WebSocketServerOptions($listen_addr=127.0.0.1, $listen_port=to_port(getenv("WEBSOCKET_PORT"))));
	print "ready";
	flush_all();
	}

event Cluster::websocket_client_lost(endpoint: Cluster::EndpointInfo, code: count, reason: string)
	{
	if ( ! bye_seen )
		{
		bye_seen = T;
		Test::end();
		}
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

event zeek_init() &priority=-3
	{
	Cluster::subscribe("test.ws.");
	}

event hail(who: string)
	{
	Cluster::publish("test.ws.answers", reply, who, Cluster::node);

	if ( who == "two" )
		Cluster::publish("test.ws.answers", bye);
	}
# @TEST-END-FILE
