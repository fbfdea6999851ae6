# @TEST-DOC: Subscriptions made before the backend is connected take effect once it is.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff worker-1/out

# @TEST-START-FILE common.zeek
@load cluster-test

global news: event(topic: string);
global last: event();
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1" };

event Test::everyone_up()
	{
	Cluster::publish("test.dropped", news, "dropped");
	Cluster::publish("test.kept", news, "kept");
	Cluster::publish(Cluster::nodeid_topic(Test::up["worker-1"]), last);
	}

event last()
	{
	Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

event zeek_init() &priority=1000
	{
	Cluster::subscribe("test.kept");
	Cluster::subscribe("test.dropped");
	Cluster::unsubscribe("test.dropped");
	}

event news(topic: string)
	{
	print topic;
	}

event last()
	{
	Cluster::publish(Cluster::manager_topic, last);
	}
# @TEST-END-FILE
