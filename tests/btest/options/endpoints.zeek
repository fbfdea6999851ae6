# @TEST-DOC: The broker listens where listen_xpub_endpoint and listen_xsub_endpoint say, nodes connect to connect_xsub_endpoint and connect_xpub_endpoint, whatever the transport.
#
# @TEST-EXEC: node -d broker - broker.zeek
# @TEST-EXEC: node manager member.zeek
# @TEST-EXEC: node worker-1 member.zeek
# @TEST-EXEC: wait-for test -e manager/rc -a -e worker-1/rc
# @TEST-EXEC: test -S xpub.sock
# @TEST-EXEC: test -S xsub.sock
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

# @TEST-START-FILE broker.zeek
@load cluster-test

redef Test::end_on_file = "../over";
redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;
redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = "ipc://../xpub.sock";
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = "ipc://../xsub.sock";
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = "ipc://../xpub.sock";
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = "ipc://../xsub.sock";
# @TEST-END-FILE

# @TEST-START-FILE member.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = F;
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = "ipc://../xpub.sock";
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = "ipc://../xsub.sock";

event Cluster::node_up(name: string, id: string)
	{
	print "node_up", name;

	if ( Cluster::node == "manager" )
		Test::end();
	}
# @TEST-END-FILE
