# @TEST-DOC: A node id that subscribes without saying hello, and one that says hello without subscribing, are each warned of after hello_expiration.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 impostor.zeek
# @TEST-EXEC: wait-for grep -q "Node id 'subscribed-only' has subscribed" manager/.stderr
# @TEST-EXEC: wait-for grep -q "Node id 'greeted-only' said hello" manager/.stderr
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: grep -o "Node id .* expired.*" manager/.stderr | sort >warnings
# @TEST-EXEC: btest-diff warnings

# @TEST-START-FILE manager.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::hello_expiration = 2secs;
redef table_expire_interval = 200msecs;
redef Test::end_on_file = "../over";
# @TEST-END-FILE

# @TEST-START-FILE impostor.zeek
@load cluster-test

redef Test::expected += { "manager" };

event Test::everyone_up()
	{
	Cluster::subscribe(Cluster::nodeid_topic("subscribed-only"));
	Cluster::publish(Cluster::nodeid_topic(Test::up["manager"]), Cluster::Backend::ZeroMQ::hello, "worker-2", "greeted-only");
	}
# @TEST-END-FILE
