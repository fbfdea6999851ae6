# @TEST-DOC: A node that is killed without a chance to say goodbye goes down nevertheless, and its successor comes up.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node -x -d first worker-1 worker.zeek
# @TEST-EXEC: wait-for grep -q "node_up" manager/out
# @TEST-EXEC: kill -9 $(cat first/pid)
# @TEST-EXEC: node -d second worker-1 worker.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: test "$(cat first/rc)" = 137

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
