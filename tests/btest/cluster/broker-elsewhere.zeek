# @TEST-DOC: A process outside the cluster runs the broker, the manager just connects to it.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node -d broker - broker.zeek
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: wait-for test -e manager/rc -a -e worker-1/rc
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: btest-diff worker-1/out

# @TEST-START-FILE broker.zeek
# A member of no cluster that runs the broker nevertheless.
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;
redef Test::end_on_file = "../over";
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./worker

redef Test::expected += { "worker-1" };

event Test::everyone_up()
	{
	Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = F;

event Cluster::node_up(name: string, id: string)
	{
	print "node_up", name;
	}

event Cluster::node_down(name: string, id: string)
	{
	print "node_down", name;
	}
# @TEST-END-FILE
