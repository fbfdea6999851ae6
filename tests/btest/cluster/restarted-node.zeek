# @TEST-DOC: A node that ends and is started again goes down under its old id and comes up under a new one.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node -d first worker-1 worker.zeek
# @TEST-EXEC: wait-for test -e first/rc
# @TEST-EXEC: node -d second worker-1 worker.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

# @TEST-START-FILE manager.zeek
@load cluster-test

global ids: vector of string;

event Cluster::node_up(name: string, id: string)
	{
	ids += id;
	print fmt("node_up %s, id %d, new %s", name, |ids|, |ids| == 1 || ids[0] != id);
	Cluster::publish(Cluster::nodeid_topic(id), Test::finish);
	}

event Cluster::node_down(name: string, id: string)
	{
	print fmt("node_down %s, its id %s", name, id == ids[|ids| - 1]);

	if ( |ids| == 2 )
		terminate();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load cluster-test
# @TEST-END-FILE
