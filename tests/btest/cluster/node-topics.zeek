# @TEST-DOC: A node's topic reaches that node alone: worker-1 does not get what is for worker-10, nor the other way round.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: node worker-10 worker.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff worker-1/out
# @TEST-EXEC: btest-diff worker-10/out

# @TEST-START-FILE common.zeek
@load cluster-test

global letter: event(to: string);
global got_all: event(who: string);
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1", "worker-10" };

global reports = 0;

event Test::everyone_up()
	{
	for ( name in Test::expected )
		{
		Cluster::publish(Cluster::node_topic(name), letter, fmt("by name to %s", name));
		Cluster::publish(Cluster::nodeid_topic(Test::up[name]), letter, fmt("by id to %s", name));
		}

	Cluster::publish(Cluster::worker_topic, got_all, "manager");
	}

event got_all(who: string)
	{
	if ( ++reports == 2 )
		Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

event letter(to: string)
	{
	print to;
	}

# After everything on the node topics, as one publisher's events keep their order.
event got_all(who: string)
	{
	Cluster::publish(Cluster::manager_topic, got_all, Cluster::node);
	}
# @TEST-END-FILE
