# @TEST-DOC: The package is found with and without "policy/" in front, and is the same package.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

@load frameworks/cluster/backend/zeromq
@load frameworks/cluster/backend/zeromq/options
@load cluster-test

@if ( Cluster::node == "manager" )
redef Test::expected += { "worker-1" };
@endif

event Cluster::node_up(name: string, id: string)
	{
	print "node_up", name;
	}

event Test::everyone_up()
	{
	Test::end();
	}
