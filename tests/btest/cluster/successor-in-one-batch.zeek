# @TEST-DOC: A successor comes up, after its predecessor has gone down, even if its two greetings arrive at once.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: btest-bg-wait 60
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: grep -c "duplicate\|No node found" manager/.stderr >errors || true
# @TEST-EXEC: btest-diff errors

@load cluster-test

event greet(id: string)
	{
	event Cluster::Backend::ZeroMQ::hello("worker-1", id);
	event Cluster::hello("worker-1", id);
	}

event zeek_init() &priority=-20
	{
	event greet("old");
	}

event Cluster::node_up(name: string, id: string)
	{
	print "node_up", name, id, Cluster::nodes[name]$id;

	if ( id == "old" )
		event greet("new");
	else
		terminate();
	}

event Cluster::node_down(name: string, id: string)
	{
	print "node_down", name, id;
	}
