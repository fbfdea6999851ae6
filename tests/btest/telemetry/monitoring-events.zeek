# @TEST-DOC: The monitors tell of connections of the XPUB, the XSUB and the PUSH socket, each with its endpoint.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: MANAGER_LOG_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: sort <worker-1/out >connected
# @TEST-EXEC: btest-diff connected

@load cluster-test

global all_seen: event();

@if ( Cluster::node == "worker-1" )
redef Test::expected += { "manager" };

global ports: table[string] of string;
global connected: set[string];

event zeek_init()
	{
	for ( v in set("XPUB_PORT", "XSUB_PORT", "MANAGER_LOG_PORT") )
		ports[fmt(":%d", port_to_count(to_port(getenv(v))))] = v;
	}

function tell_if_all()
	{
	if ( |connected| < 3 || ! Test::told_all_up )
		return;

	Cluster::publish(Cluster::manager_topic, all_seen);
	}

# ZMQ_EVENT_HANDSHAKE_SUCCEEDED
event Cluster::Backend::ZeroMQ::monitoring_event(number: count, value: count, address: string)
	{
	if ( number != 0x1000 )
		return;

	for ( suffix, variable in ports )
		if ( ends_with(address, suffix) && variable !in connected )
			{
			print fmt("connected to %s", variable);
			add connected[variable];
			tell_if_all();
			}
	}

event Test::everyone_up()
	{
	tell_if_all();
	}
@else
redef Test::expected += { "worker-1" };

event all_seen()
	{
	Test::end();
	}
@endif
