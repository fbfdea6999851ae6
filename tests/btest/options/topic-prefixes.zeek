# @TEST-DOC: With other prefixes for the node and node id topics nodes still find each other, and reach each other there.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: sort <manager/out >manager.out
# @TEST-EXEC: btest-diff manager.out

@load cluster-test

redef Cluster::Backend::ZeroMQ::node_topic_prefix = "by.name";
redef Cluster::Backend::ZeroMQ::nodeid_topic_prefix = "by.id";

@if ( Cluster::node == "manager" )
redef Test::expected += { "worker-1" };

event Cluster::Backend::ZeroMQ::subscription(topic: string)
	{
	if ( starts_with(topic, "by.name.") || starts_with(topic, "by.id.") )
		print "subscription", topic;
	}

global reached: event();

event Test::everyone_up()
	{
	Cluster::publish("by.name.worker-1.", reached);
	}

event reached()
	{
	Test::end();
	}
@else
global reached: event();

event reached()
	{
	Cluster::publish("by.name.manager.", reached);
	}
@endif
