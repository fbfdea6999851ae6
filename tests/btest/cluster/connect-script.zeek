# @TEST-DOC: The connect script of earlier versions still makes a cluster, and says that it is not needed any more.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: test "$(zeek --version 2>&1 | grep -c 'version 8\.0')" = 1 || grep -q 'deprecated.*connect' manager/.stderr

@load policy/frameworks/cluster/backend/zeromq/connect
@load cluster-test

@if ( Cluster::node == "manager" )
redef Test::expected += { "worker-1" };
@endif

event Test::everyone_up()
	{
	print "up";
	Test::end();
	}
