# @TEST-DOC: A topic's first subscription is seen once however many nodes subscribe, its end when the last one withdraws.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: node worker-2 worker.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

# @TEST-START-FILE common.zeek
@load cluster-test

global withdraw: event();
global withdrawn: event(who: string);
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1", "worker-2" };

event Cluster::Backend::ZeroMQ::subscription(topic: string)
	{
	if ( starts_with(topic, "test.") )
		print "subscription", topic;
	}

event Cluster::Backend::ZeroMQ::unsubscription(topic: string)
	{
	if ( ! starts_with(topic, "test.") )
		return;

	print "unsubscription", topic;

	if ( topic == "test.shared." )
		Test::end();
	}

event Test::everyone_up()
	{
	Cluster::publish(Cluster::nodeid_topic(Test::up["worker-1"]), withdraw);
	}

event withdrawn(who: string)
	{
	if ( who != "worker-1" )
		return;

	print who, "has withdrawn";
	Cluster::publish(Cluster::nodeid_topic(Test::up["worker-2"]), withdraw);
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

event zeek_init() &priority=-3
	{
	Cluster::subscribe("test.shared.");
	}

event withdraw()
	{
	Cluster::publish(Cluster::manager_topic, withdrawn, Cluster::node);
	Cluster::unsubscribe("test.shared.");
	}
# @TEST-END-FILE
