# @TEST-DOC: Outside bare mode the plugin needs no activation: the default scripts and the backend make a cluster with the engine.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: btest-bg-run manager "env -u ZEEK_PLUGIN_ACTIVATE CLUSTER_NODE=manager zeek %INPUT >out"
# @TEST-EXEC: btest-bg-run worker-1 "env -u ZEEK_PLUGIN_ACTIVATE CLUSTER_NODE=worker-1 zeek %INPUT >out"
# @TEST-EXEC: wait-for test -e manager/up -a -e worker-1/up
# @TEST-EXEC: for n in manager worker-1; do echo "$n: $(maps-engine $(cat $n/up))"; done >engines
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff engines

@load cluster-test

redef Test::expected = set("manager", "worker-1") - set(Cluster::node);

@if ( Cluster::node == "manager" )
redef Test::end_on_file = "../over";
@endif

event Test::everyone_up()
	{
	local f = open("up");
	print f, getpid();
	close(f);
	}
