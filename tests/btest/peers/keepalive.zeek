# @TEST-DOC: Without heartbeats, as with a peer that answers none, TCP keep-alive notices a host that the network has lost, if nothing was under way to it.
#
# @TEST-REQUIRES: need-netns
#
# @TEST-EXEC: two-hosts ./lost.sh

# @TEST-START-FILE lost.sh
on a node -x TEST_IP=10.213.1.2 manager node.zeek
on b node -x TEST_IP=10.213.1.2 worker-1 node.zeek
wait-for grep -q node_up manager/out
wait-for grep -q node_up worker-1/out
# What is under way would be a matter of TCP's own time-outs.
sleep 3
cut
# Ours: 2 seconds, and a probe a second for 3, and then some for a busy machine.
wait-for -t 12 grep -q node_down manager/out
# The end of two-hosts is theirs.
# @TEST-END-FILE

# @TEST-START-FILE node.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = "tcp://10.213.1.2:5555";
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = "tcp://10.213.1.2:5556";
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = "tcp://10.213.1.2:5556";
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = "tcp://10.213.1.2:5555";
redef Cluster::Backend::ZeroMQ::heartbeat_interval = 0secs;
redef Cluster::Backend::ZeroMQ::tcp_keepalive_idle = 2secs;

event Cluster::node_up(name: string, id: string)
	{
	print fmt("node_up %s", name);
	flush_all();
	}

event Cluster::node_down(name: string, id: string)
	{
	print fmt("node_down %s", name);
	flush_all();
	}
# @TEST-END-FILE
