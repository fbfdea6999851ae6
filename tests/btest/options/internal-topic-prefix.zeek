# @TEST-DOC: The short-lived subscription that tells a WebSocket client's way through the broker starts with internal_topic_prefix.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: WEBSOCKET_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: btest-bg-run client "ws-client $WEBSOCKET_PORT test.ws. >out"
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

# @TEST-START-FILE manager.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::internal_topic_prefix = "test.internal.";

global bye: event();

event zeek_init() &priority=-20
	{
	Cluster::listen_websocket(Cluster::WebSocketServerOptions($listen_addr=127.0.0.1, $listen_port=to_port(getenv("WEBSOCKET_PORT"))));
	}

event Cluster::Backend::ZeroMQ::subscription(topic: string)
	{
	if ( starts_with(topic, "test.internal.zeromq_manager") )
		print "subscription";
	}

event Cluster::Backend::ZeroMQ::unsubscription(topic: string)
	{
	if ( ! starts_with(topic, "test.internal.zeromq_manager") )
		return;

	print "unsubscription";
	Cluster::publish("test.ws.", bye);
	}

event Cluster::websocket_client_lost(endpoint: Cluster::EndpointInfo, code: count, reason: string)
	{
	terminate();
	}
# @TEST-END-FILE
