# @TEST-DOC: policy/misc/zeromq-multi-host-auto-setup gives all nodes the manager's address and the ports of its environment variables; only the manager listens.
#
# @TEST-REQUIRES: test -e $(zeek-config --script_dir)/policy/misc/zeromq-multi-host-auto-setup.zeek
#
# @TEST-PORT: A_PORT
# @TEST-PORT: ANOTHER_PORT
#
# @TEST-EXEC: sh ./run.sh
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: btest-diff worker-1/out

# @TEST-START-FILE run.sh
set -e
for name in manager worker-1; do
    node TEST_IP=127.0.0.2 ZEEK_CLUSTER_BACKEND_ZEROMQ_XPUB_PORT=$A_PORT ZEEK_CLUSTER_BACKEND_ZEROMQ_XSUB_PORT=${ANOTHER_PORT%/tcp} $name node.zeek
done
btest-bg-wait 60
# @TEST-END-FILE

# @TEST-START-FILE node.zeek
@load cluster-test
@load policy/misc/zeromq-multi-host-auto-setup

module Cluster::Backend::ZeroMQ;

redef Test::expected += { Cluster::node == "manager" ? "worker-1" : "manager" };

function named(endpoint: string): string
	{
	return subst_string(subst_string(endpoint, cat(port_to_count(to_port(getenv("A_PORT")))), "A"),
	    cat(port_to_count(to_port(getenv("ANOTHER_PORT")))), "ANOTHER");
	}

global ball: event();

event ball()
	{
	print "ball";

	if ( Cluster::node == "manager" )
		Test::end();
	else
		Cluster::publish(Cluster::manager_topic, ball);
	}

event zeek_init()
	{
	print "listen", named(listen_xpub_endpoint), named(listen_xsub_endpoint);
	print "connect", named(connect_xpub_endpoint), named(connect_xsub_endpoint);
	}

event Test::everyone_up()
	{
	if ( Cluster::node == "manager" )
		Cluster::publish(Cluster::worker_topic, ball);
	}
# @TEST-END-FILE
