# @TEST-DOC: With use_builtin_backend a manager's broker is the built-in one as well, and the cluster works.
#
# @TEST-REQUIRES: need-builtin
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT Cluster::Backend::ZeroMQ::use_builtin_backend=T
# @TEST-EXEC: node worker-1 %INPUT
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
