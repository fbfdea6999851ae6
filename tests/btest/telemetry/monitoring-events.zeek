# @TEST-DOC: The monitors tell of connections of the XPUB, the XSUB and the PUSH socket, each with its endpoint.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: MANAGER_LOG_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff worker-1/out

@load cluster-test

@if ( Cluster::node == "worker-1" )
global ports: table[string] of string;

event zeek_init()
	{
	for ( v in set("XPUB_PORT", "XSUB_PORT", "MANAGER_LOG_PORT") )
		ports[fmt(":%d", port_to_count(to_port(getenv(v))))] = v;
	}

global shaken: set[string];

# ZMQ_EVENT_HANDSHAKE_SUCCEEDED
event Cluster::Backend::ZeroMQ::monitoring_event(number: count, value: count, address: string)
	{
	if ( number != 0x1000 )
		return;

	for ( suffix, variable in ports )
		if ( ends_with(address, suffix) )
			add shaken[variable];

	if ( |shaken| == 3 )
		{
		print "XPUB_PORT" in shaken, "XSUB_PORT" in shaken, "MANAGER_LOG_PORT" in shaken;
		Test::end();
		}
	}

redef Test::expected += { "manager" };
@else
event Cluster::node_down(name: string, id: string)
	{
	terminate();
	}
@endif
