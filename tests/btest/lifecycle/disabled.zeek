# @TEST-DOC: ZEEKZMQ_DISABLE=1 in the environment, or the option use_builtin_backend, leaves the cluster to the built-in backend; only a node without either has the engine.
#
# @TEST-REQUIRES: need-builtin
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node ZEEKZMQ_DISABLE=1 worker-1 %INPUT
# @TEST-EXEC: node worker-2 %INPUT Cluster::Backend::ZeroMQ::use_builtin_backend=T
# @TEST-EXEC: wait-for test -e manager/up -a -e worker-1/up -a -e worker-2/up
# @TEST-EXEC: for n in manager worker-1 worker-2; do echo "$n: $(maps-engine $(cat $n/up))"; done >engines
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff engines

@load cluster-test

redef Test::expected = set("manager", "worker-1", "worker-2") - set(Cluster::node);

@if ( Cluster::node == "manager" )
redef Test::end_on_file = "../over";
@endif

event Test::everyone_up()
	{
	local f = open("up");
	print f, getpid();
	close(f);
	}
