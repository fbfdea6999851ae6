# @TEST-DOC: Two nodes see each other come, exchange events in both directions, and see each other go.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: sort <worker-1/out >worker.out
# @TEST-EXEC: btest-diff worker.out

# @TEST-START-FILE common.zeek
@load cluster-test

global ping: event(n: count, from: string);
global pong: event(n: count, from: string);

event Cluster::node_up(name: string, id: string)
	{
	print "node_up", name;
	}

event Cluster::node_down(name: string, id: string)
	{
	print "node_down", name;
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1" };

event Test::everyone_up()
	{
	for ( n in set(1, 2, 3) &ordered )
		Cluster::publish(Cluster::nodeid_topic(Test::up["worker-1"]), ping, n, Cluster::node);
	}

event pong(n: count, from: string)
	{
	print "pong", n, from;

	if ( n == 3 )
		Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

event ping(n: count, from: string)
	{
	print "ping", n, from;
	Cluster::publish(Cluster::manager_topic, pong, n, Cluster::node);
	}
# @TEST-END-FILE
