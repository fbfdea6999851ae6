# @TEST-DOC: When a node appears under a new id while the old one still counts as up, the old one goes down with a warning and the new one comes up.
#
# The old process is stopped, so that it neither answers nor vanishes, until the
# new one is up.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node -x -d first worker-1 worker.zeek
# @TEST-EXEC: wait-for grep -q "node_up" manager/out
# @TEST-EXEC: kill -STOP $(cat first/pid)
# @TEST-EXEC: node -d second worker-1 worker.zeek
# @TEST-EXEC: wait-for grep -q "id 2, new" manager/out; kill -9 $(cat first/pid)
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: grep -o "warning.*never said goodbye" manager/.stderr >warnings
# @TEST-EXEC: btest-diff warnings

# @TEST-START-FILE manager.zeek
@load cluster-test

global ids: vector of string;

event Cluster::node_up(name: string, id: string)
	{
	ids += id;
	print fmt("node_up %s, id %d, new %s", name, |ids|, |ids| == 1 || ids[0] != id);
	flush_all();

	if ( |ids| == 2 )
		Test::end();
	}

event Cluster::node_down(name: string, id: string)
	{
	print fmt("node_down %s, id %d", name, id == ids[0] ? 1 : 2);
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load cluster-test

event zeek_init()
	{
	local f = open("pid");
	print f, getpid();
	close(f);
	}
# @TEST-END-FILE
